from __future__ import annotations

import ast

import pytest

from quickvision.cli.values import Named, shell, with_text, with_value

FLAG, VALUE = Named("--flip", "--no-flip", is_flag=True), Named("--size")


@pytest.mark.parametrize(
    ("code", "said"),
    [("'a b'", "'a b'"), ("0.2", "0.2"), ("['a', 'b']", "a b"), ("path", "PATH"), ("...", "...")],
)
def test_values_are_written_for_a_shell(code, said):
    assert shell(ast.parse(code, mode="eval").body) == said


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        (FLAG, "True", "--flip"),
        (FLAG, "False", "--no-flip"),
        (Named("--lan", is_flag=True), "False", "no --lan"),
        (FLAG, "'folder'", None),
        (VALUE, "", "--size"),
        (VALUE, "True", None),
        (VALUE, "32", "--size 32"),
        (VALUE, "'a b'", "--size 'a b'"),
        (VALUE, "None", "no --size"),
        (VALUE, "(2, 3)", None),
        (Named("--weights"), "None", "--weights none"),
        (Named("--class-names"), "{'a': 'b'}", "--class-names FILE"),
    ],
)
def test_an_option_takes_what_the_command_line_can_say(option, value, said):
    assert with_text(option, value) == said


def test_functions_have_no_words_in_a_shell():
    assert with_value(VALUE, ast.parse("lambda p: 1", mode="eval").body) is None
    assert with_value(VALUE, ast.parse("3", mode="eval").body) == "--size 3"
