from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from quickvision.results import comparison
from quickvision.results.comparison import mcnemar, names_apart, said_of_failures, tabled


def pairs(both, one, other, neither):
    a = np.repeat([True, True, False, False], [both, one, other, neither])
    b = np.repeat([True, False, True, False], [both, one, other, neither])
    return a, b


@pytest.mark.parametrize(("one", "other"), [(5, 5), (9, 2), (2, 9), (30, 12), (1, 0)])
def test_it_is_the_exact_two_sided_coin_toss_of_the_discordant_pictures(one, other):
    expected = min(1.0, 2 * binom.cdf(min(one, other), one + other, 0.5))
    assert mcnemar(*pairs(40, one, other, 3)) == pytest.approx(expected)


def test_pictures_that_both_get_right_or_wrong_say_nothing():
    assert mcnemar(*pairs(1000, 7, 1, 500)) == mcnemar(*pairs(0, 7, 1, 0))
    assert mcnemar(*pairs(10, 0, 0, 3)) == 1.0


def test_different_pictures_are_refused():
    with pytest.raises(ValueError, match="expected the same pictures"):
        mcnemar(np.zeros(3, dtype=bool), np.zeros(4, dtype=bool))


def test_a_reason_that_several_have_is_told_once():
    said = said_of_failures(
        [
            ("a", "no https://x.org/a-12.pth, of a"),
            ("b", "no https://x.org/b-77.pth, of b"),
            ("c", "out of memory"),
        ]
    )
    assert said == [
        "a failed: no https://x.org/a-12.pth, of a",
        "b failed for the same reason",
        "c failed: out of memory",
    ]


def test_two_functions_of_one_name_are_numbered():
    assert names_apart(["resnet18", "timm/resnet18"]) == ["resnet18", "timm/resnet18"]
    assert [name[-2:] for name in names_apart([lambda: 1, lambda: 2])] == ["#1", "#2"]


def row(name, right, seed=0):
    cost = {"seconds": 1.0, "memory": None, "parameters": 9, "latency": 2.0}
    return {"name": name, "seed": seed, "failed": "", "right": right, **cost}


def test_a_failed_seed_makes_nobody_worse():
    one, other = [1] * 30 + [0] * 34, [0] * 30 + [1] * 34
    lost = {"name": "b", "seed": 1, "failed": "out of memory"}
    rows = [row("a", one), row("a", other, seed=1), row("b", one), lost]
    table = tabled(rows).set_index("name")  # two votes for each picture of a, one of b
    assert table["same"].to_dict() == {"a": True, "b": True}
    assert table["seeds"].to_dict() == {"a": 2, "b": 1}


def test_what_differs_is_told_from_what_does_not():
    good, close = [1] * 60 + [0] * 4, [1] * 58 + [0] * 6
    bad = [1] * 30 + [0] * 34
    table = tabled([row("bad", bad), row("good", good), row("close", close)]).set_index("name")
    assert table["same"].to_dict() == {"good": True, "close": True, "bad": False}
    assert table.index.tolist() == ["good", "close", "bad"]
    assert np.isnan(table.loc["good", "memory"])


def test_holms_correction():
    assert comparison._holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert comparison._holm([]) == []
