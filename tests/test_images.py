from __future__ import annotations

import struct

import numpy as np
import pytest
from fastai.vision.core import PILImage
from PIL import Image

from quickvision.errors import DataError
from quickvision.images import Picture


def test_exif_turn_is_applied(tmp_path):
    file = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (90, 60)).save(file, exif=exif)
    assert Picture.create(file).size == (60, 90)


def test_sixteen_bit_is_scaled_and_not_clipped(tmp_path):
    file = tmp_path / "deep.png"
    Image.fromarray(np.linspace(0, 65535, 1024).reshape(32, 32).astype(np.uint16)).save(file)
    pixels = np.asarray(Picture.create(file))
    assert pixels.shape == (32, 32, 3)
    assert len(np.unique(pixels)) == 256
    assert np.abs(pixels[..., 0].ravel() - np.linspace(0, 255, 1024)).max() <= 1


def test_float_pictures_are_read_as_fractions(tmp_path):
    file = tmp_path / "float.tiff"
    Image.fromarray(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)).save(file)
    assert np.asarray(Picture.create(file)).max() == 255


def test_transparent_pixels_become_white(tmp_path):
    file = tmp_path / "clear.png"
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(file)
    assert (np.asarray(Picture.create(file)) == 255).all()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "RGBA", "RGB"])
def test_every_mode_becomes_rgb(mode):
    image = Picture.create(Image.new(mode, (6, 4)))
    assert (image.mode, image.size) == ("RGB", (6, 4))
    assert isinstance(image, PILImage)


def test_a_broken_file_is_named(tmp_path):
    file = tmp_path / "broken.jpg"
    file.write_text("<html>")
    with pytest.raises(DataError, match=r"expected a picture that can be read, got .*broken\.jpg"):
        Picture.create(file)


def test_a_damaged_exif_block_turns_nothing_and_stops_nothing(tmp_path, monkeypatch):
    Image.new("RGB", (9, 6)).save(tmp_path / "x.jpg")

    def damaged(image):
        raise struct.error("required argument is not an integer")

    monkeypatch.setattr("quickvision.images.ImageOps.exif_transpose", damaged)
    assert Picture.create(tmp_path / "x.jpg").size == (9, 6)


def test_twelve_bits_in_sixteen_are_not_scaled_picture_by_picture():
    dark, light = (Image.fromarray(np.full((4, 4), v, np.uint16)) for v in (2570, 65535))
    assert np.asarray(Picture.create(dark)).max() == 10
    assert np.asarray(Picture.create(light)).max() == 255
