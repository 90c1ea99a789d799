from __future__ import annotations

import pickle
import struct

import numpy as np
import pytest
from fastai.vision.core import PILImage
from PIL import Image

from quickvision.base.errors import DataError, RunError
from quickvision.data import pictures as copies
from quickvision.data.pictures import Opener, Picture, copy_path, make_copies, open_rgb, to_rgb


@pytest.fixture
def photo(tmp_path):
    """A smooth JPEG of 200 x 150 pixels."""
    small = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    path = tmp_path / "data" / "photo.jpg"
    path.parent.mkdir()
    Image.fromarray(small).resize((200, 150), Image.Resampling.BICUBIC).save(path, quality=95)
    return path


def test_a_copy_is_smaller_and_looks_the_same(photo, tmp_path):
    cache = tmp_path / "cache"
    make_copies([photo], 60, cache)
    copy = copy_path(photo, 60, cache)
    assert Image.open(copy).size == (80, 60)
    opened, itself = Opener(60, cache)(photo), Opener(60)(photo)
    assert opened.size == (80, 60)
    shrunk = itself.resize((80, 60), Image.Resampling.BILINEAR)
    assert np.abs(np.asarray(opened, float) - np.asarray(shrunk, float)).mean() < 3


def test_copies_are_made_once_and_never_beside_the_pictures(photo, tmp_path):
    cache = tmp_path / "cache"
    make_copies([photo], 60, cache)
    made = copy_path(photo, 60, cache).stat().st_mtime_ns
    make_copies([photo], 60, cache)
    assert copy_path(photo, 60, cache).stat().st_mtime_ns == made
    assert list(photo.parent.iterdir()) == [photo]
    assert len([p for p in cache.rglob("*") if p.is_file()]) == 1


def test_a_changed_picture_is_noticed(photo, tmp_path):
    cache = tmp_path / "cache"
    make_copies([photo], 60, cache)
    Image.new("RGB", (300, 300), "white").save(photo)
    opened = Opener(60, cache)(photo)
    assert np.asarray(opened).min() > 250
    make_copies([photo], 60, cache)
    assert Image.open(copy_path(photo, 60, cache)).size == (60, 60)


def test_another_size_is_another_copy(photo, tmp_path):
    assert copy_path(photo, 60, tmp_path) != copy_path(photo, 61, tmp_path)


