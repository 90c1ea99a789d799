from __future__ import annotations

import pytest

import quickvision as qv
from quickvision.data.held_side import named_side
from quickvision.data.tree import Tree

NAMES = [f"{top}/{kind}/1.jpg" for top in ("train", "val") for kind in "ab"]


def test_a_folder_is_found_as_it_is_seen_from_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "d" / "val").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    found = named_side(tmp_path / "d", Tree(NAMES), "d/val")
    assert (found.of("train"), found.of("valid")) == (["train/"], ["val/"])


def test_a_list_of_files_is_no_folder_and_the_way_to_use_it_is_said(tmp_path, picture):
    for i, kind in enumerate("aabb"):
        picture(tmp_path / kind / f"{i}.png", seed=i)
    (tmp_path / "test.txt").write_text("a/1\nb/3\n")
    with pytest.raises(qv.DataError, match=r"got the list .*valid=lambda") as error:
        qv.from_folder(tmp_path, valid=tmp_path / "test.txt")
    rule = eval(str(error.value).partition("valid=lambda")[2].join(["lambda", ""]))
    dls = qv.from_folder(tmp_path, valid=rule, size=8)
    assert sorted(dls.split.path[dls.split.valid]) == ["a/1.png", "b/3.png"]


def test_a_side_in_each_class_folder_is_found_by_its_name(tmp_path):
    names = [f"{kind}/{side}/1.jpg" for kind in ("cats", "dogs") for side in ("train", "test")]
    found = named_side(tmp_path, Tree(names), "test")
    assert (found.inner, found.sides) == (True, {"": "train"})
