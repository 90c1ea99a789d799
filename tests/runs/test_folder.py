from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

import quickvision as qv
from quickvision.base.errors import RunError
from quickvision.runs.folder import new_run_folder, save_results


def test_folders_are_numbered_and_never_reused(tmp_path):
    made = [new_run_folder(tmp_path / "runs", "pets").name for _ in range(3)]
    assert made == ["pets-001", "pets-002", "pets-003"]


@pytest.mark.parametrize("name", ["a/b", "..", "", "ants & bees", "x" * 5])
def test_any_name_stays_inside_the_folder(tmp_path, name):
    path = new_run_folder(tmp_path, name)
    assert path.parent == tmp_path
    assert path.is_dir()


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "runs").write_text("x")
    with pytest.raises(RunError, match="got a file|got: "):
        new_run_folder(tmp_path / "runs", "pets")


def test_two_at_once_are_refused(stopped):
    from quickvision.runs.folder import locked

    with locked(stopped), pytest.raises(qv.RunError, match=rf"another .*pid {os.getpid()}"):
        qv.resume(stopped)
    assert len(qv.resume(stopped, verbose=False).history) == 4  # what is left is no lock


def test_every_result_is_moved_into_place_whole(run, tmp_path, monkeypatch):
    placed, place = set(), os.replace

    def move(part, path):
        placed.add(Path(path).name)
        return place(part, path)

    monkeypatch.setattr(os, "replace", move)
    save_results(replace(run, path=tmp_path))
    written = {path.name for path in tmp_path.iterdir()}
    assert written == placed
    assert {"predictions.csv", "predictions.npz", "confused.csv", "history.png"} < written


MOVED = r"; if they have moved, say where to: resume\('.*colours-001', {}=\.\.\.\)"
CLI = r", or quickvision resume .*colours-001 --data \.\.\.$"


def test_where_pictures_have_moved_it_says_how_to_say_so(stopped, class_folders, tmp_path):
    moved = class_folders.rename(tmp_path / "moved")
    with pytest.raises(qv.DataError, match=MOVED.format("data") + CLI):
        qv.resume(stopped, verbose=False)
    class_folders.mkdir()  # a drive that is not there
    with pytest.raises(qv.DataError, match="expected pictures in .*" + MOVED.format("data")):
        qv.resume(stopped, verbose=False)
    with pytest.raises(qv.DataError, match="got nothing at .*far/away") as caught:
        qv.resume(stopped, data=tmp_path / "far" / "away", verbose=False)
    assert "if they have moved" not in str(caught.value)
    (moved / "red" / "red_00.png").rename(tmp_path / "red_00.png")
    with pytest.raises(qv.RunError, match="1 gone .*put them back, or begin" + ".*moved.*" + CLI):
        qv.resume(stopped, data=moved, verbose=False)
    (tmp_path / "red_00.png").rename(moved / "red" / "red_00.png")
    assert len(qv.resume(stopped, data=moved, verbose=False).history) == 4


def test_weights_that_have_moved_are_given_again(stopped, body, tmp_path):
    moved = body.rename(tmp_path / "moved.pth")
    with pytest.raises(qv.ModelError, match="got nothing at .*" + MOVED.format("weights") + "$"):
        qv.resume(stopped, verbose=False)
    assert len(qv.resume(stopped, weights=moved, verbose=False).history) == 4


def test_tables_that_have_moved_are_given_again(class_folders, tmp_path):
    options = {"arch": "timm/test_resnet", "weights": None, "size": 32, "bs": 6, "lr": 1e-3}
    options |= {"frozen_epochs": 0, "unfrozen_epochs": 1, "plots": False, "verbose": False}
    dls = qv.from_folder(class_folders, size=32, bs=6, seed=3)
    files = {"valid": qv.save_split(dls, tmp_path / "split.csv"), "class_names": tmp_path / "n.csv"}
    files["class_names"].write_text("red,rot\ngreen,grün\nblue,blau\n", encoding="utf-8")
    run = qv.train(class_folders, out=tmp_path / "o", **files, **options)
    moved = {name: file.rename(tmp_path / f"moved-{file.name}") for name, file in files.items()}
    both = MOVED.format("valid=..., class_names").replace("=...,", r"=\.\.\.,")
    with pytest.raises(qv.DataError, match=both + "$"):
        qv.resume(run, verbose=False)
    again = qv.resume(run, more_epochs=1, verbose=False, **moved)
    assert again.preds.vocab == run.preds.vocab
    with pytest.raises(TypeError, match="weights: the run goes on as it began"):
        qv.resume(run, weights=tmp_path / "other.pth", verbose=False, **moved)
