from __future__ import annotations

import warnings

import pytest

import quickvision as qv
from quickvision.data import cautions
from quickvision.data.options import Options


def test_uneven_classes_are_said_unless_something_is_done():
    with pytest.warns(qv.DataWarning, match=r"16 training pictures of a, 3 of b \(5\.3 times\)"):
        cautions.of_uneven({"a": 16, "b": 3}, None)
    cautions.of_uneven({"a": 100, "b": 3}, "weights")


def test_names_are_said_each_in_a_line():
    with pytest.warns(qv.DataWarning) as said:
        cautions.of_names(["turn_left", "Turn_Left"], Options())
    assert len(said) == 2


def test_advice_is_not_given_where_nobody_listens(tmp_path, picture):
    for i in range(30):
        picture(tmp_path / "p" / "red" / f"{i}.png", seed=i)
    for i in range(3):
        picture(tmp_path / "p" / "green" / f"{i}.png", "green", seed=100 + i)
    with pytest.warns(qv.Advice, match="uneven classes"):
        qv.load_data(tmp_path / "p", size=32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        qv.load_data(tmp_path / "p", size=32, verbose=False)
    (tmp_path / "p" / "red" / "bad.png").write_text("x")
    with pytest.warns(
        qv.DataWarning, match="left out 1 of"
    ):  # of wrong data it is said all the same
        qv.load_data(tmp_path / "p", size=32, verbose=False)
