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
