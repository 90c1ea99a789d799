"""Charts, in their own coordinates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickvision.report import charts
from quickvision.training.lr_find import LRFind


def inside(chart):
    """All that a chart draws is inside it."""
    for series in chart.series:
        corners = [tuple(map(float, pair.split(","))) for pair in series.line.split()]
        for x, y in [*corners, *((x, y) for x, y, _ in series.dots)]:
            assert chart.left - 0.1 <= x <= chart.right + 0.1
            assert chart.top - 0.1 <= y <= chart.bottom + 0.1
    for tick in chart.x_ticks:
        assert chart.left - 0.1 <= tick.at <= chart.right + 0.1
    for tick in chart.y_ticks:
        assert chart.top - 0.1 <= tick.at <= chart.bottom + 0.1


def history(n, **columns):
    rows = {"stage": ["frozen"] * (n - n // 2) + ["unfrozen"] * (n // 2), "epoch": range(1, n + 1)}
    return pd.DataFrame(
        {**rows, "train_loss": 1.0, "valid_loss": np.linspace(1, 0.2, n), **columns}
    )


@pytest.mark.parametrize("n", [1, 2, 6, 200])
def test_losses_and_accuracy_are_drawn_inside(n):
    drawn = charts.of_history(history(n, accuracy=0.9, error_rate=0.1, cached=True, seconds=1.0))
    assert [chart.y_label for chart in drawn] == ["loss", "accuracy, %"]
    for chart in drawn:
        inside(chart)
    assert len(drawn[0].series) == 2
    assert len(drawn[0].x_ticks) <= 13
    assert [rule.text for rule in drawn[0].rules] == (
        ["frozen", "unfrozen"] if n > 1 else ["frozen"]
    )


def test_an_accuracy_that_hardly_moves_is_no_cliff():
    chart = charts.of_history(history(4, accuracy=[0.94, 0.945, 0.943, 0.946]))[1]
    ys = [y for _, y, _ in chart.series[0].dots]
    assert max(ys) - min(ys) < 0.15 * (chart.bottom - chart.top)


def test_a_loss_that_is_no_number_is_left_out():
    chart = charts.of_history(history(3, valid_loss=[1.0, np.nan, np.inf]))[0]
    assert len(chart.series[1].dots) == 1
    inside(chart)


def test_without_accuracy_the_other_metrics_are_drawn():
    drawn = charts.of_history(history(3, error_rate=0.2, f1_score=0.8))
    assert [chart.y_label for chart in drawn] == [
        "loss",
        "error rate, %",
        "f1_score".replace("_", " "),
    ]


curves = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=60)


@given(losses=curves, pick=st.floats(1e-6, 1.0))
def test_the_pick_of_a_rate_finder_is_always_on_the_chart(losses, pick):
    lrs = np.logspace(-6, 0, len(losses))
    chart = charts.of_rates("frozen", LRFind(pick, "", lrs, np.array(losses), (1e-5, 1e-2)))
    inside(chart)
    assert len(chart.series[-1].dots) == 1


def test_a_rate_finder_that_saw_nothing_is_drawn_empty():
    chart = charts.of_rates("frozen", LRFind(2e-3, "", np.array([]), np.array([])))
    assert not any(series.dots or series.line for series in chart.series)


def test_what_explodes_is_cut_off():
    losses = np.array([1.0] * 20 + [0.5] * 9 + [400.0])
    chart = charts.of_rates("x", LRFind(1e-3, "", np.logspace(-6, 0, 30), losses, (1e-4, 1e-2)))
    inside(chart)
    low = [y for x, y in (map(float, p.split(",")) for p in chart.series[1].line.split())]
    assert max(low) - min(low) > 0.3 * (chart.bottom - chart.top)


def test_true_probabilities_lie_on_the_diagonal():
    table = pd.DataFrame(
        {
            "confidence": [0.5, 0.8, 1.0],
            "accuracy": [0.5, 0.8, 1.0],
            "low": 0.4,
            "high": 1.0,
            "n": 9,
        }
    )
    chart = charts.of_calibration(table)
    inside(chart)
    (x0, y0), (x1, y1) = (map(float, p.split(",")) for p in chart.diagonal.split())
    for x, y, _ in chart.series[0].dots:
        assert y == pytest.approx(y0 + (x - x0) * (y1 - y0) / (x1 - x0), abs=0.2)
