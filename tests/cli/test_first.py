from __future__ import annotations

import pytest
from made import in_a_process

import quickvision as qv


def answered(*arguments, cwd):
    _, err, code, loaded = in_a_process(*arguments, cwd=cwd)
    return err, code, "torch" in loaded, "numpy" in loaded


@pytest.fixture
def nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "notes.pdf").write_text("x")
    (tmp_path / "empty.csv").write_text("")
    return tmp_path


@pytest.mark.parametrize("command", ["train", "check", "compare"])
@pytest.mark.parametrize("path", ["nope", "nope.csv", "empty", "deep", "empty.csv"])
def test_where_there_is_nothing_the_librarys_words_come_before_torch(
    nothing, monkeypatch, command, path
):
    more = ["resnet18"] if command == "compare" else []
    text, code, *loaded = answered(command, path, *more, cwd=nothing)
    assert (code, loaded) == (1, [False, False])
    monkeypatch.chdir(nothing)
    with pytest.raises(qv.DataError) as error:
        qv.load_data(path)
    assert text.strip() == f"error: {error.value}"


@pytest.mark.parametrize("command", ["resume", "export", "report"])
def test_a_missing_run_is_told_from_a_wrong_folder_and_the_runs_are_named(nothing, command):
    run = nothing / "runs" / "pets-001"
    run.mkdir(parents=True)
    (run / "config.json").write_text('{"quickvision": "0.1.0", "n_train": 5}')
    more = ["model"] if command == "export" else []
    for path, said in (
        ("runs/zoo-9", "got nothing at runs/zoo-9; there is runs/pets-001"),
        ("runs/pets-002", "got nothing at runs/pets-002; did you mean 'runs/pets-001'?"),
        ("empty", "got empty, which has no config.json; there is runs/pets-001"),
        ("runs", "got runs, which has no config.json; there is runs/pets-001"),
        ("empty.csv", "got the file empty.csv; there is runs/pets-001"),
    ):
        text, code, *loaded = answered(command, path, *more, cwd=nothing)
        assert (code, loaded) == (1, [False, False])
        assert text.strip() == f"error: expected the folder of a run, {said}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["models", "zzz"],
        ["train", ".", "--arch", "resnte34"],
        ["train", ".", "--siz", "3"],
        ["train", ".", "--resize", "crp"],
        ["train", "--size", "32", "nope"],
        ["train", ".", "--augment", "lite"],
        ["check", ".", "--valid", "2"],
    ],
)
def test_what_is_misspelled_is_said_before_torch(nothing, picture, arguments):
    picture(nothing / "ants" / "1.png")
    text, code, torch, _ = answered(*arguments, cwd=nothing)
    assert code in (1, 2)
    assert text
    assert not torch


def test_the_look_for_a_picture_ends_at_the_first(tmp_path, picture, monkeypatch):
    from quickvision.data import paths

    for i in range(30):
        picture(tmp_path / f"{i:02d}" / "1.png")
    looked_at, is_folder = [], paths._is_folder
    monkeypatch.setattr(paths, "_is_folder", lambda e: looked_at.append(e.path) or is_folder(e))
    paths.look(tmp_path)
    assert len(looked_at) == 31  # the folders at the top, and one file


def test_a_table_without_pictures_beside_it_is_left_to_the_library(tmp_path):
    from quickvision.data import paths

    with pytest.raises(qv.DataError, match="expected pictures"):
        paths.look(tmp_path)
    (tmp_path / "labels.csv").write_text("file,label\n/elsewhere/1.png,a\n")
    assert paths.look(tmp_path) is None
