"""Open one picture file well: any mode to RGB, turned upright, errors that name the file."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fastai.vision.core import PILImage
from PIL import Image, ImageOps

from quickvision.errors import DataError

# What Pillow raises on broken files: most are OSError, a damaged header can be any of the others.
BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError, IndexError, MemoryError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
)


PLACEHOLDER_COLOURS = 64  # a drawing; photos that are stored with a palette use nearly all 256


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
        with Image.open(path) as image:
            image.draft(image.mode, (32, 32))
            image.load()
            colours = len(image.getcolors(256) or []) if image.mode == "P" else None
            return Probe("", image.format or "", image.mode, colours)
    except Image.UnidentifiedImageError:
        return Probe(error="no picture format that can be read here: save it as JPEG or PNG")
    except BROKEN as error:
        return Probe(error=f"cannot be decoded ({error or type(error).__name__})")


def find_unfit(files: Sequence[Path]) -> dict[Path, str]:
    """Read all files; return the ones that training should not see, with the reasons.

    These are the files that cannot be decoded, and lone drawings among photos: a picture with a
    palette of few colours, in a format that at most one in twenty files has.
    """
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter(
            "ignore"
        )  # Pillow's, of bombs and odd EXIF: what matters is the reason
        seen = dict(zip(files, pool.map(probe, files), strict=True))
    unfit = {file: found.error for file, found in seen.items() if found.error}
    formats = Counter(found.format for found in seen.values())
    for file, found in seen.items():
        rare = formats[found.format] <= len(files) / 20
        if rare and found.colours is not None and found.colours <= PLACEHOLDER_COLOURS:
            what = f"{found.colours} colours, {found.format} among {formats.most_common(1)[0][0]}"
            unfit[file] = f"looks like a placeholder: {what}; check=False keeps it"
    return unfit


def to_rgb(image: Image.Image) -> Image.Image:
    """Bring any Pillow image to upright 8-bit RGB.

    The EXIF turn is applied, unless the EXIF block is damaged; transparency is laid on white.
    16-bit grey is scaled to 8 bits (and not clipped, as Pillow does). Pictures of 32-bit numbers do
    not say what white is: it is taken to be 255 or 65535, for floats also 1, the smallest of these
    that no pixel exceeds.
    """
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
