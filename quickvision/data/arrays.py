"""What may be a picture; an array as one, or why it is none. Needs neither torch nor fastai."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from quickvision.base.errors import DataError


def is_array(value: Any) -> bool:
    """Say whether it is an array of NumPy's or a tensor of torch's."""
    return isinstance(value, np.ndarray) or (hasattr(value, "detach") and hasattr(value, "numpy"))


def check_kind(picture: Any) -> None:
    """See that something may be a picture at all.

    Raises:
        TypeError: It is none.
    """
    known = isinstance(picture, str | Path | bytes | bytearray | memoryview | Image.Image)
    if not (known or hasattr(picture, "read") or is_array(picture)):
        got = type(picture).__name__
        raise TypeError(f"expected a path, bytes, a file, a Pillow image or an array, got {got}")


def check_there(picture: str | Path) -> None:
    """See that there is a file at this path.

    Raises:
        DataError: Nothing is there, or a folder.
    """
    if Path(picture).is_dir():
        raise DataError(
            f"expected a picture, got a folder, {picture}; predict_many({str(picture)!r}) answers"
            " for all pictures in it"
        )
    if not Path(picture).is_file():
        raise DataError(f"expected a picture, got nothing at {picture}")


def from_array(pixels: Any) -> Image.Image:
    """Turn an array into a Pillow image.

    Args:
        pixels: [height, width, 3], or 4 with transparency, or grey [height, width], of uint8,
            uint16 (white is 65535) or floats from 0 to 1 (white is 1). fastai's `TensorImage` has
            its channels first, and whole numbers or such floats.

    Raises:
        TypeError: It has other numbers: what white is in them would be a guess.
        ValueError: It has another shape.
    """
    if any(kind.__name__ == "TensorImage" for kind in type(pixels).__mro__):
        whole = not pixels.is_floating_point() and 0 <= int(pixels.min()) <= int(pixels.max()) < 256
        pixels = pixels.permute(1, 2, 0)
        pixels = pixels.byte() if whole else pixels
    array = np.asarray(pixels.detach().cpu() if hasattr(pixels, "detach") else pixels)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    channels = array.shape[2] if array.ndim == 3 else 1
    if not array.size or array.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise ValueError(
            "expected an array [height, width, 3], or 4 with transparency, or [height, width], got"
            f" {list(array.shape)}"
        )
    if np.issubdtype(array.dtype, np.floating) and array.min() >= 0 and array.max() <= 1:
        array = (array.astype(np.float32) * 255).round().astype(np.uint8)
    if array.dtype == np.uint16 and channels > 1:  # Pillow has no such colours
        array = (array / 257).round().astype(np.uint8)
    if array.dtype != np.uint8 and array.dtype != np.uint16:
        raise TypeError(
            "expected an array of uint8 (0 to 255), uint16 or floats from 0 to 1, got"
            f" {array.dtype} from {array.min():g} to {array.max():g}; where white is 255,"
            " array.astype('uint8')"
        )
    return Image.fromarray(array)
