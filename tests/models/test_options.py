from __future__ import annotations

import inspect
from dataclasses import fields

import pytest
from torch import nn

import quickvision as qv
from quickvision.models.options import ModelOptions


def test_an_option_stands_in_the_signature_and_its_docstring():
    shown = inspect.signature(qv.cnn_learner).parameters
    for one in fields(ModelOptions):
        assert shown[one.name].default == one.default
        assert f"        {one.name}: " in qv.cnn_learner.__doc__


def test_a_module_or_a_function_may_stand_for_a_word():
    head = nn.Linear(3, 2)
    assert ModelOptions(head=head, opt=len).head is head


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layer_groups": 1}, "layer_groups: expected 2 or more, or None, got 1"),
        ({"precision": "int8"}, "precision: expected 'auto', 'float32', 'bf16' or 'fp16'"),
        ({"compile": "yes"}, "compile: expected True or False, got 'yes'"),
    ],
)
def test_what_is_out_of_range_is_named(options, said):
    with pytest.raises(ValueError, match=said):
        ModelOptions(**options)
