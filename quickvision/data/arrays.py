"""An array as a picture, or why it is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from fastai.vision.core import TensorImage
from PIL import Image


def from_array(pixels: Any) -> Image.Image:
    """Turn an array into a Pillow image.

    Args:
        pixels: uint8 [height, width, 3], or 4 with transparency, or grey [height, width]; 16-bit
            grey is uint16. fastai's `TensorImage` has its channels first, and whole numbers.

    Raises:
        TypeError: It has other numbers: what white is in them would be a guess.
        ValueError: It has another shape.
    """
    if isinstance(pixels, TensorImage):
        whole = not pixels.is_floating_point() and 0 <= int(pixels.min()) <= int(pixels.max()) < 256
        pixels = pixels.permute(1, 2, 0).to(torch.uint8) if whole else pixels.permute(1, 2, 0)
    array = np.asarray(pixels.cpu() if isinstance(pixels, torch.Tensor) else pixels)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    deep = array.dtype == np.uint16 and array.ndim == 2
    if array.dtype != np.uint8 and not deep:
        raise TypeError(
            f"expected an array of uint8, from 0 to 255, got {array.dtype}; where it is such"
            " numbers, array.astype('uint8'), and where white is 1, (array * 255).astype('uint8')"
        )
    if (
        not array.size
        or array.ndim not in (2, 3)
        or (array.ndim == 3 and array.shape[2] not in (3, 4))
    ):
        raise ValueError(
            "expected an array [height, width, 3], or 4 with transparency, or [height, width], got"
            f" {list(array.shape)}"
        )
    return Image.fromarray(array)
