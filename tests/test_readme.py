"""The README: its code runs, on small pictures in place of the big ones."""

from __future__ import annotations

import re
import shlex

import matplotlib.pyplot as plt
import pytest
from pasted import ROOT, commands, laid_out, python, quick, small

import quickvision as qv
from quickvision.recipes import pets

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def here(tmp_path, monkeypatch):
    laid_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(pets, "fetch_pets", lambda: tmp_path / "images")
    yield tmp_path
    plt.close("all")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:mirrored pictures seem wrong")  # digits stand in for pets
def test_the_python_blocks_run_one_after_the_other(here, monkeypatch):
    small(monkeypatch)
    names: dict[str, object] = {}
    assert len(python(README)) == 3
    for block in python(README):
        exec(block, names)
    assert isinstance(names["run"], qv.Run)
    assert len(names["run"].preds) == 40
    assert names["learn"].dls.vocab == names["run"].learn.dls.vocab


@pytest.mark.slow
def test_the_commands_run(here, command):
    lines = [line for line in commands(README) if line.startswith("quickvision ")]
    assert [line.split()[1] for line in lines] == [
        *("check", "train", "resume", "report", "compare", "export", "predict", "serve")
    ]
    for line in lines[:-1]:  # the page that waits for photos has tests of its own
        done = command(*quick(shlex.split(line)[1:]), cwd=here)
        assert done.returncode == 0, f"{line}: {done.stderr}"
    assert {p.name for p in (here / "runs").iterdir()} >= {"photos-001"}
    assert (here / "answers.csv").read_text().count("\n") == 12
    assert (here / "model" / "model.onnx").is_file()


def test_it_is_a_front_page():
    assert len(README.splitlines()) <= 120
    assert "@@" not in README


def test_the_make_commands_are_in_the_makefile():
    verbs = re.findall(r"\bmake (demo|test|nb|docs)\b", README)
    makefile = (ROOT / "Makefile").read_text()
    assert set(verbs) == {"demo", "test", "nb", "docs"}
    assert all(f"\n{verb}:" in makefile for verb in verbs)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_what_it_names_is_there():
    assert not set(re.findall(r"\bqv\.(\w+)", README)) - set(dir(qv))
    links = re.findall(r"\]\((?!http|#)([^)]+)\)", README)
    assert {"docs/index.md", "docs/course/index.md"} <= set(links)
    assert not [link for link in links if not (ROOT / link).is_file()]
