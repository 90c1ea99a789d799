from __future__ import annotations

import json

import pandas as pd
import pytest
from made import in_a_process

import quickvision as qv

HEAVY = {"torch", "fastai", "pandas", "scipy"}


@pytest.fixture
def new(tmp_path, picture):
    """A folder of two pictures."""
    for i, colour in enumerate(("red", "blue")):
        picture(tmp_path / "new" / f"{i}.png", colour, seed=300 + i)
    return tmp_path / "new"


def test_one_picture_loads_neither_torch_nor_pandas(model_folder, new):
    answer, err, code, loaded = in_a_process("predict", model_folder, new / "0.png")
    assert (code, HEAVY & loaded) == (0, set())
    said = qv.load_model(model_folder).predict(new / "0.png")
    assert answer.split()[-2:] == [said.label, f"{said.prob:.1%}"]
    assert err == ""


def test_a_line_a_picture(command, model_folder, new):
    ask = qv.load_model(model_folder)
    said = [ask.predict(new / f"{i}.png") for i in range(2)]
    done = command("predict", model_folder, "new", "new/0.png")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    labels = [[s.label, f"{s.prob:.1%}"] for s in said]
    assert [row[1:] for row in rows] == [*labels, labels[0]]
    assert [row[0] for row in rows] == ["new/0.png", "new/1.png", "new/0.png"]
    done = command("predict", model_folder, "new/0.png", "--top", 2, "--unsure-below", 1)
    one, other = done.stdout.splitlines()
    assert one.endswith("  not sure")
    assert other.startswith("           ")
    assert other.split() == [said[0].top(2)[1][0], f"{said[0].top(2)[1][1]:.1%}"]


def test_lines_fit_into_80_columns(command, model_folder, new):
    long = new / ("a" * 100)
    long.mkdir()
    (new / "0.png").rename(long / "0.png")
    done = command("predict", model_folder, long, new / "1.png")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stdout.splitlines()[0].partition(" ")[0].endswith("aaa/0.png")


def test_what_cannot_be_answered_is_said_and_the_others_are(command, model_folder, new):
    (new / "bad.png").write_text("no picture")
    (new.parent / "empty").mkdir()
    done = command("predict", model_folder, "new", "gone.png", "empty")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    errors = done.stderr.splitlines()
    assert [line.startswith("error: expected ") for line in errors] == [True] * 3
    assert "new/bad.png" in errors[0]
    assert "got nothing at gone.png" in errors[1]
    assert "expected pictures in empty, got none" in errors[2]


def test_json_is_an_object_a_line(command, model_folder, new):
    done = command("predict", model_folder, "new", "gone.png", "--json")
    one, _, gone = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, done.stderr) == (1, "")
    assert list(one) == ["path", "label", "prob", "probs", "unsure", "error"]
    assert next(iter(one["probs"])) == one["label"]
    assert one["prob"] == max(one["probs"].values())
    assert list(one["probs"].values()) == sorted(one["probs"].values(), reverse=True)
    assert (gone["label"], gone["prob"], gone["probs"]) == (None, None, {})
    assert gone["error"]


def test_a_table(command, model_folder, new):
    done = command("predict", model_folder, "new", "gone.png", "--csv", "out.csv")
    assert done.stdout == "written      out.csv: 3 rows\n"
    table = pd.read_csv(new.parent / "out.csv")
    assert list(table) == ["path", "label", "prob", "unsure", "error"]
    assert table["path"].tolist() == ["new/0.png", "new/1.png", "gone.png"]
    assert table["label"].isna().tolist() == [False, False, True]
    assert table["error"].isna().tolist() == [True, True, False]


@pytest.mark.parametrize("name", ["predict", "evaluate", "submit"])
def test_a_runs_folder_is_told_from_a_models(command, tmp_path, new, name):
    (tmp_path / "run").mkdir()
    said = {"quickvision": "0.1.0", "n_train": 9}
    (tmp_path / "run" / "config.json").write_text(json.dumps(said))
    done = command(name, "run", "new", *(["out.csv"] if name == "submit" else []))
    assert done.returncode == 1
    assert "got a run's, run; quickvision export run model writes one" in done.stderr
    done = command(name, "gone", "new", *(["out.csv"] if name == "submit" else []))
    assert done.returncode == 1
    assert done.stderr.startswith("error: expected the folder of an exported model, got nothing")


def test_evaluate_says_how_right_it_is(command, model_folder, class_folders):
    done = command("evaluate", model_folder, class_folders)
    assert (done.returncode, done.stderr) == (0, "")
    names = [line.partition(" ")[0] for line in done.stdout.splitlines()]
    assert names[:5] == ["labels", "pictures", "accuracy", "macro-F1", "confused"]
    assert "n=36)" in done.stdout
    (class_folders / "blue").rename(class_folders / "Blue")
    done = command("evaluate", model_folder, class_folders)
    assert done.returncode == 1
    assert "give the model's names with --class-names FILE, or leave" in done.stderr
    assert done.stderr.endswith("12 pictures out with --skip-unknown\n")
    done = command("evaluate", model_folder, class_folders, "--skip-unknown")
    assert "n=24)" in done.stdout
    assert done.stderr.startswith("warning: left out 12 of 36 pictures")


def test_submit_writes_what_the_sample_wants(command, model_folder, new):
    (new.parent / "sample.csv").write_text("Id,Class\n1,0\n0,0\n")
    done = command("submit", model_folder, "new", "out.csv", "--like", "sample.csv")
    assert done.returncode == 1
    assert "say what the first is counted as, --first 0 or --first 1" in done.stderr
    options = ("--like", "sample.csv", "--first", 1)
    done = command("submit", model_folder, "new", "out.csv", *options)
    assert (done.returncode, done.stderr) == (0, "")
    text = (new.parent / "out.csv").read_text()
    assert text.startswith("Id,Class\n1,")
    assert done.stdout.startswith("written      out.csv: 2 rows of Id, Class; 1 for blue")
    done = command("submit", model_folder, "new", "out.csv", *options, "--probs")
    assert done.returncode == 2
    assert done.stderr == "error: --probs goes without --like, whose columns say it\n"


@pytest.mark.parametrize("name", ["predict", "evaluate", "submit"])
def test_help_has_an_example(command, name):
    assert f"As: quickvision {name} model " in command(name, "--help").stdout
