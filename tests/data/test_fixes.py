from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made import THREE_FIXES, refused, sides_of, write_fixes

import quickvision as qv
from quickvision.data.fixes import actions_in
from quickvision.data.mended import fixes_of

# Pictures of one seed are one picture, whatever their class.
pytestmark = pytest.mark.filterwarnings("ignore:the same picture:quickvision.DataWarning")

SMALL = {"size": 32, "bs": 4, "num_workers": 0}


@pytest.fixture
def fixes(tmp_path):
    return write_fixes(tmp_path / "fixes.csv", THREE_FIXES)


def test_a_relabel_to_the_same_class_keeps(class_folders, tmp_path):
    path = write_fixes(tmp_path / "f.csv", [("red/red_03.png", "Relabel ", " red")])
    dls = qv.from_folder(class_folders, fixes=str(path), **SMALL)
    assert dls.understood["fixes"] == "1 kept, from f.csv"
    assert dls.fixed["action"].tolist() == ["keep"]
    assert sides_of(dls) == sides_of(qv.from_folder(class_folders, **SMALL))


def test_a_table_and_a_dict_are_taken_where_a_file_is(class_folders, fixes):
    wanted = sides_of(qv.from_folder(class_folders, fixes=fixes, **SMALL))
    table = pd.DataFrame(THREE_FIXES, columns=["path", "action", "label"]).assign(score=0.1)
    table.loc[table["label"] == "", "label"] = np.nan
    table["path"] = table["path"].map(Path)
    kept = table.copy()
    dls = qv.from_folder(class_folders, fixes=table, **SMALL)
    assert sides_of(dls) == wanted
    assert dls.understood["fixes"] == "1 relabelled, 1 dropped, 1 kept"
    assert dls.skipped["reason"].tolist() == ["dropped by fixes"]
    pd.testing.assert_frame_equal(table, kept)
    again = qv.from_folder(class_folders, fixes=fixes_of(dls), **SMALL)
    assert sides_of(again) == wanted
    pd.testing.assert_frame_equal(again.fixed, dls.fixed)


def test_numbers_of_a_table_are_classes(tmp_path, picture):
    for label in (1, 2):
        for i in range(6):
            picture(tmp_path / "d" / str(label) / f"{i}.png", seed=10 * label + i)
    rows = [("1/0.png", "relabel", 2.0), ("1/1.png", "drop", np.nan)]
    table = pd.DataFrame(rows, columns=["path", "action", "label"])
    dls = qv.from_folder(tmp_path / "d", fixes=table, **SMALL)
    assert sides_of(dls)["1/0.png"][0] == "2"


def test_classes_go_by_their_names(class_folders, fixes):
    named = {"class_names": {"red": "rot", "green": "grün", "blue": "blau"}}
    with pytest.raises(qv.DataError, match=r"got 1 rows of others: 'blue' \(line 2\).*blau, grün"):
        qv.from_folder(class_folders, fixes=fixes, **named, **SMALL)
    dls = qv.from_folder(class_folders, fixes={"red/red_03.png": "blau"}, **named, **SMALL)
    assert sides_of(dls)["red/red_03.png"][0] == "blau"


ODD = (
    "=1+1", "+a", "-a", "@a", "x,y", 'say "hi"', '"', "new\nline", "a\r\nb", "ü%", " in side",
    "a;b", "tab\tbed", "a|b", "<b>&amp;", "u\u0308",
)  # fmt: skip


