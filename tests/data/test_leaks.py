from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import quickvision as qv
from quickvision.data import leaks

FIXED = "the same picture, turned or mirrored, on both sides"


@pytest.fixture
def photos(tmp_path):
    """Two sides of smooth pictures, as photos are."""
    for side, n in (("train", 6), ("valid", 3)):
        for k, c in enumerate(("ants", "bees")):
            (tmp_path / side / c).mkdir(parents=True)
            for i in range(n):
                seed = 100 * k + 10 * i + (side == "valid")
                small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
                image = Image.fromarray(small).resize((160, 120), Image.Resampling.BICUBIC)
                image.save(tmp_path / side / c / f"{'abcdefghi'[i]}{side}.jpg", quality=95)
    return tmp_path


def said(root, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        qv.from_folder(root, size=16, bs=4, **options)
    return " | ".join(str(w.message) for w in caught)


def test_nothing_is_said_where_nothing_is_twice(photos):
    assert said(photos) == ""
    assert said(photos, check=False) == ""


def test_copies_in_a_split_that_nobody_gave_can_be_kept_together(photos):
    ants = photos / "train" / "ants"
    for name in "pqrstu":
        (ants / f"{name}.jpg").write_bytes((ants / "atrain.jpg").read_bytes())
    text = said(photos / "train")
    assert "remove one of each pair, or keep them together with groups=; as " in text
    assert "both sides" not in said(photos / "train", groups=lambda path: path.read_bytes())


@pytest.mark.parametrize("check", [True, False])
def test_copies_are_said_where_training_starts(photos, check):
    one = photos / "train" / "ants" / "atrain.jpg"
    (photos / "valid" / "ants" / "other.jpg").write_bytes(one.read_bytes())
    text = said(photos, check=check)
    assert "the same picture on both sides: 2; accuracy will look too good: remove one" in text
    assert "or hold out a fraction of all with valid=0.2 and groups=; as " in text, "a folder says"
    assert "atrain.jpg" in text
    (photos / "train" / "bees" / "again.jpg").write_bytes(one.read_bytes())
    assert "the same picture with different labels: 3" in said(photos, check=check)


def test_near_copies_are_said_too(photos):
    with Image.open(photos / "train" / "ants" / "btrain.jpg") as image:
        image.resize((120, 90)).save(photos / "valid" / "ants" / "small.jpg")
    assert "nearly the same picture on both sides: 2" in said(photos)
    assert said(photos, check=False) == "", "nothing was looked at"


@pytest.mark.parametrize("way", list(Image.Transpose))
def test_turned_and_mirrored_copies_are_said_at_the_door_and_in_check(photos, way):
    with Image.open(photos / "train" / "bees" / "ctrain.jpg") as image:
        image.transpose(way).save(photos / "valid" / "bees" / "x.jpg", quality=70)
    assert f"{FIXED}: 2; accuracy will look too good" in said(photos)
    found = qv.check(photos, size=16).findings.set_index("finding")
    assert found.loc[FIXED, "severity"] == "warning"
    assert "train/bees/ctrain.jpg" in found.loc[FIXED, "examples"][0]


def test_a_look_that_takes_too_long_is_left_to_check(photos, monkeypatch):
    with Image.open(photos / "train" / "bees" / "ctrain.jpg") as image:
        image.transpose(Image.Transpose.ROTATE_90).save(photos / "valid" / "bees" / "x.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(leaks, "SECONDS", -1.0)
        assert said(photos) == ""
    monkeypatch.setattr(leaks, "MOST", 10)
    assert said(photos) == ""
    assert FIXED in set(qv.check(photos, size=16).findings["finding"])


def test_a_split_of_the_users_own_is_not_split_anew():
    names = [f"{c}/patient{p}_{i}.png" for c in "ab" for p in range(4) for i in range(4)]
    sides = ["valid" if name.endswith("_3.png") else "train" for name in names]
    used = pd.DataFrame({"path": names, "label": [n[0] for n in names], "side": sides})
    (own,) = leaks.series(used, leaks.Split(fixed=True))
    (drawn,) = leaks.series(used, leaks.Split())
    assert "100% of the held-out pictures share the patient with" in own.advice
    anew = r"hold out a fraction of all with valid=0.2 and groups=r'(patient\d+)'"
    assert f"bring each to one side, or {anew}" in own.advice
    assert "keep them together with groups=r'(patient\\d+)'" in drawn.advice


@pytest.mark.real
def test_photos_are_no_turned_copies(real_data):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        qv.load_data(real_data / "data" / "hymenoptera", size=32, verbose=False)
    text = " ".join(str(w.message) for w in caught)
    assert not [word for word in ("both sides", "groups=", "flatter") if word in text]


def test_scanned_digits_are_no_copies(tmp_path):
    """A mirrored 8 is nearly an 8, a turned 6 nearly a 9, and two 1 are nearly the same."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for place, (image, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        if digit in (0, 1, 6, 8, 9):
            file = tmp_path / f"d{digit}" / f"{place}.png"
            file.parent.mkdir(exist_ok=True)
            Image.fromarray((image * (255 / 16)).astype(np.uint8)).save(file)
    assert said(tmp_path, augment="none") == ""
    assert FIXED not in set(qv.check(tmp_path, size=16).findings["finding"])
