from __future__ import annotations

import sys
import types

import pandas as pd
import pytest

import quickvision as qv
from quickvision.data.rows import read_table, without_bad
from quickvision.data.wording import Call
from tests.made import table

PAIRS = [["1.jpg", "a"], ["2.jpg", "b"], ["3.jpg", "a"]]


def read(tmp_path, *lines, encoding="utf-8"):
    return read_table(table(tmp_path / "t.txt", lines, encoding))


@pytest.mark.parametrize(
    ("lines", "cells"),
    [
        (["images/a 1.jpg 0", "b2.jpg 1"], [["images/a 1.jpg", "0"], ["b2.jpg", "1"]]),
        (["a.jpg   0", "b.jpg \t 1"], [["a.jpg", "0"], ["b.jpg", "1"]]),
        (["0 x/a.jpg", "1 b 2.jpg"], [["0", "x/a.jpg"], ["1", "b 2.jpg"]]),
        (["a.jpg great dane", "b.jpg pug"], [["a.jpg", "great dane"], ["b.jpg", "pug"]]),
        (["a.jpg 3 train", "b.jpg 4 test"], [["a.jpg", "3", "train"], ["b.jpg", "4", "test"]]),
        (["7 a.jpg 0", "8 b.jpg 1"], [["7", "a.jpg", "0"], ["8", "b.jpg", "1"]]),
        (["file label", "a 1.jpg 0"], [["file", "label"], ["a 1.jpg", "0"]]),
        (["pug_1 1 2", "pug_2 1 2"], [["pug_1", "1", "2"], ["pug_2", "1", "2"]]),
        (["x/a b 1.jpg", "y/c 2.jpg"], [["x/a b 1.jpg"], ["y/c 2.jpg"]]),
        (['"a b.jpg" 0', "c.JPG 1"], [["a b.jpg", "0"], ["c.JPG", "1"]]),
    ],
)
def test_lists_separated_by_blanks(tmp_path, lines, cells):
    assert read(tmp_path, *lines).cells == cells


def test_comments_before_the_rows(tmp_path):
    rows = read(tmp_path, "# made by us", "#", "1.jpg,a", "2.jpg,b", "3.jpg,a")
    assert (rows.cells, rows.numbers) == (PAIRS, [3, 4, 5])
    rows = read(tmp_path, "# made by us", "# file, label", "1.jpg,a", "2.jpg,b", "3.jpg,a")
    assert (rows.cells[0], rows.numbers[:2]) == (["file", "label"], [2, 3])
    rows = read(tmp_path, "#1.jpg,a", "#2.jpg,b")
    assert rows.cells[0] == ["#1.jpg", "a"]


def test_excels_unicode_text(tmp_path):
    lines = ["1.jpg\ta", "2.jpg\tb", "3.jpg\ta"]
    assert read(tmp_path, *lines, encoding="utf-16").cells == PAIRS


def test_decimal_commas_between_semicolons(tmp_path):
    rows = read(tmp_path, "1.jpg;3,5;a", "2.jpg;4;b", "3.jpg;1,25;a")
    assert [row[1] for row in rows.cells] == ["3,5", "4", "1,25"]


@pytest.mark.parametrize(
    "lines",
    [
        ["1.jpg\t\ta", "2.jpg\tb", "3.jpg\t\t\ta"],
        ["1.jpg,a,", "2.jpg,b", "3.jpg,a,,"],
    ],
)
def test_separators_too_many(tmp_path, lines):
    assert read(tmp_path, *lines).cells == PAIRS


def test_an_index_without_a_name(tmp_path):
    rows = read(tmp_path, "file,label", "1,1.jpg,a", "2,2.jpg,b")
    assert rows.cells[0] == ["", "file", "label"]
    rows = read(tmp_path, "file,label", "1.jpg,a,", "2.jpg,b,")
    assert rows.cells == [["file", "label"], *PAIRS[:2]]


def test_bad_rows_are_named_as_a_person_counts_them(tmp_path):
    path = table(tmp_path / "t.csv", ["file,label", "", '"1.jpg","a', 'b"', "2.jpg,b,x", "3.jpg"])
    call = Call("qv.from_csv('t.csv'")
    with pytest.raises(qv.DataError, match=r"in row 5, 6;.*without them: .*max_bad=0.67\)"):
        without_bad(read_table(path), path, call, 0.05)
    with pytest.warns(qv.DataWarning, match="2 of 3 rows .* left out: row 5, 6"):
        rows = without_bad(read_table(path), path, call, 0.67)
    assert (rows.cells, rows.numbers) == ([["file", "label"], ["1.jpg", "a\nb"]], [1, 3])


