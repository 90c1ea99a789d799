from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

import quickvision as qv
from quickvision.data.tables import list_csv, list_df
from tests.made import files, table

N = 12


@pytest.fixture
def data(tmp_path, monkeypatch):
    """`data/images` and a table in `data/labels` that names them from there."""
    files(tmp_path, [f"data/images/{i}.jpg" for i in range(N)])
    rows = [f"../images/{i}.jpg,{'ab'[i % 2]}" for i in range(N)]
    table(tmp_path / "data/labels/t.csv", ["file,label", *rows])
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def test_names_are_the_same_wherever_the_call_is_made(data, monkeypatch):
    ways = [list_csv("data/labels/t.csv"), list_csv(data / "labels/t.csv")]
    monkeypatch.chdir(data / "labels")
    ways.append(list_csv("t.csv"))
    monkeypatch.chdir(data / "images")
    ways.append(list_csv("../labels/t.csv"))
    assert {tuple(way.names) for way in ways} == {tuple(f"images/{i}.jpg" for i in range(N))}
    assert [way.root.resolve() for way in ways[1:2]] == [data]


def test_names_are_the_same_wherever_the_data_lies(data, tmp_path):
    shutil.copytree(data, tmp_path / "far/away/other")
    away = list_csv(tmp_path / "far/away/other/labels/t.csv")
    assert away.names == list_csv(data / "labels/t.csv").names
    assert (away.root / away.names[0]).is_file()


def test_two_dots_are_resolved(data):
    rows = [f"images/{i}.jpg,{'ab'[i % 2]}" for i in range(N)]
    table(data / "labels/u.csv", ["file,label", *rows])
    listing = list_csv("data/labels/u.csv", images="..")
    assert (listing.root, listing.names[0]) == (Path("data"), "images/0.jpg")
    assert list_csv("data/labels/u.csv").names == listing.names


def test_pictures_beside_the_tables_folder(data):
    table(data / "labels/u.txt", [f"{i} {i % 2}" for i in range(N)])
    listing = list_csv("data/labels/u.txt")
    assert (listing.root, listing.names[0]) == (Path("data/images"), "0.jpg")


def test_the_tables_folder_in_front(data):
    rows = [f"data/images/{i}.jpg,{'ab'[i % 2]}" for i in range(N)]
    table(data / "t.csv", ["file,label", *rows])
    listing = list_csv("data/t.csv")
    assert (listing.root, listing.names[0]) == (Path("data"), "images/0.jpg")


def test_a_frame_of_whole_paths_does_not_depend_on_the_working_folder(data, monkeypatch):
    rows = {"f": [str(data / f"images/{i}.jpg") for i in range(N)], "label": list("ab") * 6}
    first = list_df(pd.DataFrame(rows))
    monkeypatch.chdir(data / "labels")
    assert list_df(pd.DataFrame(rows)).names == first.names == [f"{i}.jpg" for i in range(N)]
    assert first.root == data / "images"


def test_pictures_far_from_their_table(data, tmp_path):
    rows = [f"{data}/images/{i}.jpg,{'ab'[i % 2]}" for i in range(N)]
    listing = list_csv(table(tmp_path / "a/b/c/t.csv", ["file,label", *rows]))
    assert (listing.root, listing.names[0]) == (data / "images", "0.jpg")


def test_masks_beside_images(data):
    files(data, [f"masks/{i}.png" for i in range(N)])
    table(data / "t.csv", ["id,label", *(f"{i},{i % 2}" for i in range(N))])
    assert list_csv(data / "t.csv").root == data / "images"


def test_a_folder_that_is_not_there_names_those_that_are(data):
    with pytest.raises(qv.DataError, match=r"got nothing at .*pics; there are images, labels; say"):
        list_csv(table(data / "t.csv", ["file,label", "0.jpg,a"]), images="pics")
