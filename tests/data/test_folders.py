from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

import quickvision as qv
from quickvision.data.folders import Look, Sides, content, copies_of, same_pictures
from quickvision.data.tree import Tree

NAMES = [f"{top}/{kind}/{i}.png" for top in ("d", "e") for kind in "ab" for i in range(3)]


def look(root=Path("root"), names=NAMES):
    return Look(root, Tree(names), "")


def test_inner_folders_come_first():
    assert [top for top, _ in Sides("", {"": "train", "val/": "valid"})] == ["val/", ""]


def test_the_only_class():
    assert Sides("", {"train/cats/": "train", "val/cats/": "valid"}).one_class == "cats"
    assert Sides("", {"train/": "train"}).one_class == ""
    assert Sides("", {"images/": "train"}).one_class == ""


def test_a_side_without_class_folders_has_none():
    tree = look(names=["test/test/1.jpg", "seg/cats/1.jpg", "seg/dogs/1.jpg", "one/cats/1.jpg"])
    assert content(tree, "test/", {"cats", "dogs"}) == ("test/test/", set())
    assert content(tree, "seg/", {"cats", "dogs"}) == ("seg/", {"cats", "dogs"})
    assert content(tree, "one/", {"cats", "dogs"}) == ("one/", {"cats"})


def test_copies_are_the_same_files(tmp_path, picture):
    for name in NAMES:
        picture(tmp_path / name, seed=hash(name) % 1000)
    assert not same_pictures(look(tmp_path), "d/", "e/")
    shutil.rmtree(tmp_path / "e")
    shutil.copytree(tmp_path / "d", tmp_path / "e")
    assert same_pictures(look(tmp_path), "d/", "e/")
    (tmp_path / "e/b/2.png").unlink()
    assert not same_pictures(look(tmp_path), "d/", "e/")


@pytest.mark.filterwarnings("ignore:left out 4 of 16")
def test_the_calls_that_are_proposed_work(tmp_path, picture, monkeypatch):
    """Two readings of the same folders, as they are printed, pasted; also below a namesake."""
    (tmp_path / "root" / "x").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "root" / "x")
    for i, name in enumerate(NAMES):
        picture(Path("root") / name, seed=i)
    call = {"size": 32, "bs": 2}
    doors = {name: partial(getattr(qv, name), **call) for name in ("from_folder", "from_name_re")}
    door = {"qv": SimpleNamespace(**doors)}
    outer = eval(look().classes_call(), door)
    assert list(outer.vocab) == ["d", "e"]
    inner = eval(look().inner_call(), door)
    assert list(inner.vocab) == ["a", "b"]
    assert list(eval(look().call("d/"), door).vocab) == ["a", "b"]
    for i in range(4):
        picture(Path("root") / "test" / f"{i}.png", seed=90 + i)
    assert list(eval(look().classes_call(["test/"]), door).vocab) == ["d", "e"]


def test_a_copy_is_called_like_one_and_has_the_same_pictures(tmp_path, picture):
    names = [f"{top}/1.png" for top in ("a", "a (1)", "a - Copy", "b")]
    for seed, name in zip((1, 1, 2, 1), names, strict=True):
        picture(tmp_path / name, seed=seed)
    assert copies_of(look(tmp_path, names)) == ["a (1)/"]