def test_what_is_stored_without_loss_is_copied_without_loss(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    make_copies([tmp_path / "x.png"], 45, tmp_path / "cache")
    copy = copy_path(tmp_path / "x.png", 45, tmp_path / "cache")
    exact = Image.fromarray(pixels).resize((45, 45), Image.Resampling.BILINEAR)
    assert copy.suffix == ".png"
    assert (np.asarray(Image.open(copy)) == np.asarray(exact)).all()


def test_a_small_picture_needs_no_copy(photo, tmp_path):
    make_copies([photo], 150, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    assert Opener(150, tmp_path / "cache")(photo).size == (200, 150)


def test_a_turned_picture_is_copied_upright(photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(photo).save(photo, exif=exif)
    make_copies([photo], 60, tmp_path / "cache")
    assert Opener(60, tmp_path / "cache")(photo).size == (60, 80)


def test_a_cache_that_cannot_be_written(photo, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match=r"expected to write resized pictures .* cache=DIR"):
        make_copies([photo], 60, tmp_path / "file" / "below")


def test_a_picture_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "x.jpg").write_text("x")
    with pytest.raises(DataError, match=r"x\.jpg"):
        make_copies([tmp_path / "x.jpg"], 60, tmp_path / "cache")
    with pytest.raises(DataError, match=r"gone\.jpg"):
        make_copies([tmp_path / "gone.jpg"], 60, tmp_path / "cache")


def test_a_disk_that_is_full_leaves_nothing_half_made(photo, tmp_path, monkeypatch):
    def full(self, path, **options):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(RunError, match="No space left"):
        make_copies([photo], 60, tmp_path / "cache")
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_the_opener_takes_what_fastai_gives_it(photo):
    opener = Opener(60)
    pixels = np.asarray(opener(photo))
    assert opener(str(photo)).size == opener(photo).size
    assert opener(pixels).size == opener(photo).size
    assert opener(photo.read_bytes()).mode == "RGB"
    assert opener(Image.open(photo).convert("L")).mode == "RGB"


def test_a_copy_that_is_damaged_is_passed_by(photo, tmp_path):
    make_copies([photo], 60, tmp_path / "cache")
    copy = copy_path(photo, 60, tmp_path / "cache")
    copy.write_bytes(copy.read_bytes()[:99])
    assert Opener(60, tmp_path / "cache")(photo).size == (200, 150)  # the JPEG itself


def test_a_jpeg_is_decoded_at_twice_the_size_that_is_needed(tmp_path):
    Image.new("RGB", (4000, 3000)).save(tmp_path / "x.jpg")
    assert Opener(252)(tmp_path / "x.jpg").size == (1000, 750)


def test_kept_pictures_are_read_once_and_are_what_the_file_says(photo, monkeypatch):
    opener = Opener(60, kept=[photo])
    plain = np.asarray(Opener(60)(photo))
    assert opener.filling
    opener(photo).paste("black", (0, 0, 50, 50))  # as a careless transform would
    assert not opener.filling
    opener(photo).paste("black", (0, 0, 50, 50))
    monkeypatch.setattr(copies.Picture, "create", None)
    np.testing.assert_array_equal(np.asarray(opener(photo)), plain)


def test_a_changed_file_is_not_taken_from_memory(photo):
    opener = Opener(60, kept=[photo])
    before = opener(photo).size
    Image.new("RGB", (300, 310), "white").save(photo)
    assert opener(photo).size != before


def test_memory_has_an_end(photo, monkeypatch):
    files = [photo.with_name(f"{i}.jpg") for i in range(3)]
    for file in files:
        Image.new("RGB", (120, 100)).save(file)
    monkeypatch.setattr(copies, "IN_MEMORY", 3 * 120 * 100 + 1)
    opener = Opener(100, kept=files)
    assert [opener(file).size for file in files] == [(120, 100)] * 3
    assert len(opener.memory) == 2
    assert not opener.filling


def test_pictures_in_memory_are_not_saved_with_the_transform(photo):
    opener = Opener(60, kept=[photo])
    opener(photo)
    again = pickle.loads(pickle.dumps(opener))
    assert again.room == copies.IN_MEMORY  # a copy has nothing in it yet
    assert (again.at_least, again.memory, again.kept) == (60, {}, frozenset())
    assert again(photo).size == opener(photo).size


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

    monkeypatch.setattr("quickvision.data.rgb.ImageOps.exif_transpose", damaged)
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


def test_copies_are_advised_where_they_save_a_third_of_the_waiting(monkeypatch, tmp_path):
    monkeypatch.setattr(copies, "_copies_save", lambda files, at_least: (12.0, 0.1))
    files = [str(i) for i in range(100)]
    said = Opener(60).advice(files, epoch=30.0, waiting=0.5, workers=0)
    assert said.startswith("pictures average 12.0 megapixels; cache=True would cut an epoch from")
    assert said.endswith("from 30 s to about 20 s")
    at_most = Opener(60).advice(files, epoch=12.0, waiting=0.5, workers=1)
    assert at_most.endswith("from 12 s to about 6.0 s"), "no more than what is waited for"
    assert Opener(60).advice(files, epoch=30.0, waiting=0.5, workers=8) == ""
    for opener in (Opener(), Opener(60, tmp_path), Opener(60, kept=files)):
        assert opener.advice(files, epoch=30.0, waiting=0.5, workers=0) == ""


def test_what_copies_save_is_measured_on_a_few_pictures_that_can_be_read(photo):
    photo.with_name("bad.jpg").write_text("x")
    files = [photo.with_name("bad.jpg"), photo, photo.with_name("gone.jpg")]
    megapixels, saved = copies._copies_save(files, 60)
    assert megapixels == pytest.approx(0.03)
    assert saved < 1
    assert copies._copies_save(files[:1], 60) == (0.0, 0.0)


def test_what_is_upright_rgb_comes_back_as_it_is():
    image = Image.new("RGB", (4, 4))
    assert to_rgb(image) is image


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16", "F", "P"])
def test_a_picture_that_is_brought_to_rgb_stays_what_it_was(mode):
    image = Image.new(mode, (6, 4))
    image.getexif()[0x0112] = 6
    before = (image.mode, image.size, image.tobytes())
    assert Picture.create(image).mode == to_rgb(image).mode == "RGB"
    assert (image.mode, image.size, image.tobytes()) == before
    assert image.getexif()[0x0112] == 6
