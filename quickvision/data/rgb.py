"""Any picture to upright 8-bit RGB, and what is black and white in more than 8 bits.

Needs neither torch nor fastai to be installed.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np
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


Levels = tuple[float, float]  # values of a deep picture that are black and white
WHITES = (255, 1023, 4095, 16383, 65535)  # 8, 10, 12, 14 and 16 bits


def is_deep(mode: str) -> bool:
    """Say whether pictures of this Pillow mode hold numbers of more than 8 bits."""
    return mode.startswith("I;16") or mode in ("I", "F")


def levels_of(low: float, top: float, mode: str = "I") -> Levels:
    """Return what is black and white where all values are from `low` to `top`.

    White is what so many bits can hold at most, the fewest of 8, 10, 12, 14 and 16 that do (of
    floats also 1), or the largest value, where that is more. Black is 0, or the least value, where
    that is less (signed values, as of CT).

    >>> levels_of(0, 4000), levels_of(-1024, 3071), levels_of(0, 0.9, "F")
    ((0.0, 4095.0), (-1024.0, 4095.0), (0.0, 1.0))
    """
    whites = (1, *WHITES) if mode == "F" else WHITES
    white = next((white for white in whites if top <= white), top)
    return min(float(low), 0.0), float(white)


def to_rgb(image: Image.Image, levels: Levels | None = None) -> Image.Image:
    """Bring any Pillow image to upright 8-bit RGB; one that is so already comes back as it is.

    The EXIF turn is applied, unless the EXIF block is damaged; transparency is laid on white.
    Numbers of 16 bits or more are scaled to 8 bits (and not clipped, as Pillow does) so that
    `levels` are black and white; without, 16 bits are taken for 16 bits, and of 32, which do not
    say what white is, it is 255 or 65535, for floats also 1, the smallest that no pixel exceeds.
    """
    if orientation(image) != 1:
        try:
            image = ImageOps.exif_transpose(image)
        except BROKEN:
            image = image.copy()
    if is_deep(image.mode):
        values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0, neginf=0)
        whites = {"I": (255, 65535), "F": (1, 255, 65535)}.get(image.mode, (65535,))
        top = float(values.max(initial=0))
        alone = (0.0, float(next((white for white in whites if top <= white), 65535)))
        black, white = levels or alone
        values = (values - black) * (255 / max(white - black, 1e-6))
        image = Image.fromarray(values.round().clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def open_rgb(
    path: str | Path | IO[bytes], *, at_least: int | None = None, levels: Levels | None = None
) -> Image.Image:
    """Open a picture file as upright RGB, a JPEG no larger than it has to be.

    Args:
        path: The file; or one that is open, or lies in memory.
        at_least: Pixels that neither side may go below, unless the file has fewer; None decodes in
            full. A JPEG is decoded at a half, a quarter or an eighth of its size where that is
            enough, which for a phone's 12 megapixels takes a tenth of the time.
        levels: As in `to_rgb`.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with Image.open(path) as image:
            if at_least:
                image.draft(None, (at_least, at_least))
            image.load()
            return to_rgb(image, levels)
    except BROKEN as error:
        if isinstance(path, str | Path):
            name, why = path, str(error)
        else:  # Pillow names the object in memory, which says nothing
            name = getattr(path, "name", "bytes")
            unknown = isinstance(error, Image.UnidentifiedImageError)
            why = "no format that is known" if unknown else str(error)
        raise DataError(f"expected a picture that can be read, got {name}: {why}") from error
