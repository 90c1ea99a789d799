from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import quickvision as qv
from quickvision.results.calibration import reliability
from quickvision.results.curves import (
    draw_epochs,
    draw_lr_find,
    draw_reliability,
    draw_stages,
    panels_of,
)

pytestmark = pytest.mark.drawn


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.subplots(layout="constrained")[1]


def history(n, **columns):
    falling = np.linspace(2.0, 0.5, n)
    table = {"stage": ["frozen"] * n, "epoch": range(1, n + 1), "train_loss": falling}
    table |= {"valid_loss": falling, "accuracy": np.linspace(0.6, 0.9, n), "lr": 1e-3}
    return pd.DataFrame(table | {"seconds": 2.0, "cached": False} | columns)


def test_losses_fractions_and_other_metrics_have_panels():
    table = history(3, f1=[0.5, 0.6, 0.7], perplexity=[9.0, 8.0, 7.0], note="x")
    assert panels_of(table) == [("train_loss", "valid_loss"), ("accuracy", "f1"), ("perplexity",)]


def test_what_never_was_a_number_has_no_panel():
    assert panels_of(history(2, valid_loss=np.nan)) == [("train_loss",), ("accuracy",)]
    assert panels_of(pd.DataFrame({"stage": ["a"], "train_loss": [np.nan]})) == [("train_loss",)]


@pytest.mark.parametrize("n", [1, 2, 50])
def test_losses_stand_on_an_axis_from_nought(ax, n):
    draw_epochs(ax, history(n), ("train_loss", "valid_loss"))
    low, high = ax.get_ylim()
    assert low == 0
    assert 2.0 < high < 2.5
    ticks = ax.get_xticks()
    assert all(tick == round(tick) for tick in ticks)
    assert not any(ax.get_xlim()[0] <= tick < 1 for tick in ticks)


def test_a_loss_may_be_below_nought(ax):
    draw_epochs(ax, history(3, train_loss=[-1.0, -2.0, -3.0]), ("train_loss",))
    assert ax.get_ylim()[0] < -3


def test_one_epoch_is_dots_with_their_values(ax):
    draw_epochs(ax, history(1), ("train_loss", "valid_loss"))
    assert [text.get_text() for text in ax.texts] == ["train loss 2.000", "valid loss 2.000"]
    ax.figure.canvas.draw()
    one, two = (text.get_window_extent() for text in ax.texts)
    assert not one.overlaps(two)  # though the values are the same
    assert ax.get_xticks().tolist() == [1]


def test_the_accuracy_of_one_epoch_stands_on_an_axis_of_all_hundred_percent(ax):
    draw_epochs(ax, history(1), ("accuracy",))
    assert ax.get_ylim() == (0, 1)
    assert ax.texts[0].get_text() == "accuracy 60.0%"


@pytest.mark.parametrize("values", [[0.978, 0.98, 0.979], [0.0, 0.0, 0.01], [1.0, 1.0, 1.0]])
def test_a_small_difference_is_no_cliff(ax, values):
    draw_epochs(ax, history(3, accuracy=values), ("accuracy",))
    low, high = ax.get_ylim()
    assert high - low >= 0.1 - 1e-9
    assert 0 <= low <= min(values) <= max(values) <= high <= 1
    ax.figure.canvas.draw()
    assert all(label.get_text().endswith("%") for label in ax.get_yticklabels())


def test_values_that_are_missing_leave_a_gap(ax):
    draw_epochs(ax, history(3, valid_loss=[np.nan, 0.5, np.nan]), ("train_loss", "valid_loss"))
    draw_epochs(ax, history(1, accuracy=np.nan), ("accuracy",))
    assert not [text for text in ax.texts if "nan" in text.get_text()]


def test_names_of_short_stages_do_not_lie_upon_each_other():
    _, axes = plt.subplots(2, 1)
    draw_stages(axes, ["solved", "frozen", "gradual", *["unfrozen"] * 50])
    axes[0].figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes[0].texts]
    assert len(boxes) == 4
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert [len(own.get_lines()) for own in axes] == [3, 3]


