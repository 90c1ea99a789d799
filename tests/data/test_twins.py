from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from quickvision.data import twins
from quickvision.data.scan import grey_pixels, probe
from quickvision.data.twins import near_groups, same_groups


@pytest.fixture
def photo():
    """A picture that is smooth, as photos are."""

    def make(seed: int) -> Image.Image:
        small = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        return Image.fromarray(small).resize((480, 360), Image.Resampling.BICUBIC)

    return make


def groups(tmp_path, images):
    files = [tmp_path / f"{i}.png" for i in range(len(images))]
    for file, image in zip(files, images, strict=True):
        image.save(file)
    return near_groups([probe(file).thumb for file in files], lambda i: grey_pixels(files[i]))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((240, 180)),
        lambda image: image.resize((64, 64)),
        lambda image: Image.open(io.BytesIO(jpeg(image, 40))),
        lambda image: image.point(lambda value: min(255, int(value * 1.03))),
    ],
)
@pytest.mark.slow
def test_the_same_picture_saved_otherwise_is_found(tmp_path, photo, change):
    pictures = [photo(seed) for seed in range(30)]
    assert groups(tmp_path, [*pictures, change(pictures[7])]) == [[7, 30]]


def jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def test_a_turned_copy_is_found(tmp_path, photo):
    exif = Image.Exif()
    exif[0x0112] = 6
    files = [tmp_path / "x.png", tmp_path / "x.jpg"]
    photo(0).save(files[0])
    photo(0).rotate(90, expand=True).save(files[1], exif=exif)
    thumbs = [probe(file).thumb for file in files]
    assert near_groups(thumbs, lambda i: grey_pixels(files[i])) == [[0, 1]]


@pytest.mark.slow
def test_other_pictures_are_not_alike(tmp_path, photo):
    assert groups(tmp_path, [photo(seed) for seed in range(60)]) == []


def test_three_of_a_kind_are_one_group(tmp_path, photo):
    copies = [photo(1).resize(size) for size in ((300, 200), (90, 60), (480, 320))]
    assert groups(tmp_path, [photo(2), *copies]) == [[1, 2, 3]]


def test_drawings_on_black_are_not_alike(tmp_path):
    files = []
    for i, scan in enumerate(load_digits().images[:120]):
        image = Image.new("L", (40, 40))
        image.paste(Image.fromarray((scan * 15.9).astype(np.uint8)).resize((24, 24)), (8, 8))
        image.save(tmp_path / f"{i}.png")
        files.append(tmp_path / f"{i}.png")
    assert near_groups([probe(file).thumb for file in files], lambda i: grey_pixels(files[i])) == []


def test_pictures_of_one_colour_are_like_no_other(tmp_path):
    files = [tmp_path / f"{i}.png" for i in range(3)]
    for i, file in enumerate(files):
        Image.new("RGB", (40, 40), (i, i, i)).save(file)
    assert near_groups([probe(file).thumb for file in files], lambda i: grey_pixels(files[i])) == []


def test_blocks_find_what_one_block_finds(tmp_path, photo, monkeypatch):
    pictures = [photo(i % 12).resize((100 + i, 90)) for i in range(36)]
    files = [tmp_path / f"{i}.png" for i in range(36)]
    for file, picture in zip(files, pictures, strict=True):
        picture.save(file)
    thumbs = [probe(file).thumb for file in files]
    whole = near_groups(thumbs, lambda i: grey_pixels(files[i]))
    monkeypatch.setattr(twins, "CELLS", 150)
    assert near_groups(thumbs, lambda i: grey_pixels(files[i])) == whole
    assert sorted(whole) == [[i, i + 12, i + 24] for i in range(12)]


def test_equal_keys():
    assert same_groups([b"a", b"b", b"a", b"", b"", b"b", b"c"]) == [[0, 2], [1, 5]]
    assert same_groups([]) == []
    assert near_groups([], id) == near_groups([bytes(216)], id) == []
