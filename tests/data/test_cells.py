from __future__ import annotations

import os
import unicodedata

import pandas as pd
import pytest

import quickvision as qv
from quickvision.data.tables import list_csv, list_df
from tests.made import files, table

N = 12


def listed(top, cell, file, *, where="d/t.csv", **options):
    """Make twelve pictures and a table that names them otherwise; list it."""
    files(top, [file.format(i) for i in range(N)])
    rows = [f"{cell.format(i)},{'ab'[i % 2]}" for i in range(N)]
    return list_csv(table(top / where, ["file,label", *rows]), **options)


@pytest.mark.parametrize(
    ("cell", "file"),
    [
        ("d/images/{}.jpg", "d/images/{}.jpg"),  # the data set's own folder in front
        ("d\\images\\{}.jpg", "d/images/{}.jpg"),
        ("images/{}.jpg", "d/images/{}.jpg"),
        ("x{}.jpg", "d/images/X{}.JPG"),
        ("x{}", "d/images/x{}.webp"),
        ("/home/somebody/images/{}.jpg", "d/images/{}.jpg"),
        ("C:\\Users\\me\\images\\{}.jpg", "d/images/{}.jpg"),
        ("file:///x/images/a%20{}.jpg", "d/images/a {}.jpg"),
        ("https://host.org/images/{}.jpg?size=3", "d/images/{}.jpg"),
        ("x{}.jpg", "d/train/train/x{}.jpg"),
    ],
)
def test_ways_to_name_a_picture(tmp_path, cell, file):
    listing = listed(tmp_path, cell, file)
    assert not listing.left_out
    there = [(listing.root / name).relative_to(tmp_path).as_posix() for name in listing.names]
    assert there == [file.format(i) for i in range(N)]
    assert listing.labels == [listing.get_y(listing.root / name) for name in listing.names]


def test_whole_paths_are_listed_below_the_tables_folder(tmp_path):
    listing = listed(tmp_path, f"{tmp_path}/d/images/{{}}.jpg", "d/images/{}.jpg")
    assert (listing.root, listing.names[0]) == (tmp_path / "d", "images/0.jpg")


def test_an_accent_in_one_character_or_in_two(tmp_path):
    two, one = (unicodedata.normalize(form, "é") for form in ("NFD", "NFC"))
    assert not listed(tmp_path, one + "{}.jpg", f"d/images/{two}{{}}.jpg").left_out


@pytest.mark.parametrize("cell", ["{}", "{}.jpg"])
def test_leading_zeros_that_were_lost_are_said(tmp_path, cell):
    with pytest.warns(qv.DataWarning, match="12 names in .* lost their leading zeros: '0.*0000"):
        assert not listed(tmp_path, cell, "d/images/{:04d}.jpg").left_out


def test_numbers_of_a_frame_lose_zeros_too(tmp_path):
    files(tmp_path, [f"{i:03d}.jpg" for i in range(N)])
    with pytest.warns(qv.DataWarning, match="lost their leading zeros"):
        listing = list_df(pd.DataFrame({"id": range(N), "label": list("ab") * 6}), images=tmp_path)
    assert listing.names[7] == "007.jpg"


def test_another_suffix_is_said(tmp_path):
    with pytest.warns(qv.DataWarning, match="have another end: '0.jpeg' is taken for 0.png"):
        assert not listed(tmp_path, "{}.jpeg", "d/images/{}.png").left_out


def test_a_suffix_that_was_asked_for_is_the_only_one(tmp_path):
    with pytest.raises(qv.DataError, match="that names pictures"):
        listed(tmp_path, "{}", "d/images/{}.png", suffix=".jpg")
    assert not listed(tmp_path, "{}", "d/images/{}.JPG", suffix=".jpg").left_out


def test_pictures_in_several_folders(tmp_path):
    files(tmp_path, [f"d/part_{1 + i % 3}/x{i}.jpg" for i in range(N)])
    path = table(tmp_path / "d/t.csv", ["id,label", *(f"x{i},{'ab'[i % 2]}" for i in range(N))])
    with pytest.warns(qv.DataWarning, match=r"looked for in all folders below .*d: 4 in part_"):
        listing = list_csv(path)
    assert (listing.root, listing.names[1]) == (tmp_path / "d", "part_2/x1.jpg")