finite = st.floats(-5, 50)
loss = finite | st.floats(1e3, 1e12) | st.sampled_from([np.nan, np.inf, 0.0])
rate = st.floats(-9, 1).map(lambda x: 10**x)


@st.composite
def findings(draw):
    n = draw(st.integers(0, 25))
    lrs = np.geomspace(1e-7, draw(st.floats(-4, 1).map(lambda x: 10**x)), n)
    ends = sorted([draw(rate), draw(rate)])
    losses = np.array(draw(st.lists(loss, min_size=n, max_size=n)), dtype=float)
    return qv.LRFind(
        draw(rate), "", lrs, losses, tuple(ends) if draw(st.booleans()) else (np.nan,) * 2
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(findings(), min_size=1, max_size=4))
def test_the_pick_and_its_range_are_in_sight_whatever_the_curve(found):
    ax = plt.figure().add_subplot()
    draw_lr_find(ax, {str(i): one for i, one in enumerate(found)})
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert bottom < top
    for one in found:
        seen = np.isfinite(one.losses)
        lrs, losses = one.lrs[seen], one.losses[seen]
        low, high = one.lr_range
        assert left < one.lr < right
        if np.isfinite(low):
            assert left < low <= high < right
        if len(lrs):
            assert bottom <= np.interp(one.lr, lrs, losses) <= top
            lit = losses[(lrs >= low) & (lrs <= high)]
            assert ((bottom <= lit) & (lit <= top)).all()
    plt.close("all")


def test_what_explodes_does_not_flatten_the_rest(ax):
    lrs = np.geomspace(1e-6, 1, 40)
    losses = np.concatenate([np.linspace(1, 0.3, 30), np.geomspace(0.5, 1e6, 10)])
    draw_lr_find(ax, {"": qv.LRFind(1e-3, "", lrs, losses, (1e-5, 1e-3))})
    low, high = ax.get_ylim()
    assert 0 < low < 0.3
    assert 1 < high < 2


def test_a_lucky_first_batch_does_not_cut_the_curve_off(ax):
    """The first loss was 0.15, the others about 0.3: the axis ended at 0.225, the pick above it."""
    lrs = np.geomspace(1e-6, 1, 40)
    losses = np.concatenate([[0.15], np.linspace(0.35, 0.25, 39)])
    draw_lr_find(ax, {"unfrozen": qv.LRFind(1.6e-4, "", lrs, losses, (1e-5, 1e-3))})
    assert ax.get_ylim()[1] >= 0.35


def test_all_results_are_drawn_however_many(ax):
    lrs, losses = np.geomspace(1e-6, 1, 20), np.linspace(1, 0.5, 20)
    draw_lr_find(ax, {f"run {i}": qv.LRFind(1e-3, "", lrs, losses) for i in range(5)})
    assert len(ax.get_legend().get_texts()) == 5


def test_without_a_curve_that_is_said(ax):
    draw_lr_find(ax, {"": qv.LRFind(2e-3, "exploded", np.array([]), np.array([]))})
    assert "no curve" in ax.texts[0].get_text()


@pytest.mark.parametrize("n", [1, 30, 400])
def test_reliability_draws_each_group_with_its_interval_in_sight(ax, n):
    rng = np.random.default_rng(n)
    probs = rng.dirichlet(np.ones(3), n).astype(np.float32)
    preds = qv.Predictions(
        probs, rng.integers(0, 3, n), ("a", "b", "c"), np.ones(n, np.float32), ("x.jpg",) * n
    )
    table = reliability(preds)
    draw_reliability(ax, table, qv.calibration(preds))
    diagonal, dots = ax.get_lines()[:2]
    np.testing.assert_array_equal(*diagonal.get_data())
    np.testing.assert_allclose(dots.get_ydata(orig=False), table["accuracy"])
    low, high = ax.get_ylim()
    assert low <= table["low"].min()
    assert table["high"].max() <= high == 1
    assert f"{n} picture{'s' if n > 1 else ''}" in ax.get_title()