def test_a_single_bad_row_stops_only_where_none_is_allowed(tmp_path):
    path = table(tmp_path / "t.csv", ["file,label", "1.jpg,a,x", "2.jpg,b", "3.jpg,a"])
    with pytest.warns(qv.DataWarning, match="1 of 3 rows .* left out: row 2"):
        without_bad(read_table(path), path, Call("f("), 0.05)
    with pytest.raises(qv.DataError, match="in row 2"):
        without_bad(read_table(path), path, Call("f("), 0)


def test_a_first_row_that_is_unlike_the_others(tmp_path):
    path = table(tmp_path / "t.csv", ["file", "1.jpg,a,3,x", "2.jpg,b,4,x", "3.jpg,a,5,x"])
    with pytest.raises(qv.DataError, match="got 1 in row 1, the first, and 4 in most others"):
        without_bad(read_table(path), path, Call("f("), 1)


def test_a_quote_that_is_not_closed(tmp_path):
    with pytest.raises(qv.DataError, match=r"each quote in .* to be closed, .* in row 3, which"):
        read(tmp_path, "file,label", "1.jpg,a", '2.jpg,"b', "3.jpg,a", "4.jpg,b")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("t.xlsx", r"save it as CSV, or: .*pd.read_excel\('.*t.xlsx', dtype=str"),
        ("t.json", "pd.read_json"),
        ("t.parquet", "pd.read_parquet"),
        ("t.mat", "scipy.io.loadmat"),
    ],
)
def test_tables_that_are_no_text(tmp_path, name, line):
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(qv.DataError, match=f"expected a CSV file, got .*{line}"):
        qv.from_csv(tmp_path / name)


def test_the_line_for_stanford_cars_works(tmp_path, monkeypatch, picture):
    import numpy as np
    from scipy.io import savemat

    for i in range(1, 9):
        picture(tmp_path / f"{i:05d}.jpg", "red" if i % 2 else "blue", seed=i)
    kind = [("class", "O"), ("fname", "O")]
    rows = np.array([(i % 2, f"{i:05d}.jpg") for i in range(1, 9)], dtype=kind)
    savemat(tmp_path / "cars_annos.mat", {"annotations": rows})
    with pytest.raises(qv.DataError) as error:
        qv.from_csv(tmp_path / "cars_annos.mat")
    line = str(error.value).partition("names: ")[2]
    asked = types.SimpleNamespace(from_df=lambda *args, **kwargs: (args, kwargs))
    monkeypatch.setitem(sys.modules, "qv", asked)
    made: dict[str, object] = {"qv": asked}
    exec(line.replace("qv.from_df(", "out = qv.from_df("), made)
    (frame,), options = made["out"]
    assert isinstance(frame, pd.DataFrame)
    assert len(qv.from_df(frame, **options, size=32, bs=2).split) == 8


def test_a_folder_is_no_table(tmp_path):
    table(tmp_path / "labels.csv", ["a,b"])
    with pytest.raises(qv.DataError, match=r"got the folder .*from_csv\('.*labels.csv'\)"):
        qv.from_csv(tmp_path)


def test_windows_encoding_is_named_with_what_reads_it(tmp_path):
    path = table(tmp_path / "t.csv", ["1.jpg,grün"], "cp1252")
    with pytest.raises(qv.DataError, match=r"in UTF-8.*pd.read_csv\(.*encoding='cp1252'"):
        read_table(path)


def test_the_call_that_reads_what_windows_wrote_works(tmp_path):
    (tmp_path / "t.csv").write_bytes("é.jpg;Bär\nf.jpg;Kuh\n".encode("cp1252"))
    with pytest.raises(qv.DataError, match="sep=';', encoding='cp1252'"):
        qv.from_csv(tmp_path / "t.csv")


def test_labels_with_blanks_after_names_without_suffix(tmp_path):
    lines = [f"{i:07d} {('A330-200', 'Cessna 172')[i % 2]}" for i in range(10)]
    (tmp_path / "t.txt").write_text("\n".join(lines))
    assert read_table(tmp_path / "t.txt").cells[1] == ["0000001", "Cessna 172"]
