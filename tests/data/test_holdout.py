from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

import quickvision as qv
from quickvision.data.holdout import skipped_of, split_of

# Pictures of one seed are one picture, whatever their class.
pytestmark = pytest.mark.filterwarnings("ignore:the same picture:quickvision.DataWarning")

SMALL = {"size": 32, "bs": 4}
PAT = r"^(.+)_\d+"


def held(dls):
    return sorted(path.name for path in dls.valid.items)


def test_a_folder_by_its_name(class_folders, picture):
    for colour in ("red", "green", "blue"):
        picture(class_folders / "later" / colour / "1.png", colour)
    dls = qv.from_folder(class_folders, valid="later", **SMALL)
    assert (len(dls.train_ds), held(dls)) == (36, ["1.png"] * 3)
    assert list(dls.vocab) == ["blue", "green", "red"]
    with pytest.raises(qv.DataError, match="did you mean 'later'"):
        qv.from_folder(class_folders, valid="latter", **SMALL)


def test_a_folder_below_named_pictures(named_files, picture):
    for colour in ("red", "green", "blue"):
        picture(named_files / "later" / f"{colour}_1.png", colour)
    dls = qv.from_name_re(named_files, PAT, valid="later", **SMALL)
    assert (len(dls.train_ds), len(dls.valid_ds)) == (30, 3)
    with pytest.raises(qv.DataError, match="expected pictures to validate on in folder .*gone"):
        qv.from_name_re(named_files, PAT, valid="gone", **SMALL)


def test_a_function(named_files):
    dls = qv.from_name_re(named_files, PAT, valid=lambda path: path.stem.endswith("3"), **SMALL)
    assert held(dls) == ["blue_3.png", "green_3.png", "red_3.png"]


def test_a_list_of_files(named_files, monkeypatch):
    names = ["blue_3.png", "green_4.png", "red_5.png"]
    for files in (names, [named_files / name for name in names], tuple(map(Path, names))):
        assert held(qv.from_name_re(named_files, PAT, valid=files, **SMALL)) == names
    monkeypatch.chdir(named_files.parent)
    seen_from_here = [f"named/{name}" for name in names]
    assert held(qv.from_name_re("named", PAT, valid=seen_from_here, **SMALL)) == names
    with pytest.raises(qv.DataError, match=r"got 1 that are not: pink_1\.png"):
        qv.from_name_re(named_files, PAT, valid=[*names, "pink_1.png"], **SMALL)


def test_a_rule_overrules_the_validation_folder(train_and_val):
    dls = qv.from_folder(train_and_val, valid=lambda path: path.stem == "0", **SMALL)
    assert (len(dls.train_ds), len(dls.valid_ds)) == (20, 4)


@pytest.mark.parametrize("valid", [[], lambda path: False])
def test_nothing_held_out(named_files, valid):
    with pytest.raises(qv.DataError, match="to validate on in valid=, got none; .* with valid=0.2"):
        qv.from_name_re(named_files, PAT, valid=valid, **SMALL)


def test_everything_held_out(named_files):
    with pytest.raises(qv.DataError, match="expected pictures to train on"):
        qv.from_name_re(named_files, PAT, valid=lambda path: True, **SMALL)


@pytest.mark.parametrize("valid", [True, object()])
def test_what_cannot_say_who_is_held_out(named_files, valid):
    with pytest.raises((TypeError, ValueError), match="valid: expected a fraction"):
        qv.from_name_re(named_files, PAT, valid=valid, **SMALL)


class TestGroups:
    def test_a_pattern(self, named_files):
        dls = qv.from_name_re(named_files, PAT, groups=r"(\d)\.png$", **SMALL)
        sides = [{path.stem[-1] for path in side.items} for side in (dls.train, dls.valid)]
        assert not sides[0] & sides[1]
        assert len(dls.valid_ds) == 6

    def test_a_function(self, class_folders):
        dls = qv.from_folder(class_folders, groups=lambda path: int(path.stem[-1]) % 4, **SMALL)
        assert len({int(path.stem[-1]) % 4 for path in dls.valid.items}) == 1

    def test_pictures_without_a_group(self, named_files):
        with pytest.raises(qv.DataError, match="expected a group for each picture, got none for"):
            qv.from_name_re(named_files, PAT, groups=r"patient(\d)", **SMALL)

    def test_groups_on_both_sides_of_a_given_split(self, train_and_val):
        with pytest.raises(qv.DataError, match="got on both: 0.*; bring .*with valid=0.2"):
            qv.from_folder(train_and_val, groups=lambda path: path.stem, **SMALL)

    def test_what_is_no_rule(self, named_files):
        with pytest.raises(TypeError, match="groups: expected a function"):
            qv.from_name_re(named_files, PAT, groups=7, **SMALL)


