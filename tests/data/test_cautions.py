from __future__ import annotations

import pytest

import quickvision as qv
from quickvision.data import cautions
from quickvision.data.options import Options


def test_uneven_classes_are_said_unless_something_is_done():
    with pytest.warns(qv.DataWarning, match=r"100 training pictures of a, 3 of b"):
        cautions.of_uneven({"a": 100, "b": 3}, None)
    cautions.of_uneven({"a": 100, "b": 3}, "weights")


def test_names_are_said_each_in_a_line():
    with pytest.warns(qv.DataWarning) as said:
        cautions.of_names(["turn_left", "Turn_Left"], Options())
    assert len(said) == 2
