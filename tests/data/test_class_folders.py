from __future__ import annotations

import unicodedata

import pytest

import quickvision as qv
from quickvision.data.class_folders import list_folder

pytestmark = pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
SMALL = {"size": 32, "bs": 4}


def test_deeper_folders_belong_to_their_class(class_folders, picture):
    picture(class_folders / "red" / "more" / "deep" / "x.png")
    dls = qv.from_folder(class_folders, **SMALL)
    assert list(dls.vocab) == ["blue", "green", "red"]
    assert len(dls.train_ds) + len(dls.valid_ds) == 37


class TestSides:
    def test_folder_names_in_any_case(self, train_and_val):
        (train_and_val / "train").rename(train_and_val / "Train")
        (train_and_val / "val").rename(train_and_val / "VAL")
        dls = qv.from_folder(train_and_val, **SMALL)
        assert (list(dls.vocab), len(dls.valid_ds)) == (["green", "red"], 8)

    @pytest.mark.filterwarnings("default::quickvision.DataWarning")
    def test_folders_that_are_not_used_are_said(self, train_and_val, picture):
        picture(train_and_val / "extra" / "blue" / "1.png")
        (train_and_val / "notes").mkdir()
        with pytest.warns(qv.DataWarning, match=r"not used in .*: extra \(neither to train"):
            dls = qv.from_folder(train_and_val, **SMALL)
        assert len(dls.train_ds) == 16

    @pytest.mark.filterwarnings("default::quickvision.DataWarning")
    def test_pictures_to_predict_are_no_validation_folder(self, train_and_val, picture):
        (train_and_val / "val").rename(train_and_val.parent / "elsewhere")
        picture(train_and_val / "test" / "1.png")
        with pytest.warns(qv.DataWarning, match=r"not used in .*: test \(a third side"):
            dls = qv.from_folder(train_and_val, **SMALL)
        assert (len(dls.train_ds), len(dls.valid_ds)) == (13, 3)


def test_a_side_of_any_spelling_has_the_same_classes(tmp_path, picture):
    for side, form in (("train", "NFD"), ("val", "NFC")):
        for i in range(4):
            picture(tmp_path / side / unicodedata.normalize(form, "café") / f"{i}.png", seed=i)
            picture(tmp_path / side / "tea" / f"{i}.png", seed=9 + i)
    dls = qv.from_folder(tmp_path, **SMALL)
    assert list(dls.vocab) == ["café", "tea"]
    assert [dls.vocab[dls.train_ds[i][1]] for i in (0, 4)] in (["café", "tea"], ["tea", "café"])


@pytest.mark.filterwarnings("default::quickvision.DataWarning")
@pytest.mark.parametrize(
    ("file", "said"),
    [
        (None, "blue is empty"),
        ("1.dcm", r"blue has 1 files \.dcm \(pydicom"),
        ("1", "blue has 1 files without suffix"),
    ],
)
def test_a_class_folder_without_a_picture_is_said(train_and_val, file, said):
    folder = train_and_val / "train" / "blue"
    folder.mkdir()
    (train_and_val / "train" / "notes").mkdir()
    (train_and_val / "train" / "notes" / "read.me").write_text("x")
    if file:
        (folder / file).write_bytes(b"x")
    with pytest.warns(qv.DataWarning, match=said) as warned:
        qv.from_folder(train_and_val, **SMALL)
    assert not any("notes" in str(w.message) for w in warned)


def test_sides_in_each_class_folder(tmp_path, picture):
    for kind in ("cats", "dogs"):
        for side, n in (("train", 4), ("val", 2), ("test", 3)):
            for i in range(n):
                picture(tmp_path / kind / side / f"{i}.png", seed=i)
    listing = list_folder(tmp_path)
    assert set(listing.labels) == {"cats", "dogs"}
    assert (len(listing.names), sum(listing.held), len(listing.tests)) == (12, 4, 6)
    assert len(list_folder(tmp_path, valid=0.3).names) == 8 + 4 + 6


@pytest.mark.parametrize("sides", [("cats",), ("train/cats", "val/cats")])
def test_one_class_is_named(tmp_path, picture, sides):
    for i in range(3):
        for side in sides:
            picture(tmp_path / side / f"{i}.png", seed=i)
    for door in (qv.from_folder, qv.load_data):
        said = f"two class folders or more in {tmp_path}, got one, cats"
        with pytest.raises(qv.DataError, match=said):
            door(tmp_path)


def test_names_that_hold_labels_are_seen(named_files):
    with pytest.raises(qv.DataError, match=r"their names hold labels: qv\.from_name_re\("):
        qv.from_folder(named_files)


def test_a_lone_folder_names_the_file_that_may_hold_labels(tmp_path, picture):
    for i in range(3):
        picture(tmp_path / "faces" / f"{i}.png", seed=i)
    (tmp_path / "faces.mat").write_text("")
    with pytest.raises(qv.DataError, match=r"got one, faces, .*faces\.mat says what"):
        qv.from_folder(tmp_path)


def test_a_mask_beside_its_picture_is_left_out(tmp_path, picture):
    for i, kind in enumerate(("ill", "well")):
        for name in ("1.png", "1_mask.png", "1_mask_2.png", "2.png", "red_mask.png"):
            picture(tmp_path / kind / name, seed=hash(name) % 99 + i)
    left_out = list_folder(tmp_path).left_out
    assert set(left_out) == {f"{k}/1_mask{n}.png" for k in ("ill", "well") for n in ("", "_2")}
    assert "too many bad files" not in str(qv.check(tmp_path, size=8))


def test_a_class_folder_itself_points_to_the_folder_above(class_folders):
    with pytest.raises(
        qv.DataError, match=r"If red is a class, as blue, green beside it, load the"
    ):
        qv.from_folder(class_folders / "red")
    with pytest.raises(qv.DataError, match=r"qv\.from_folder\('.*colours'\)\. Else"):
        qv.load_data(class_folders / "red", verbose=False)


def test_an_empty_folder_beside_the_one_class_is_named(tmp_path, picture):
    picture(tmp_path / "pets" / "cats" / "1.png")
    picture(tmp_path / "pets" / "cats" / "2.png", seed=1)
    (tmp_path / "pets" / "dogs").mkdir()
    with pytest.raises(qv.DataError, match=r"got one, cats, with 2 pictures \(dogs is empty\)"):
        qv.from_folder(tmp_path / "pets")