class TestSplitFile:
    def test_another_door_holds_out_the_same(self, named_files, tmp_path):
        dls = qv.from_name_re(named_files, PAT, seed=1, **SMALL)
        path = qv.save_split(dls, tmp_path / "split.csv")
        again = qv.from_name_re(named_files, PAT, seed=2, valid=path, **SMALL)
        assert held(again) == held(dls)
        moved = named_files.rename(tmp_path / "elsewhere")
        assert held(qv.from_name_re(moved, PAT, valid=str(path), **SMALL)) == held(dls)

    def test_what_it_says(self, train_and_val, tmp_path):
        qv.save_split(qv.from_folder(train_and_val, **SMALL), tmp_path / "split.csv")
        table = pd.read_csv(tmp_path / "split.csv")
        assert list(table.columns) == ["path", "label", "valid"]
        assert table.iloc[0].tolist() == ["train/green/0.png", "green", False]
        assert table["valid"].sum() == 8
        assert b"\r" not in (tmp_path / "split.csv").read_bytes()

    def test_a_new_picture_stops(self, named_files, tmp_path, picture):
        path = qv.save_split(qv.from_name_re(named_files, PAT, **SMALL), tmp_path / "split.csv")
        picture(named_files / "red_77.png")
        with pytest.raises(qv.DataError, match=r"got 1 that are not: red_77\.png"):
            qv.from_name_re(named_files, PAT, valid=path, **SMALL)

    @pytest.mark.filterwarnings("default::quickvision.DataWarning")
    def test_a_picture_that_is_gone_is_said(self, named_files, tmp_path):
        path = qv.save_split(qv.from_name_re(named_files, PAT, **SMALL), tmp_path / "split.csv")
        (named_files / "red_7.png").unlink()
        with pytest.warns(qv.DataWarning, match=r"1 pictures of .*split\.csv are not in"):
            qv.from_name_re(named_files, PAT, valid=path, **SMALL)

    def test_another_file(self, named_files, tmp_path):
        (tmp_path / "split.csv").write_text("a,b\n1,2\n")
        with pytest.raises(qv.DataError, match=r"expected the columns .* got \['a', 'b'\]"):
            qv.from_name_re(named_files, PAT, valid=tmp_path / "split.csv", **SMALL)

    def test_loaders_of_another_kind(self, tmp_path, named_files):
        dls = qv.from_name_re(named_files, PAT, **SMALL)
        with pytest.raises(ValueError, match=r"ends in \.csv"):
            qv.save_split(dls, tmp_path / "split.txt")
        del dls.split
        with pytest.raises(TypeError, match="that quickvision has made"):
            qv.save_split(dls, tmp_path / "split.csv")

    def test_names_with_commas_quotes_and_newlines(self, tmp_path, picture):
        for label in ("a", "b"):
            for i, odd in enumerate(("x,y", 'say "hi"', "new\nline", "ü%", "in side")):
                picture(tmp_path / "odd" / label / f"{odd}{i}.png", seed=i)
        for label in ("a", "b"):  # a space at either end of the whole name
            for i in range(2):
                picture(tmp_path / "odd" / f" {label}" / f"{i}.png", seed=i)
        dls = qv.from_folder(tmp_path / "odd", valid=0.4, **SMALL)
        path = qv.save_split(dls, tmp_path / "split.csv")
        assert held(qv.from_folder(tmp_path / "odd", valid=path, **SMALL)) == held(dls)


def test_a_split_that_excel_saved_again(named_files, tmp_path):
    dls = qv.from_name_re(named_files, PAT, **SMALL)
    path = qv.save_split(dls, tmp_path / "split.csv")
    path.write_text(path.read_text().replace("True", "TRUE").replace("False", "FALSE"))
    assert held(qv.from_name_re(named_files, PAT, valid=path, **SMALL)) == held(dls)


def test_names_that_are_no_text_survive(tmp_path, picture):
    for label in ("a", "b"):
        for i in range(4):
            odd = os.fsdecode(os.fsencode(tmp_path / "odd" / label) + b"/\xff%d.png" % i)
            Path(odd).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(picture(tmp_path / "x.png", seed=i), odd)
    dls = qv.from_folder(tmp_path / "odd", **SMALL | {"bs": 2})
    path = qv.save_split(dls, tmp_path / "split.csv")
    assert held(qv.from_folder(tmp_path / "odd", valid=path, **SMALL | {"bs": 2})) == held(dls)
    assert qv.check(tmp_path / "odd", size=32).save(tmp_path / "check.json").exists()


def test_files_by_any_way_to_them(named_files, tmp_path, monkeypatch):
    monkeypatch.chdir(named_files)
    (tmp_path / "link").symlink_to(named_files)
    wanted = ["blue_3.png", "green_4.png", "red_5.png"]
    for way in ("./{}", "../named/{}", f"{tmp_path}/link/{{}}"):
        asked = [way.format(name) for name in wanted]
        assert held(qv.from_name_re(named_files, PAT, valid=asked, **SMALL)) == wanted


def test_loaders_of_others_have_no_split_and_nothing_skipped(class_folders):
    from fastai.vision.augment import Resize
    from fastai.vision.data import ImageDataLoaders

    theirs = ImageDataLoaders.from_folder(class_folders, valid_pct=0.2, item_tfms=Resize(32))
    assert split_of(theirs) is None
    assert list(skipped_of(theirs)) == ["path", "reason"]
    assert skipped_of(theirs).empty
    ours = qv.from_folder(class_folders, size=32, bs=4)
    assert split_of(ours) is ours.split
    assert skipped_of(ours) is ours.skipped
