"""Open one picture file well: any mode to RGB, turned upright, errors that name the file."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from fastai.vision.core import PILImage
from PIL import ExifTags, Image, ImageOps

from quickvision.base.errors import DataError

# What Pillow raises on broken files: most are OSError, a damaged header can be any of the others.
BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError, IndexError, MemoryError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
)


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) to 8; 1 where there is none or it is damaged."""
    try:
        turn = image.getexif().get(ExifTags.Base.Orientation, 1)
    except BROKEN:
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def to_rgb(image: Image.Image) -> Image.Image:
    """Bring any Pillow image to upright 8-bit RGB; one that is so already comes back as it is.

    The EXIF turn is applied, unless the EXIF block is damaged; transparency is laid on white.
    16-bit grey is scaled to 8 bits (and not clipped, as Pillow does). Pictures of 32-bit numbers do
    not say what white is: it is taken to be 255 or 65535, for floats also 1, the smallest of these
    that no pixel exceeds.
    """
    if orientation(image) != 1:
        try:
            image = ImageOps.exif_transpose(image)
        except BROKEN:
            image = image.copy()
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float32)
        whites = {"I": (255, 65535), "F": (1, 255, 65535)}.get(image.mode, (65535,))
        top = float(values.max(initial=0))
        scale = 255 / next((white for white in whites if top <= white), 65535)
        image = Image.fromarray((values * scale).round().clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def open_rgb(path: str | Path, *, at_least: int | None = None) -> Image.Image:
    """Open a picture file as upright RGB, a JPEG no larger than it has to be.

    Args:
        path: The file.
        at_least: Pixels that neither side may go below, unless the file has fewer; None decodes in
            full. A JPEG is decoded at a half, a quarter or an eighth of its size where that is
            enough, which for a phone's 12 megapixels takes a tenth of the time.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with Image.open(path) as image:
            if at_least:
                image.draft(None, (at_least, at_least))
            image.load()
            return to_rgb(image)
    except BROKEN as error:
        raise DataError(f"expected a picture that can be read, got {path}: {error}") from error


class Picture(PILImage):
    """fastai's `PILImage`, opened with `open_rgb`; a bad file's error names the file."""

    @classmethod
    def create(cls, fn: Any, *, at_least: int | None = None, **kwargs: Any) -> Picture:
        """Open a path, bytes or a Pillow image; arrays and tensors as fastai does.

        Args:
            fn: What to open; a Pillow image stays as it is.
            at_least: For a path: as in `open_rgb`.
            **kwargs: For arrays and tensors: go to fastai.

        Raises:
            DataError: The file cannot be read.
        """
        if isinstance(fn, str | Path):
            return cls(open_rgb(fn, at_least=at_least))
        if isinstance(fn, bytes):
            return cls(to_rgb(Image.open(io.BytesIO(fn))))
        if isinstance(fn, Image.Image):
            return cls(to_rgb(fn.copy()))
        return super().create(fn, **kwargs)
