from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from quickvision.base.choices import check_fields, flag, fraction, one_of, option, whole


@dataclass(frozen=True)
class Asked:
    epochs: int = option(3, low=1, high=9)
    patience: int | None = option(None, low=1)
    gradual: bool = option(False)
    way: str = option("up", words=("up", "down"))
    log: str | None = option(None, words=("one", "other"), hint="; see cbs=")
    head: Any = option("big", words=("big", "small"))

    def __post_init__(self) -> None:
        check_fields(self)


def test_what_is_declared_is_let_pass_and_numpys_numbers_become_pythons():
    asked = Asked(epochs=np.int64(4), patience=2, way="down", head=object())
    assert type(asked.epochs) is int
    assert (asked.epochs, asked.patience, asked.way, asked.log) == (4, 2, "down", None)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"epochs": 0}, "epochs: expected a whole number from 1, got 0"),
        ({"epochs": 1.5}, "epochs: expected a whole number from 1, got 1.5"),
        ({"epochs": True}, "epochs: expected a whole number from 1, got True"),
        ({"epochs": None}, "epochs: expected a whole number from 1, got None"),
        ({"epochs": 10}, "epochs: expected at most 9, got 10"),
        ({"patience": 0}, "patience: expected a whole number from 1, got 0"),
        ({"gradual": 1}, "gradual: expected True or False, got 1"),
        ({"way": "dwn"}, "way: expected 'up' or 'down', got 'dwn'; did you mean 'down'?"),
        ({"way": ["up"]}, r"way: expected 'up' or 'down', got \['up'\]"),
        ({"way": None}, "way: expected 'up' or 'down', got None"),
        ({"log": "x"}, "log: expected None, 'one' or 'other', got 'x'; see cbs="),
    ],
)
def test_what_is_not_is_named(option, said):
    with pytest.raises(ValueError, match=said):
        Asked(**option)


def test_an_array_is_no_word_and_no_number():
    for check in (lambda x: whole("n", x), lambda x: one_of("n", x, ("a", "b"))):
        with pytest.raises(ValueError, match="n: expected"):
            check(np.arange(3))


@pytest.mark.parametrize("value", [-0.1, 1.1, 0, 1, float("nan"), "0.5", True, None])
def test_fractions_lie_between_their_ends(value):
    with pytest.raises(ValueError, match="such as 0.2, above 0 to below 1, got"):
        fraction("share", value, 0.2, zero=False, one=False)
    assert fraction("share", 0, 0.2, zero=True, one=False) == 0
    assert fraction("share", np.float32(1), 0.2, zero=False, one=True) == 1
    assert flag("on", True) is True
