from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from quickvision.scan import probe
from quickvision.twins import near_groups, same_groups


@pytest.fixture
def photo():
    """A picture that is smooth, as photos are."""

    def make(seed: int) -> Image.Image:
        small = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        return Image.fromarray(small).resize((480, 360), Image.Resampling.BICUBIC)

    return make


def thumb(tmp_path, image, name="x.png", **options):
    image.save(tmp_path / name, **options)
    return probe(tmp_path / name).thumb


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((240, 180)),
        lambda image: image.resize((64, 64)),
        lambda image: image.crop((4, 4, 476, 356)),
        lambda image: Image.open(io.BytesIO(jpeg(image, 40))),
        lambda image: image.point(lambda value: min(255, int(value * 1.03))),
    ],
)
def test_the_same_picture_saved_otherwise_is_found(tmp_path, photo, change):
    pictures = [photo(seed) for seed in range(30)]
    thumbs = [thumb(tmp_path, picture) for picture in [*pictures, change(pictures[7])]]
    assert near_groups(thumbs) == [[7, 30]]


def jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def test_a_turned_copy_is_found(tmp_path, photo):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = thumb(tmp_path, photo(0).rotate(90, expand=True), "x.jpg", exif=exif)
    assert near_groups([thumb(tmp_path, photo(0)), turned]) == [[0, 1]]


def test_other_pictures_are_not_alike(tmp_path, photo):
    assert near_groups([thumb(tmp_path, photo(seed)) for seed in range(60)]) == []


def test_three_of_a_kind_are_one_group(tmp_path, photo):
    thumbs = [thumb(tmp_path, photo(1).resize(size)) for size in ((300, 200), (90, 60), (480, 320))]
    assert near_groups([thumb(tmp_path, photo(2)), *thumbs]) == [[1, 2, 3]]


def test_pairs_are_those_of_a_plain_comparison():
    rng = np.random.default_rng(0)
    bases = rng.integers(0, 256, (20, 8, 9, 3))
    many = bases[rng.integers(0, 20, 200)] + rng.integers(-9, 10, (200, 8, 9, 3))
    many = many.clip(0, 255).astype(np.uint8)
    grey = many.mean(axis=3)
    bits = (grey[:, :, 1:] > grey[:, :, :-1]).reshape(200, 64)
    apart = np.abs(many.reshape(200, 1, -1).astype(int) - many.reshape(1, 200, -1)).mean(axis=2)
    near = ((bits[:, None] != bits[None]).sum(axis=2) <= 7) & (apart <= 8)
    found = {i: group for group in near_groups([t.tobytes() for t in many]) for i in group}
    for i in range(200):
        assert set(np.flatnonzero(near[i])) <= set(found.get(i, [i]))
        assert len(found.get(i, [i])) == 1 or near[i].sum() > 1


def test_equal_keys():
    assert same_groups([b"a", b"b", b"a", b"", b"", b"b", b"c"]) == [[0, 2], [1, 5]]
    assert same_groups([]) == near_groups([]) == near_groups([b"\0" * 216]) == []
