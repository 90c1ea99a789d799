from __future__ import annotations

import gc
from pathlib import Path

import pytest

import quickvision as qv
from quickvision.data.paths import find_files, relative, to_paths


def test_hidden_files_and_odd_names(tmp_path, picture):
    shown = [picture(tmp_path / name) for name in ("a b.png", "ü%#.JPG", "line\nbreak.png")]
    for hidden in (".hidden.png", "._x.png", ".ipynb_checkpoints/y.png", "__MACOSX/z.png"):
        picture(tmp_path / hidden)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert sorted(to_paths(tmp_path, find_files(tmp_path)[0])) == sorted(shown)


def test_paths_of_names(tmp_path):
    names = ["a/1.png", "3.png", f"{tmp_path}/elsewhere.png"]
    assert to_paths(Path("data"), names) == [
        Path("data/a/1.png"),
        Path("data/3.png"),
        tmp_path / "elsewhere.png",
    ]
    assert gc.isenabled()
    gc.disable()
    to_paths(Path("data"), names)
    was, _ = gc.isenabled(), gc.enable()
    assert not was


def test_a_link_in_a_circle_stops_nothing(tmp_path, picture):
    picture(tmp_path / "1.png")
    (tmp_path / "loop").symlink_to("loop")
    assert find_files(tmp_path)[0] == ["1.png"]


def test_one_order_on_every_machine(tmp_path, picture):
    for name in ("b/2.png", "b/1.png", "a/9.png", "z.png", "B/1.png", "a/deep/0.png"):
        picture(tmp_path / name)
    names = ["z.png", "B/1.png", "a/9.png", "a/deep/0.png", "b/1.png", "b/2.png"]
    assert find_files(tmp_path)[0] == names


def test_a_folder_named_like_a_picture_is_looked_into(tmp_path, picture):
    picture(tmp_path / "scans.raw" / "1.png")
    (tmp_path / "notes.txt").write_text("x")
    assert find_files(tmp_path) == (["scans.raw/1.png"], ["notes.txt"], [])


def test_folders_of_systems_and_tools_are_no_data(tmp_path, picture):
    for folder in ("@eaDir", "__MACOSX", ".ipynb_checkpoints", "$RECYCLE.BIN", "lost+found"):
        picture(tmp_path / folder / "1.png")
    picture(tmp_path / "cats" / "1.png")
    (tmp_path / "dogs").mkdir()
    assert find_files(tmp_path) == (["cats/1.png"], [], ["dogs/"])


def test_a_folder_is_called_by_its_own_name_and_not_by_a_link(tmp_path, picture):
    picture(tmp_path / "valid" / "1.png")
    (tmp_path / "test").symlink_to(tmp_path / "valid", target_is_directory=True)
    elsewhere = tmp_path.parent / "elsewhere"
    picture(elsewhere / "2.png")
    (tmp_path / "more").symlink_to(elsewhere, target_is_directory=True)
    assert find_files(tmp_path).names == ["valid/1.png", "more/2.png"]


@pytest.mark.parametrize("name", ["runs/photos-001", "results", "a/b"])
@pytest.mark.parametrize("of", ["split.csv", "log.csv"])  # fastai's own loaders: no split.csv
def test_our_own_runs_are_no_data(tmp_path, picture, name, of):
    run = tmp_path / name
    picture(run / "history.png")
    (run / of).write_text("path,label,valid\n")
    (run / "config.json").write_text('{"quickvision": "0.1.0"}')
    assert find_files(tmp_path).names == []
    (run / "config.json").write_text('{"name": "of something else"}')
    assert len(find_files(tmp_path).names) == 1


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


def test_what_other_tools_leave_is_no_data(tmp_path, picture):
    for name in ("cat/1.png", "wandb/run/1.png", "runs/train/curve.png"):
        picture(tmp_path / name)
    (tmp_path / "runs/train/args.yaml").write_text("")
    (tmp_path / "runs/train/results.csv").write_text("")
    assert find_files(tmp_path).names == ["cat/1.png"]


def test_what_reads_files_that_are_no_pictures_is_said(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.dcm").write_text("DICM")
    for door in (qv.load_data, qv.from_folder):
        with pytest.raises(qv.DataError, match=r"1 file of \.dcm \(pydicom reads them"):
            door(tmp_path)
