from __future__ import annotations

import pytest

import quickvision as qv
from quickvision.base.errors import did_you_mean, some


def test_near_words_are_named_once():
    assert did_you_mean("resnte34", ["resnet34", "resnet34", "vgg"]) == "; did you mean 'resnet34'?"
    assert did_you_mean("zebra", ["resnet34"]) == ""


def test_three_examples_and_a_count():
    assert some(["a", "b"]) == "a, b"
    assert some(list("abcde")) == "a, b, c and 2 more"


@pytest.mark.parametrize("error", [qv.DataError, qv.ModelError, qv.RunError])
def test_one_parent(error):
    assert issubclass(error, qv.QuickvisionError)
