from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickvision.base.figures import Accuracy, spoken, to_seconds


def test_prints_percent_interval_and_n():
    assert str(Accuracy(145, 153)) == "94.8% (90.0-97.3, n=153)"
    assert str(Accuracy(0, 1478)) == "0.0% (0.0-0.3, n=1,478)"


def test_wilson_interval_matches_the_closed_form():
    k, n, z = 145, 153, 1.959963984540054
    p = k / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
    assert Accuracy(k, n).interval == pytest.approx((middle - half, middle + half))


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_holds_the_value_and_stays_in_bounds(counts):
    accuracy = Accuracy(*counts)
    low, high = accuracy.interval
    assert -1e-9 <= low <= accuracy.value + 1e-9
    assert accuracy.value - 1e-9 <= high <= 1 + 1e-9


@pytest.mark.parametrize(("correct", "n"), [(1, 0), (3, 2), (-1, 5)])
def test_impossible_counts_are_refused(correct, n):
    with pytest.raises(ValueError, match="expected 0 <= correct <= n"):
        Accuracy(correct, n)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10min", 600),
        ("10 min", 600),
        ("1.5h", 5400),
        ("45", 45),
        (45, 45),
        (0.5, 0.5),
    ],
)
def test_times_are_read(text, seconds):
    assert to_seconds(text) == seconds


@pytest.mark.parametrize("text", ["soon", "", "-5", "0", 0, -1, "10 parsecs", True, float("nan")])
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match="expected a time such as '10min' or seconds"):
        to_seconds(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (50, "50 s"), (240, "4 min"), (5400, "1.5 h")]
)
def test_times_are_said(seconds, text):
    assert spoken(seconds) == text
