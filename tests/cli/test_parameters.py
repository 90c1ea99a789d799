from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

import pytest
import typer

from quickvision.base.choices import option
from quickvision.cli.parameters import _fraction, number, takes, word


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


def test_the_words_of_the_command_line_are_the_librarys(command):
    from quickvision.base import choices
    from quickvision.models import optimisers

    assert tuple(optimisers.OPTS) == choices.OPTS
    said = command("train", "--help").stdout
    for words in (choices.OPTS, choices.SCHEDULES, choices.HEADS, choices.LOGS, choices.RESIZES):
        assert ", ".join(words) in re.sub(r"\s+", " ", said)


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (number(1), "0", "expected a whole number from 1, got 0"),
        (number(1), "x", "expected a whole number from 1, got 'x'"),
        (number(0, 1, whole=False), "1.5", "expected a number from 0 to 1, got 1.5"),
        (number(0, whole=False), "nan", "expected a number from 0, got nan"),
        (number(0, 2**63 - 1), "-1", "expected a whole number from 0, got -1"),
        (word("crop", "pad"), "crp", "expected 'crop' or 'pad', got 'crp'; did you mean 'crop'?"),
    ],
)
def test_what_is_no_number_or_word_is_refused_in_the_librarys_words(read, text, said):
    with pytest.raises(typer.BadParameter) as error:
        read(text)
    assert error.value.message == said


def test_numbers_and_words_are_read():
    assert (number(1)("3"), number(0, 1, whole=False)("0.5"), word("a", "b")("b")) == (3, 0.5, "b")


@pytest.mark.parametrize(
    ("text", "value"), [("0.2", 0.2), ("1e-2", 0.01), ("val", "val"), ("split.csv", "split.csv")]
)
def test_what_is_no_number_is_a_folder_or_a_file(text, value):
    assert _fraction(text) == value


@pytest.mark.parametrize("text", ["0", "1", "20", "-0.2", "nan", "inf"])
def test_what_is_no_fraction(text):
    with pytest.raises(typer.BadParameter, match="expected a fraction such as 0.2"):
        _fraction(text)


def test_options_that_a_command_has_already_stay_its_own():
    def own(epochs: str = "mine", **options: object) -> None: ...

    def empty(**options: object) -> None: ...

    @dataclass
    class Table:
        epochs: int = option(3, "Times through the pictures.", low=0)
        seed: int = option(42, "Of all chance.")

    shown = inspect.signature(takes(Table)(own)).parameters
    assert (shown["epochs"].default, shown["epochs"].annotation) == ("mine", str)
    assert list(shown) == ["epochs", "seed"]
    assert inspect.signature(takes(Table)(empty)).parameters["epochs"].default == 3
