from __future__ import annotations

import pytest
import typer

from quickvision.cli import commands
from quickvision.cli.told import spelling_for

GROUP = typer.main.get_command(commands.app)


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (["train", "--size", "32", "photos", "--flip"], {"PATH": "photos"}),
        (
            ["compare", "photos", "a", "b c", "--opt", "sgd"],
            {"PATH": "photos", "MODELS": "a 'b c'"},
        ),
        (["export", "runs/x", "m", "--onnx"], {"RUN": "runs/x", "MODEL": "m"}),
        (["evaluate", "m", "test"], {"MODEL": "m", "PATH": "test"}),
        (["--help"], {}),
        ([], {}),
    ],
)
def test_who_is_spoken_to(arguments, given):
    spell = spelling_for(GROUP.commands, arguments)
    assert spell.given == given
    assert spell.command == (arguments[0] if given else "")


def test_options_go_by_the_librarys_names():
    options = spelling_for(GROUP.commands, []).options
    assert options["train"]["pat"].yes == "--pattern"
    assert options["train"]["cache_features"].no == "--no-cache-features"
    assert options["compare"]["opts"] == options["compare"]["opt"]
    assert options["serve"]["hosts"].yes == "--host"
    assert not options["train"]["size"].is_flag
    assert set(options) == set(GROUP.commands)
