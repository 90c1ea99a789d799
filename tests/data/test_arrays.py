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


def test_sixteen_bits_and_floats_say_what_white_is():
    grey = np.array([[0, 128, 255]], dtype=np.uint8)
    colours = np.stack([grey] * 3, axis=-1)
    for given in (grey, colours):
        for other in (given / 255, (given / 255).astype("float32"), torch.from_numpy(given / 255)):
            np.testing.assert_array_equal(np.asarray(from_array(other)), given)
    deep = colours.astype(np.uint16) * 257
    np.testing.assert_array_equal(np.asarray(from_array(deep)), colours)


@pytest.mark.parametrize("kind", ["int8", "int64", "bool", "complex64"])
def test_other_numbers_are_refused(kind):
    with pytest.raises(TypeError, match=f"uint8 .* or floats from 0 to 1, got {kind}.*astype"):
        from_array(np.zeros((4, 6, 3), dtype=kind))


@pytest.mark.parametrize("value", [-0.5, 1.5, 255.0, float("nan")])
def test_floats_that_do_not_say_what_white_is_are_refused(value):
    pixels = np.zeros((4, 6, 3), dtype=np.float32)
    pixels[0, 0] = value
    with pytest.raises(TypeError, match=r"floats from 0 to 1, got float32 from .* array.astype"):
        from_array(pixels)


def test_channels_first_are_refused_unless_it_is_fastais():
    with pytest.raises(ValueError, match=r"or .height, width., got \[3, 4, 6\]"):
        from_array(torch.zeros((3, 4, 6), dtype=torch.uint8))
    assert np.asarray(from_array(TensorImage(torch.ones(3, 4, 6)))).min() == 255
    with pytest.raises(TypeError, match="got int64"):
        from_array(TensorImage(torch.full((3, 4, 6), 256)))
