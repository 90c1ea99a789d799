from __future__ import annotations

import pickle
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from made import THREE_FIXES, sides_of, tree, write_fixes

import quickvision as qv
from quickvision.data.mended import FixedLabel, Fixes, fixes_of

# Pictures of one seed are one picture, whatever their class.
pytestmark = pytest.mark.filterwarnings("ignore:the same picture:quickvision.DataWarning")

SMALL = {"size": 32, "bs": 4, "num_workers": 0}


def doors(root, table):
    """Each door on the same pictures."""
    frame = pd.DataFrame({"file": [*table], "label": [name.split("/")[0] for name in table]})
    frame.to_csv(root.parent / "table.csv", index=False)
    how = {"fn_col": "file", "label_col": "label"}
    return {
        "from_folder": lambda **o: qv.from_folder(root, **o),
        "from_name_re": lambda **o: qv.from_name_re(root, r"^(.+)_\d+", **o),
        "from_csv": lambda **o: qv.from_csv(root.parent / "table.csv", images=root, **how, **o),
        "from_df": lambda **o: qv.from_df(frame, images=root, **how, **o),
        "load_data": lambda **o: qv.load_data(root, verbose=False, **o),
    }


@pytest.fixture
def fixes(tmp_path):
    return write_fixes(tmp_path / "fixes.csv", THREE_FIXES)


@pytest.fixture
def names(class_folders):
    return [path.relative_to(class_folders).as_posix() for path in class_folders.rglob("*.png")]


@pytest.mark.parametrize(
    "door", ["from_folder", "from_name_re", "from_csv", "from_df", "load_data"]
)
def test_every_door_takes_it_and_keeps_the_split(door, class_folders, names, fixes):
    load = doors(class_folders, sorted(names))[door]
    before, files = sides_of(load(**SMALL)), tree(class_folders)
    dls = load(fixes=fixes, **SMALL)
    after = sides_of(dls)
    assert after.keys() == before.keys() - {"green/green_04.png"}
    assert after["red/red_03.png"] == ("blue", before["red/red_03.png"][1])
    assert {name: said for name, said in after.items() if name != "red/red_03.png"} == {
        name: before[name] for name in after if name != "red/red_03.png"
    }
    assert tree(class_folders) == files
    # What fastai trains on and validates on is what the table says.
    for ds, valid in ((dls.train_ds, False), (dls.valid_ds, True)):
        found = {
            Path(item).relative_to(class_folders).as_posix(): dls.vocab[int(ds[i][1])]
            for i, item in enumerate(ds.items)
        }
        assert found == {name: label for name, (label, side) in after.items() if side == valid}


def test_relabelled_and_dropped_on_both_sides(train_and_val):
    rows = {
        "train/red/0.png": "green", "val/red/0.png": "green", "train/green/1.png": None,
        "val/green/1.png": None,
    }  # fmt: skip
    dls = qv.from_folder(train_and_val, fixes=rows, **SMALL)
    assert Counter(zip(dls.split["label"], dls.split["valid"], strict=True)) == {
        ("red", False): 7, ("red", True): 3, ("green", False): 8, ("green", True): 4,
    }  # fmt: skip
    assert (len(dls.train_ds), len(dls.valid_ds)) == (15, 7)


def test_what_was_done_is_said(class_folders, fixes, capsys):
    dls = qv.load_data(class_folders, fixes=fixes, **SMALL)
    line = "fixes        1 relabelled, 1 dropped, 1 kept, from fixes.csv\n"
    assert line in capsys.readouterr().out
    skipped = dls.skipped.to_dict("records")
    assert skipped == [{"path": "green/green_04.png", "reason": "dropped by fixes.csv"}]
    assert dls.fixed.to_numpy().tolist() == [
        ["red/red_03.png", "relabel", "blue", "red"],
        ["green/green_04.png", "drop", "", "green"],
        ["blue/blue_05.png", "keep", "blue", "blue"],
    ]
    assert "fixes" not in qv.from_folder(class_folders, **SMALL).understood
    assert qv.from_folder(class_folders, **SMALL).fixed.empty