class TestNames:
    @pytest.fixture
    def odd(self, tmp_path, picture):
        """Two classes of pictures whose names are hard to write down; one begins with a blank."""
        for label in (" a", "b"):
            for i, name in enumerate(ODD):
                picture(tmp_path / "odd" / label / f"{name}{i}.png", seed=i)
            bad = os.fsdecode(os.fsencode(tmp_path / "odd" / label) + b"/\xff.png")
            shutil.copy(picture(tmp_path / "x.png", seed=99), bad)
        return tmp_path / "odd"

    def test_they_are_read_back_exactly(self, odd, tmp_path):
        before = sides_of(qv.from_folder(odd, **SMALL))
        drop = [name for name in before if name.startswith(" a/")][::3]
        other = [name for name in before if name.startswith(" a/")][1::3]
        assert any("\udcff" in name for name in (*drop, *other, *before))
        rows = [*((n, "drop", "") for n in drop), *((n, "relabel", "b") for n in other)]
        dls = qv.from_folder(odd, fixes=write_fixes(tmp_path / "f.csv", rows), **SMALL)
        after = sides_of(dls)
        assert [*dls.skipped["path"]] == drop
        write_fixes(tmp_path / "f.csv", [("b/=1+10.png", "relabel", "a")])  # the class is ` a`
        again = qv.from_folder(odd, fixes=tmp_path / "f.csv", **SMALL)
        assert sides_of(again)["b/=1+10.png"][0] == " a"
        assert after == {
            name: ("b" if name in other else label, valid)
            for name, (label, valid) in before.items()
            if name not in drop
        }

    def test_bytes_that_a_page_cannot_hold(self, odd, tmp_path):
        path = tmp_path / "f.csv"
        path.write_text('path,action,label\nb/?.png,drop,\n"b/\u00fc15.png",drop,\n', "utf-8")
        dls = qv.from_folder(odd, fixes=path, **SMALL)
        assert sorted(dls.skipped["path"]) == ["b/u\u030815.png", "b/\udcff.png"]

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_a_file_that_a_spreadsheet_saved_again(self, class_folders, tmp_path, separator, end):
        head = "sep=;" + end if separator == ";" else ""
        lines = [" Path ", "action", "Label"], *THREE_FIXES, ("", "", "")
        text = end.join(separator.join(line) for line in lines)
        (tmp_path / "f.csv").write_bytes(f"{head}{text}{end}".encode("utf-8-sig"))
        dls = qv.from_folder(class_folders, fixes=tmp_path / "f.csv", **SMALL)
        assert dls.fixed["action"].tolist() == ["relabel", "drop", "keep"]

    def test_whole_paths(self, class_folders):
        whole = {str(class_folders / "red" / "red_03.png"): None}
        dls = qv.from_folder(class_folders, fixes=whole, **SMALL)
        assert dls.skipped["path"].tolist() == ["red/red_03.png"]


HEAD = "path,action,label\n"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", r"expected the columns path, action, label in .*f\.csv, got an empty file"),
        ("\n\n", "got an empty file"),
        (HEAD, "expected rows of pictures to keep, relabel or drop in .*, got none"),
        ("path,label\na,b\n", r"expected the columns .* got path, label: no action; the report"),
        ("red/red_03.png,drop,\n", "no path and no action and no label"),
        (
            f"{HEAD}red/red_3.png,drop,\n",
            r"expected pictures of .*colours in .*got 1 that is none: red/red_3\.png \(line 2\);"
            r" did you mean 'red/red_03\.png'",
        ),
        (f"{HEAD}red_03.png,drop,\n", r"did you mean 'red/red_03\.png'\?; a path is below"),
        (
            HEAD + "".join(f"x{i},drop,\n" for i in range(5)),
            r"got 5 that are none: x0 \(line 2\), x1 \(line 3\), x2 \(line 4\) and 2 more",
        ),
        (f"{HEAD},drop,\n", r"got 1 that is none: an empty path \(line 2\)"),
        (f"{HEAD}red/red_03.png,delete,\n", r"expected the actions .* others: 'delete' \(line 2\)"),
        (f"{HEAD}red/red_03.png,relable,\n", "did you mean 'relabel'"),
        (f"{HEAD}red/red_03.png,relabel,\n", "the new class of each .* none for 1: red/red_03.png"),
        (
            f"{HEAD}red/red_03.png,relabel,bleu\n",
            r"classes of the data in .*1 rows of others: 'bleu' \(line 2\); did you mean 'blue'\?;"
            r" there are blue, green, red; a new class begins in the data",
        ),
        (
            f"{HEAD}red/red_03.png,drop,\nred/red_03.png,relabel,blue\n",
            r"different ones for 1: red/red_03\.png \(drop in line 2, relabel to blue in line 3\)",
        ),
        (
            f"{HEAD}red/red_03.png,relabel,green\nred/red_03.png,relabel,blue\n",
            "relabel to green in line 2, relabel to blue in line 3",
        ),
        (f"{HEAD}a,b.png,drop,\n", r"expected 3 cells .*, got 4 in line 2; a name with a ',' in"),
        (f'{HEAD}"red/red_03.png,drop,\n', r"got from line 2 on: .*a quote that is not closed"),
    ],
)
def test_a_file_that_is_wrong(class_folders, tmp_path, text, match):
    (tmp_path / "f.csv").write_text(text)
    with pytest.raises(qv.DataError, match=f"(?s){match}"):
        qv.from_folder(class_folders, fixes=tmp_path / "f.csv", **SMALL)


