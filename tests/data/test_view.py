from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image
from timm.data.transforms_factory import transforms_imagenet_eval

from quickvision.data.view import TO_TIMM, View


def picture(width, height, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos", "nearest"])
@pytest.mark.parametrize("resize", list(TO_TIMM))
def test_it_is_timms_to_the_pixel(resize, interpolation):
    chance = random.Random(0)
    for i in range(60):
        image = picture(chance.randint(20, 400), chance.randint(20, 400), i)
        size = chance.choice([(32, 32), (37, 37), (32, 64), (65, 33), (224, 224)])
        crop_pct = chance.choice([1.0, 0.875, 0.95, 224 / 232])
        theirs = transforms_imagenet_eval(
            size, crop_pct, TO_TIMM[resize], interpolation=interpolation
        )
        wanted = theirs.transforms[1](theirs.transforms[0](image))
        seen = View(size, resize, interpolation, crop_pct)(image)
        assert seen.size == wanted.size == size[::-1]
        np.testing.assert_array_equal(np.asarray(seen), np.asarray(wanted))


@pytest.mark.parametrize("resize", list(TO_TIMM))
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (700, 2)])
def test_the_thinnest_pictures_have_a_view(resize, shape):
    assert View((32, 48), resize)(picture(*shape)).size == (48, 32)


def test_a_picture_of_this_size_stays_as_it_is():
    image = picture(48, 32)
    np.testing.assert_array_equal(np.asarray(View((32, 48))(image)), np.asarray(image))


def test_pad_puts_grey_beside_a_picture():
    seen = np.asarray(View((32, 32), "pad")(Image.new("RGB", (64, 32), "white")))
    assert (seen[8:24] == 255).all()
    assert (seen[:8] == (124, 116, 104)).all()
    assert (seen[24:] == (124, 116, 104)).all()


@pytest.mark.parametrize(
    "wrong", [{"resize": "cut"}, {"interpolation": "cubic"}, {"crop_pct": 0}, {"crop_pct": 1.1}]
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected"):
        View((32, 32), **wrong)


@pytest.mark.parametrize("shape", [(1, 300_000), (300_000, 1), (2, 400_000)])
def test_a_very_long_picture_takes_no_memory(shape):
    import tracemalloc

    image = Image.new("RGB", shape, "white")
    tracemalloc.start()
    seen = View((224, 224))(image)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert seen.size == (224, 224)
    assert np.asarray(seen).min() == 255


def test_the_middle_of_a_very_long_picture_is_what_it_would_be(monkeypatch):
    image = picture(40, 2000)
    whole = np.asarray(View((32, 32))(image)).astype(int)
    monkeypatch.setattr("quickvision.data.view.MOST", 1000)
    assert np.abs(np.asarray(View((32, 32))(image)) - whole).max() <= 8