def test_dropped_pictures_are_no_bad_files(class_folders, names):
    many = {name: None for name in sorted(names) if name.endswith(("1.png", "2.png", "3.png"))}
    dls = qv.from_folder(class_folders, fixes=many, max_bad=0.0, **SMALL)
    assert len(dls.skipped) == len(many) == 12
    found = qv.check(class_folders, size=32, fixes=many, max_bad=0.0)
    assert "too many bad files" not in set(found.findings["finding"])


def test_a_bad_file_that_is_dropped_is_dealt_with(class_folders, recwarn):
    for name in ("red_03.png", "red_04.png"):
        (class_folders / "red" / name).write_bytes(b"")
    with pytest.raises(qv.DataError, match="expected at most 0% bad files"):
        qv.from_folder(class_folders, max_bad=0, valid=0.3, **SMALL)
    bad = {"red/red_03.png": None, "red/red_04.png": None}
    dls = qv.from_folder(class_folders, fixes=bad, max_bad=0, valid=0.3, **SMALL)
    assert set(dls.skipped["reason"]) == {"dropped by fixes"}
    assert not [w for w in recwarn if "left out" in str(w.message)]


@pytest.mark.filterwarnings("ignore:left out:quickvision.DataWarning")
def test_a_bad_file_that_is_relabelled_stays_out(class_folders):
    (class_folders / "red" / "red_03.png").write_bytes(b"")
    dls = qv.from_folder(class_folders, fixes={"red/red_03.png": "blue"}, **SMALL)
    assert dls.understood["fixes"] == "1 left out anyway"
    assert dls.skipped["reason"].str.startswith("empty").all()


def test_a_class_that_loses_a_side_is_named(train_and_val):
    val = {f"val/red/{i}.png": "green" for i in range(4)}
    with pytest.raises(qv.DataError, match="each class a picture to validate on, got none of red"):
        qv.from_folder(train_and_val, fixes=val, **SMALL)
    train = {f"train/green/{i}.png": None for i in range(8)}
    with pytest.raises(qv.DataError, match="each class a picture to train on, got none of green"):
        qv.from_folder(train_and_val, fixes=train, **SMALL)
    found = qv.check(train_and_val, size=32, fixes=val)
    assert (
        "got none of red" in found.findings.set_index("finding")["advice"]["no training possible"]
    )


@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
def test_a_class_without_a_picture_to_train_on(train_and_val, picture):
    (train_and_val / "train" / "blue").mkdir()
    for i in range(2):
        (train_and_val / "train" / "blue" / f"{i}.png").write_bytes(b"")
    fixes = {"val/red/0.png": "blue"}
    with pytest.raises(
        qv.DataError, match="that can be trained on, got blue, of which there is no"
    ):
        qv.from_folder(train_and_val, fixes=fixes, max_bad=0.5, **SMALL)
    fixes["train/red/0.png"] = "blue"
    dls = qv.from_folder(train_and_val, fixes=fixes, max_bad=0.5, **SMALL)
    assert list(dls.vocab) == ["blue", "green", "red"]


def test_check_looks_at_the_data_as_it_is_with_them(class_folders, fixes):
    found = qv.check(class_folders, size=32, fixes=fixes)
    plain = qv.check(class_folders, size=32)
    assert (plain.classes - found.classes).sum(axis=1).to_dict() == {
        "blue": -1, "green": 1, "red": 1,
    }  # fmt: skip
    rows = found.pictures.set_index("path")
    assert rows.loc["red/red_03.png", "label"] == "blue"
    assert rows.loc["green/green_04.png", ["side", "reason"]].tolist() == [
        "", "dropped by fixes.csv",
    ]  # fmt: skip
    assert found.understood["fixes"] == "1 relabelled, 1 dropped, 1 kept, from fixes.csv"
    dls = qv.from_folder(class_folders, fixes=fixes, max_bad=0, **SMALL)
    again = qv.check(dls, size=32, max_bad=0)
    assert again.classes.equals(found.classes)
    assert "too many bad files" not in set(again.findings["finding"])


def test_the_other_of_two_equal_pictures_is_dropped(class_folders, picture):
    twin = class_folders / "green" / "green_twin.png"
    shutil.copy(class_folders / "red" / "red_00.png", twin)
    said = set(qv.check(class_folders, size=32).findings["finding"])
    assert "the same picture with different labels" in said
    rest = qv.check(class_folders, size=32, fixes={"green/green_twin.png": None}).findings
    assert not any("same picture" in finding for finding in rest["finding"])


