from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chek"], "expected a command, got chek; did you mean check?"),
        (["zzz"], "expected a command, got zzz; quickvision --help lists them"),
        (
            ["check", ".", "--patern", "x"],
            "expected an option of quickvision check, got --patern; did you mean --pattern?",
        ),
        (
            ["check", ".", "--zzz"],
            "expected an option of quickvision check, got --zzz; quickvision"
            " check --help shows how",
        ),
        (
            ["resume"],
            "expected PATH (folder of the run, as runs/pets-001), got nothing; quickvision"
            " resume --help shows how",
        ),
        (
            ["check", ".", "b"],
            "expected quickvision check PATH, got more: b; quickvision check --help shows how",
        ),
        (["check", ".", "--size"], "--size: expected a value, got none"),
        (["check", ".", "--size", "x"], "--size: expected a whole number from 2, got 'x'"),
        (["predict", "m", "p", "--top", "0"], "--top: expected a whole number from 1, got 0"),
        (
            ["serve", "m", "--engine", "tf"],
            "--engine: expected 'auto', 'onnx' or 'torch', got 'tf'",
        ),
        (
            ["train", ".", "--budget", "soon"],
            "--budget: expected a time such as '10min' or seconds, got 'soon'",
        ),
    ],
)
def test_what_is_mistyped_is_one_line_in_the_librarys_style(command, arguments, said):
    done = command(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {said}\n")


def test_no_arguments_show_the_help(command):
    done = command()
    assert done.returncode == 2
    assert "Commands:" in done.stderr
