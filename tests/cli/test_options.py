from __future__ import annotations

import pytest
import typer

from quickvision.cli.options import fraction


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--lr", "fast"], "expected 'find' or a rate such as 1e-3"),
        (["--schedule", "linear"], "one_cycle"),
        (["--opt", "adamm"], "adamw"),
        (["--mixup", "0.4", "--cutmix", "1"], "--mixup or --cutmix"),
        (["--gradual", "--unfrozen-epochs", "0"], "--gradual goes with unfrozen epochs"),
        (["--gradual", "--weights", "none"], "--gradual goes with weights"),
    ],
)
def test_choices_that_make_no_sense_exit_2(command, class_folders, tmp_path, options, said):
    done = command("train", class_folders, *options)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert not (tmp_path / "runs").exists()


def test_the_optimisers_and_schedules_of_the_command_line_are_the_librarys():
    from typing import get_args

    from quickvision.cli import commands as cli
    from quickvision.models import optimisers
    from quickvision.training import schedules

    assert set(get_args(cli.Opt)) == set(optimisers.OPTS)
    assert get_args(cli.Schedule) == schedules.SCHEDULES


@pytest.mark.parametrize(
    ("text", "value"), [("0.2", 0.2), ("1e-2", 0.01), ("val", "val"), ("split.csv", "split.csv")]
)
def test_what_is_no_number_is_a_folder_or_a_file(text, value):
    assert fraction(text) == value


@pytest.mark.parametrize("text", ["0", "1", "20", "-0.2", "nan", "inf"])
def test_what_is_no_fraction(text):
    with pytest.raises(typer.BadParameter, match="expected a fraction such as 0.2"):
        fraction(text)
