from __future__ import annotations

import struct

import numpy as np
import pytest
from fastai.vision.core import PILImage
from PIL import Image

from quickvision.base.errors import DataError
from quickvision.data.pictures import Picture, open_rgb


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

    monkeypatch.setattr("quickvision.data.pictures.ImageOps.exif_transpose", damaged)
    assert Picture.create(tmp_path / "x.jpg").size == (9, 6)


def test_twelve_bits_in_sixteen_are_not_scaled_picture_by_picture():
    dark, light = (Image.fromarray(np.full((4, 4), v, np.uint16)) for v in (2570, 65535))
    assert np.asarray(Picture.create(dark)).max() == 10
    assert np.asarray(Picture.create(light)).max() == 255


@pytest.mark.parametrize(
    ("size", "at_least", "decoded"),
    [
        ((4000, 3000), 252, (500, 375)),
        ((4000, 3000), 376, (1000, 750)),
        ((500, 375), 252, (500, 375)),
        ((2000, 100), 252, (2000, 100)),
        ((4000, 3000), None, (4000, 3000)),
    ],
)
def test_a_jpeg_is_decoded_no_larger_than_needed(tmp_path, size, at_least, decoded):
    Image.new("RGB", size).save(tmp_path / "x.jpg")
    assert open_rgb(tmp_path / "x.jpg", at_least=at_least).size == decoded


def test_a_turned_jpeg_is_decoded_small_and_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    left_dark = np.zeros((1200, 1600, 3), np.uint8)
    left_dark[:, 800:] = 255
    Image.fromarray(left_dark).save(tmp_path / "x.jpg", exif=exif)
    image = open_rgb(tmp_path / "x.jpg", at_least=140)
    assert image.size == (150, 200)
    assert np.asarray(image)[10].mean() < 10 < 245 < np.asarray(image)[-10].mean()


def colours(size=(40, 30)) -> np.ndarray:
    across, down = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    return np.stack([across, down, 255 - across], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "mode", "off"),
    [
        ("x.jpg", "RGB", 8),
        ("x.png", "RGB", 0),
        ("x.bmp", "RGB", 0),
        ("x.webp", "RGB", 16),
        ("x.tiff", "RGB", 0),
        ("x.gif", "P", 40),
        ("x.png", "RGBA", 0),
        ("x.tif", "CMYK", 1),
        ("x.jpg", "CMYK", 8),
        ("x.png", "P", 40),
    ],
)
def test_every_format_comes_in_with_its_colours(tmp_path, name, mode, off):
    Image.fromarray(colours()).convert(mode).save(tmp_path / name)
    pixels = np.asarray(Picture.create(tmp_path / name)).astype(int)
    assert pixels.shape == (30, 40, 3)
    assert np.abs(pixels - colours()).mean() <= off


def test_grey_comes_in_as_grey(tmp_path):
    Image.fromarray(colours()).convert("L").save(tmp_path / "x.jpg")
    pixels = np.asarray(Picture.create(tmp_path / "x.jpg"))
    assert (pixels[..., 0] == pixels[..., 1]).all()
    assert np.ptp(pixels) > 100


def test_the_users_own_image_is_not_changed():
    image = Image.new("RGB", (4, 4))
    assert type(Picture.create(image)) is Picture
    assert type(image) is Image.Image
