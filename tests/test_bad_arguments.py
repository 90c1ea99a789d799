"""Bad arguments on the command line: a line that helps, the right exit code, nothing changed."""

from __future__ import annotations

import shutil
import sys
import warnings
from functools import cache

import click
import pytest
import typer
from made import RAW, tree

from quickvision.cli import commands as cli
from quickvision.runs.job import Job

pytestmark = pytest.mark.slow

WORDS = [
    "", "  ", "-1", "0", "1", "1.5", "1e9", "1e-99", "99999999999999999999", "nan", "-inf", "inf",
    "find", "wrod", "none", "None", "[]", "{}", "ünï", "..", "/", "gone/away",
    "table.csv", "text.jpg", "(", r"^(\w+)$", "True", "0x10", "1,5", "10 min", "--help-me",
]  # fmt: skip
TINY = ["--arch", "timm/test_resnet", "--weights", "none", "--size", "32"]
COMMANDS = {
    "train": ["train", "colours", "--out", "out", *TINY],
    "check": ["check", "colours"],
    "compare": ["compare", "colours", "timm/test_resnet", "--out", "out", "--weights", "none"],
    "resume": ["resume", "colours"],
    "models": ["models", "*test_res*"],
}


def options():
    group = typer.main.get_command(cli.app)
    for name in COMMANDS:
        for param in group.commands[name].params:
            if not getattr(param, "is_flag", False) and param.name not in ("out", "help"):
                first = param.opts[0] if isinstance(param, click.Option) or param.opts else ""
                yield name, first if first.startswith("-") else ""


@cache
def built(app):
    """What Typer makes of the commands: anew for each call, which takes most of its time."""
    return build(app)


build = typer.main.get_command


def run(arguments, monkeypatch):
    """Run the command line as `quickvision` does, and return its exit code."""
    monkeypatch.setattr("typer.main.get_command", built)
    monkeypatch.setattr(sys, "argv", ["quickvision", *arguments])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            cli.main()
        except SystemExit as done:
            return done.code or 0
    return 0


@pytest.mark.parametrize(("command", "option"), list(options()))
def test_each_option(place, monkeypatch, capsys, command, option):
    monkeypatch.setattr(Job, "train", lambda self: None)  # a run's options are looked at
    monkeypatch.setattr("quickvision.compare", lambda *args, **kwargs: "compared")
    before = tree(place)
    for word in WORDS:
        if not option and word in ("..", "/"):  # all that there is, which takes its time
            continue
        given = COMMANDS[command] + ([option, word] if option else [word])
        code = run(given, monkeypatch)
        out, err = capsys.readouterr()
        assert code in (0, 1, 2), (word, err)
        if code == 0 or (command == "check" and out):
            shutil.rmtree(place / "out", ignore_errors=True)
            continue
        assert "Traceback" not in err
        assert not RAW.search(err), (word, err)
        said = [line for line in err.splitlines() if line.strip()]
        assert said, (word, "nothing said")
        assert len(err) > 15
        kept = tree(place)
        assert all(kept[name] == before[name] for name in before), word
        assert not kept.keys() - before.keys(), (word, "left behind", kept.keys() - before.keys())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--lr", "inf"], 2, "lr: expected 'find', a rate"),
        (["--size", "20000"], 2, "size: expected"),
        (["--gradual", "--unfrozen-epochs", "0"], 2, "gradual goes with unfrozen epochs"),
        (["--weights", ""], 2, "weights: expected"),
        (["--seed", "99999999999999999999"], 2, "seed"),
        (["--max-bad", "nan"], 2, "--max-bad"),
        (["--valid", "nan"], 2, "fraction"),
        (["--bs", "1"], 2, "'auto' or a whole number from 2"),
    ],
)
def test_what_used_to_be_a_traceback(place, monkeypatch, capsys, arguments, code, said):
    monkeypatch.setattr(Job, "train", lambda self: None)
    assert run(["train", "colours", "--out", "out", *TINY, *arguments], monkeypatch) == code
    assert said in capsys.readouterr().err
    assert not (place / "out").exists()


def test_a_mistake_in_the_program_shows_where(place, monkeypatch):
    monkeypatch.setattr(Job, "train", lambda self: sorted([1, "a"]))
    with pytest.raises(TypeError):
        run(["train", "colours", "--out", "out", *TINY], monkeypatch)