def test_what_one_folder_lacks_is_looked_for_in_others(tmp_path):
    files(tmp_path, [f"d/{'test' if i > 9 else 'train'}/im{i}.jpg" for i in range(N)])
    path = table(tmp_path / "d/t.csv", ["id,label", *(f"im{i}.jpg,{i % 2}" for i in range(N))])
    with pytest.warns(qv.DataWarning, match="2 in test"):
        listing = list_csv(path)
    assert (listing.names[0], listing.names[11]) == ("train/im0.jpg", "test/im11.jpg")


def test_a_folder_that_counts_for_itself_lends_no_pictures(tmp_path):
    files(
        tmp_path, [*(f"d/train/{i}.jpg" for i in range(N)), *(f"d/test/{i}.jpg" for i in range(20))]
    )
    path = table(
        tmp_path / "d/train.csv", ["id,label", *(f"{i}.jpg,{i % 2}" for i in range(N + 1))]
    )
    assert list_csv(path).left_out == {"12.jpg": "no such file"}


def test_a_table_of_train_does_not_take_test(tmp_path):
    with pytest.raises(
        qv.DataError, match="there is no 'train/0.jpg' there or in any folder below"
    ):
        listed(tmp_path, "train/{}.jpg", "d/test/{}.jpg")


def test_one_picture_is_not_two(tmp_path):
    files(tmp_path, ["d/a/1.jpg", *(f"d/a/x{i}.jpg" for i in range(9))])
    rows = ["a/1.jpg,u", "b/1.jpg,v", *(f"a/x{i}.jpg,u" for i in range(9))]
    assert list_csv(table(tmp_path / "d/t.csv", ["f,label", *rows])).left_out == {
        "b/1.jpg": "no such file"
    }


def test_several_pictures_of_one_name_are_told_apart_by_their_folders(tmp_path):
    files(tmp_path, [f"d/deep/{s}/{i}.jpg" for s in "ab" for i in range(6)])
    rows = [f"/elsewhere/{s}/{i}.jpg,{s}" for s in "ab" for i in range(6)]
    listing = list_csv(table(tmp_path / "d/t.csv", ["f,label", *rows]))
    assert listing.names[0] == "deep/a/0.jpg"
    assert listing.labels == [name.split("/")[1] for name in listing.names]


def test_several_pictures_of_one_name_that_nothing_tells_apart(tmp_path):
    files(tmp_path, [f"d/deep/{s}/{i}.jpg" for s in "ab" for i in range(6)])
    path = table(tmp_path / "d/t.csv", ["f,label", *(f"{i}.jpg,{i % 2}" for i in range(6))])
    with pytest.raises(qv.DataError, match=r"in each of deep/a, deep/b, .*images='deep/a'\)"):
        list_csv(path)
    assert list_csv(path, images="deep/a").names[0] == "0.jpg"


def test_copies_of_one_picture_are_one(tmp_path):
    files(tmp_path, [f"d/deep/{s}/{i}.jpg" for s in "ab" for i in range(6)])
    for i in range(6):
        (tmp_path / f"d/deep/b/{i}.jpg").write_bytes((tmp_path / f"d/deep/a/{i}.jpg").read_bytes())
    path = table(tmp_path / "d/t.csv", ["f,label", *(f"{i}.jpg,{i % 2}" for i in range(6))])
    with pytest.warns(qv.DataWarning, match="6 pictures of .* are there several times"):
        assert list_csv(path).names[0] == "deep/a/0.jpg"


def test_masks_are_not_taken_for_pictures(tmp_path):
    files(tmp_path, [f"d/deep/{s}/{i}.png" for s in ("images", "masks") for i in range(N)])
    listing = listed(tmp_path, "{}.png", "d/deep/images/{}.png")
    assert set(map(os.path.dirname, listing.names)) == {"deep/images"}
