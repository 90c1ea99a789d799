"""Open one picture file well: any mode to RGB, turned upright, errors that name the file."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fastai.vision.core import PILImage
from PIL import Image, ImageOps

from quickvision.errors import DataError

# What Pillow raises on broken files: most are OSError, a damaged header can be any of the others.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, MemoryError, Image.DecompressionBombError)


@dataclass(frozen=True)
class Probe:
    """What was seen in one picture file.

    Attributes:
        error: Why it cannot be read, or an empty string.
        format: Pillow's name of the file format, such as `JPEG`.
        mode: Pillow's mode, such as `RGB` or `P`.
        colours: Number of colours where the picture has a palette, else None.
    """

    error: str = ""
    format: str = ""
    mode: str = ""
    colours: int | None = None


def probe(path: Path) -> Probe:
    """Decode one file, at reduced size where the format allows, and say what it is.

    Nothing is raised for a bad file: the reason is in `Probe.error`.
    """
    try:
        if path.stat().st_size == 0:
            return Probe(error="empty file (0 bytes)")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.draft(image.mode, (32, 32))
                image.load()
                colours = len(image.getcolors(256) or []) if image.mode == "P" else None
                return Probe("", image.format or "", image.mode, colours)
    except Image.UnidentifiedImageError:
        return Probe(error="no picture format that can be read here: save it as JPEG or PNG")
    except BROKEN as error:
        return Probe(error=f"cannot be decoded ({error or type(error).__name__})")


def to_rgb(image: Image.Image) -> Image.Image:
    """Bring any Pillow image to upright 8-bit RGB.

    The EXIF turn is applied; transparency is laid on white; 16-bit grey is scaled to 8 bits (and
    not clipped, as Pillow does); float pictures are read as [0, 1] where they fit in it.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float32)
        top = float(values.max(initial=0))
        scale = 255 / 65535 if top > 255 else 255.0 if image.mode == "F" and top <= 1 else 1.0
        image = Image.fromarray((values * scale).round().clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


class Picture(PILImage):
    """fastai's `PILImage`, opened with `to_rgb`; a bad file's error names the file."""

    @classmethod
    def create(cls, fn: Any, **kwargs: Any) -> Picture:
        """Open a path, bytes or a Pillow image; arrays and tensors as fastai does.

        Raises:
            DataError: The file cannot be read.
        """
        if isinstance(fn, bytes):
            return cls(to_rgb(Image.open(io.BytesIO(fn))))
        if isinstance(fn, Image.Image):
            return cls(to_rgb(fn))
        if not isinstance(fn, str | Path):
            return super().create(fn, **kwargs)
        try:
            with Image.open(fn) as image:
                return cls(to_rgb(image))
        except BROKEN as error:
            raise DataError(f"expected a picture that can be read, got {fn}: {error}") from error
