from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from fastcore.foundation import L

from quickvision.paths import Paths, find_files, relative


def test_hidden_files_and_odd_names(tmp_path, picture):
    shown = [picture(tmp_path / name) for name in ("a b.png", "ü%#.JPG", "line\nbreak.png")]
    for hidden in (".hidden.png", "._x.png", ".ipynb_checkpoints/y.png", "__MACOSX/z.png"):
        picture(tmp_path / hidden)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert sorted(Paths(tmp_path, find_files(tmp_path)[0])) == sorted(shown)


class TestPaths:
    def test_they_are_what_a_list_of_paths_is(self, tmp_path):
        names = ["a/1.png", "b/2.png", "3.png"]
        paths, plain = Paths(tmp_path, names), [tmp_path / name for name in names]
        assert list(paths) == plain
        assert (len(paths), paths[-1], list(paths[1:]), paths[0].name) == (
            3,
            plain[2],
            plain[1:],
            "1.png",
        )
        assert np.asarray(paths).tolist() == plain
        assert list(pickle.loads(pickle.dumps(paths))) == plain
        assert plain[1] in paths
        with pytest.raises(IndexError):
            paths[3]

    def test_fastai_takes_them_as_they_are(self, tmp_path):
        items = L(Paths(tmp_path, ["1.png", "2.png", "3.png"]), use_list=None)
        assert isinstance(items.items, Paths)
        assert list(items[[0, 2]]) == [tmp_path / "1.png", tmp_path / "3.png"]
        assert list(items[1:]) == [tmp_path / "2.png", tmp_path / "3.png"]

    def test_a_file_elsewhere_keeps_its_place(self, tmp_path):
        assert Paths(Path("data"), [f"{tmp_path}/x.png"])[0] == tmp_path / "x.png"

    def test_they_show_themselves(self):
        shown = repr(Paths(Path("data"), [f"{i}.png" for i in range(1200)]))
        assert shown.startswith("(1,200 paths) [")
        assert shown.endswith(", ...]")


def test_one_order_on_every_machine(tmp_path, picture):
    for name in ("b/2.png", "b/1.png", "a/9.png", "z.png", "B/1.png", "a/deep/0.png"):
        picture(tmp_path / name)
    names = ["z.png", "B/1.png", "a/9.png", "a/deep/0.png", "b/1.png", "b/2.png"]
    assert find_files(tmp_path)[0] == names


def test_a_folder_named_like_a_picture_is_looked_into(tmp_path, picture):
    picture(tmp_path / "scans.raw" / "1.png")
    (tmp_path / "notes.txt").write_text("x")
    assert find_files(tmp_path) == (["scans.raw/1.png"], ["notes.txt"])


@pytest.mark.parametrize(
    ("path", "root", "below"),
    [
        ("data/a/1.png", "data", "a/1.png"),
        ("data2/1.png", "data", ""),
        ("a/1.png", ".", "a/1.png"),
        ("/a/1.png", ".", ""),
        ("/a/1.png", "/", "a/1.png"),
    ],
)
def test_what_is_below_what(path, root, below):
    assert relative(path, Path(root)) == below