def test_a_picture_that_is_there_twice_with_one_meaning(class_folders, tmp_path):
    rows = [
        *THREE_FIXES,
        THREE_FIXES[1],
        ("red/red_03.png", "relabel", "blue"),
        (THREE_FIXES[2][0], "relabel", "blue"),
    ]
    dls = qv.from_folder(class_folders, fixes=write_fixes(tmp_path / "f.csv", rows), **SMALL)
    assert len(dls.fixed) == 3


def test_a_file_that_is_not_there(class_folders, fixes):
    with pytest.raises(qv.DataError, match="got nothing at .*did you mean 'fixes.csv'"):
        qv.from_folder(class_folders, fixes=fixes.with_name("fixe.csv"), **SMALL)


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        (3, TypeError, r"fixes: expected a fixes\.csv, a DataFrame .* got 3"),
        (["a"], TypeError, r"fixes: expected a fixes\.csv"),
        ("", ValueError, "fixes: expected a path"),
        ({}, qv.DataError, "expected rows of pictures"),
        ({"red/red_03.png": 3}, TypeError, r"a class for each path.*got 'red/red_03\.png': 3"),
        ({"red/x.png": None}, qv.DataError, r"in fixes=, got 1 that is none: red/x\.png; did"),
        (
            pd.DataFrame({"path": ["red/red_03.png"], "action": ["drop"]}),
            qv.DataError, "in fixes=, got path, action: no label",
        ),
        (
            pd.DataFrame({"path": ["x.png"], "action": ["drop"], "label": [None]}),
            qv.DataError, r"x\.png \(row 0\)",
        ),
        (pd.DataFrame(columns=["path", "action", "label"]), qv.DataError, "got none; mark some"),
    ],
)  # fmt: skip
def test_what_cannot_say_what_to_mend(class_folders, given, error, match):
    with pytest.raises(error, match=match):
        qv.from_folder(class_folders, fixes=given, **SMALL)


@pytest.mark.parametrize(
    "junk",
    [
        b"x",
        float("nan"),
        object(),
        "\0",
        ".",
        np.zeros(3),
        pd.Series(["a"]),
        pd.DataFrame(),
        "~x/f",
    ],
    ids=lambda junk: type(junk).__name__,
)
def test_junk_is_refused_in_words(class_folders, junk, monkeypatch):
    monkeypatch.chdir(class_folders)
    assert refused(lambda: qv.from_folder(class_folders, fixes=junk, **SMALL)) is not None


def test_errors_come_before_the_pictures_are_read(class_folders, monkeypatch):
    from quickvision.data import loaders

    def read(*_):
        raise NotImplementedError

    monkeypatch.setattr(loaders, "scan", read)
    with pytest.raises(qv.DataError, match="expected pictures of"):
        qv.from_folder(class_folders, fixes={"gone.png": None}, **SMALL)


def test_what_is_in_a_file_without_its_data(fixes):
    assert actions_in(fixes) == {path: action for path, action, _ in THREE_FIXES}
    assert actions_in({"a": None, "b": "c"}) == {"a": "drop", "b": "relabel"}