class TestAnotherSplit:
    def test_a_split_file_from_before_the_fixes(self, class_folders, fixes, tmp_path):
        split = qv.save_split(qv.from_folder(class_folders, seed=3, **SMALL), tmp_path / "s.csv")
        dls = qv.from_folder(class_folders, valid=split, fixes=fixes, **SMALL)
        assert sides_of(dls) == sides_of(
            qv.from_folder(class_folders, seed=3, fixes=fixes, **SMALL)
        )

    def test_a_split_file_that_lacks_what_is_dropped(self, class_folders, fixes, tmp_path):
        fixed = qv.from_folder(class_folders, seed=3, fixes=fixes, **SMALL)
        split = qv.save_split(fixed, tmp_path / "s.csv")
        dls = qv.from_folder(class_folders, valid=split, fixes=fixes, **SMALL)
        assert sides_of(dls) == sides_of(fixed)
        with pytest.raises(qv.DataError, match=r"got 1 that are not: green/green_04.*fixes="):
            qv.from_folder(class_folders, valid=split, **SMALL)

    def test_groups_stay_together(self, class_folders, fixes):
        how = {"groups": r"_(\d+)\.png$", **SMALL}
        before, after = (
            sides_of(qv.from_folder(class_folders, **how, **more))
            for more in ({}, {"fixes": fixes})
        )
        assert all(after[name][1] == before[name][1] for name in after)

    def test_oversampling_counts_the_new_labels(self, train_and_val):
        fixes = {f"train/red/{i}.png": "green" for i in range(4)}
        dls = qv.from_folder(train_and_val, fixes=fixes, balance="oversample", **SMALL)
        counts = Counter(int(dls.train_ds[i][1]) for i in range(len(dls.train_ds)))
        assert counts == {0: 12, 1: 12}


def test_a_labeller_goes_to_loader_processes(class_folders, tmp_path, monkeypatch):
    get_y = FixedLabel(lambda path: path.parent.name, class_folders, {"red/red_03.png": "blue"})
    assert get_y(class_folders / "red" / "red_03.png") == "blue"
    assert get_y(class_folders / "red" / "red_04.png") == "red"
    monkeypatch.chdir(class_folders.parent)
    assert get_y("colours/red/red_03.png") == "blue"
    assert get_y(tmp_path / "elsewhere" / "red" / "red_03.png") == "red"
    dls = qv.from_folder(class_folders, fixes={"red/red_03.png": "blue"}, **SMALL)
    again = pickle.loads(pickle.dumps(dls.train_ds))
    labels = {Path(item).name: again.vocab[int(again[i][1])] for i, item in enumerate(again.items)}
    both = labels | {
        p.name: dls.vocab[int(dls.valid_ds[i][1])] for i, p in enumerate(dls.valid.items)
    }
    assert both["red_03.png"] == "blue"
    files = [class_folders / "red" / "red_03.png", class_folders / "red" / "red_04.png"]
    asked = dls.test_dl(files, with_labels=True)
    assert [dls.vocab[int(y)] for _, y in asked.dataset] == ["blue", "red"]


def test_nothing_changes_without_any():
    split = pd.DataFrame({"path": ["a"], "label": ["b"], "valid": [True]})
    assert Fixes().split(split) is split
    assert Fixes().said(split) == ""


def test_loaders_not_our_own_have_none(class_folders):
    from fastai.vision.all import ImageDataLoaders

    assert fixes_of(ImageDataLoaders.from_folder(class_folders, valid_pct=0.2)) is None
    assert fixes_of(qv.from_folder(class_folders, **SMALL)) is None


@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
def test_the_command_line_takes_the_file(class_folders, fixes, command):
    said = command("check", class_folders, "--size", 32, "--fixes", fixes)
    assert "fixes        1 relabelled, 1 dropped, 1 kept, from fixes.csv" in said.stdout
    assert "36, 1 left out" in said.stdout
    fixes.write_text("path,action,label\nred/red_77.png,drop,\n")
    said = command("check", class_folders, "--size", 32, "--fixes", fixes)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith("error: expected pictures of ")
