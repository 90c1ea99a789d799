from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

import quickvision as qv
from quickvision.data.arrays import check_kind
from quickvision.data.view import View
from quickvision.ship.bundle import Bundle, Network
from quickvision.ship.engine import Viewer, opened

BUNDLE = Bundle(
    vocab=("a", "b"),
    view=View((16, 24), crop_pct=0.9),
    mean=(0.5,) * 3,
    std=(0.5,) * 3,
    network=Network("timm", "test_resnet"),
    at_least=60,
)


@pytest.fixture
def phone(tmp_path):
    """A large JPEG that lies on its side."""
    pixels = np.random.default_rng(0).integers(0, 255, (1200, 1600, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "phone.jpg", exif=exif)
    return tmp_path / "phone.jpg"


def test_a_file_is_the_same_picture_by_all_doors(phone):
    viewer, content = Viewer(BUNDLE), phone.read_bytes()
    pixels = viewer.open(phone)
    assert (pixels.shape, pixels.dtype) == ((16, 24, 3), np.uint8)
    assert opened(phone, BUNDLE).size == (150, 200), "upright, and no larger than needed"
    with phone.open("rb") as file:
        for same in (str(phone), content, bytearray(content), io.BytesIO(content), file):
            np.testing.assert_array_equal(viewer.open(same), pixels)


def test_pixels_are_those_of_the_view():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 90, 3), dtype=np.uint8))
    wanted = np.asarray(BUNDLE.view(image))
    viewer = Viewer(BUNDLE)
    for same in (
        image,
        np.asarray(image),
        torch.from_numpy(np.array(image)),
        np.asarray(image) / 255,
    ):
        np.testing.assert_array_equal(viewer.open(same), wanted)
    np.testing.assert_array_equal(viewer.mirror(wanted), wanted[:, ::-1])


def test_a_model_of_grey_pictures_gets_grey_ones(phone):
    from dataclasses import replace

    grey = replace(BUNDLE, network=Network("timm", "test_resnet", channels=1))
    assert Viewer(grey).open(phone).shape == (16, 24, 1)


@pytest.mark.parametrize("wrong", [None, 3, 3.5, {}, object(), ["x.jpg"]])
def test_what_is_no_picture_is_said(wrong):
    with pytest.raises(TypeError, match="expected a path, bytes, a file, a Pillow image or an arr"):
        Viewer(BUNDLE).open(wrong)
    with pytest.raises(TypeError):
        check_kind(wrong)


def test_what_cannot_be_read_is_said(tmp_path, phone):
    viewer = Viewer(BUNDLE)
    cut = phone.read_bytes()[:4000]
    for wrong, said in (
        (tmp_path / "gone.jpg", "got nothing at"),
        (b"", "can be read"),
        (b"no picture", "no format that is known"),
        (cut, "can be read"),
        (io.BytesIO(cut), "can be read"),
        (Image.open(io.BytesIO(cut)), "can be read"),
    ):
        with pytest.raises(qv.DataError, match=said):
            viewer.open(wrong)
