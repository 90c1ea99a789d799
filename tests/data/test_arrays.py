from __future__ import annotations

import numpy as np
import pytest
import torch
from fastai.vision.core import TensorImage

from quickvision.data.arrays import from_array


def test_what_a_picture_says_comes_back():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    planes = torch.from_numpy(pixels).permute(2, 0, 1)
    for given in (pixels, torch.from_numpy(pixels), TensorImage(planes), TensorImage(planes.int())):
        np.testing.assert_array_equal(np.asarray(from_array(given)), pixels)
    assert from_array(pixels[:, :, 0]).mode == from_array(pixels[:, :, :1]).mode == "L"
    assert from_array(np.zeros((4, 6, 4), dtype=np.uint8)).mode == "RGBA"
    assert from_array(np.zeros((4, 6), dtype=np.uint16)).mode == "I;16"


@pytest.mark.parametrize("kind", ["float16", "float32", "int8", "int64", "bool", "complex64"])
def test_other_numbers_are_refused(kind):
    with pytest.raises(TypeError, match=f"uint8, from 0 to 255, got {kind}; .*astype"):
        from_array(np.zeros((4, 6, 3), dtype=kind))


def test_channels_first_are_refused_unless_it_is_fastais():
    with pytest.raises(ValueError, match=r"or .height, width., got \[3, 4, 6\]"):
        from_array(torch.zeros((3, 4, 6), dtype=torch.uint8))
    with pytest.raises(TypeError, match="got float32"):
        from_array(TensorImage(torch.ones(3, 4, 6)))
    with pytest.raises(TypeError, match="got int64"):
        from_array(TensorImage(torch.full((3, 4, 6), 256)))
