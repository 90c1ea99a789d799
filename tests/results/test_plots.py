from __future__ import annotations

import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made import made_up
from matplotlib.axes import Axes

import quickvision as qv
from quickvision.results.plots import plot_calibration, save_plot

pytestmark = pytest.mark.drawn


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def history():
    rows = [("frozen", 1, 0.9, 0.8), ("frozen", 2, 0.6, 0.5), ("unfrozen", 1, 0.4, 0.4)]
    return pd.DataFrame(rows, columns=["stage", "epoch", "train_loss", "valid_loss"])


FOUND = qv.LRFind(1e-3, "", np.geomspace(1e-6, 1, 30), np.linspace(1, 0.2, 30))


def test_confusion_shows_counts_names_and_accuracy():
    preds = made_up()
    ax = qv.plot_confusion(preds)
    cm = qv.confusion_matrix(preds)
    assert [int(t.get_text()) for t in ax.texts] == cm[cm > 0].tolist()
    assert [t.get_text() for t in ax.get_yticklabels()] == list(preds.vocab)
    assert ax.get_title() == f"accuracy {preds.accuracy}"


def many(c, n=400):
    rng = np.random.default_rng(0)
    targs = rng.integers(0, c, n)
    probs = rng.dirichlet(np.ones(c), n).astype(np.float32)
    losses = -np.log(probs[np.arange(n), targs])
    return qv.Predictions(
        probs, targs, tuple(f"class {i}" for i in range(c)), losses, (Path(),) * n
    )


def test_confusion_of_many_classes_drops_the_counts():
    ax = qv.plot_confusion(many(100))
    assert not ax.texts
    assert len(ax.get_xticks()) <= 100


def test_plots_draw_in_the_axes_they_are_given(history):
    _, axes = plt.subplots(1, 4)
    assert qv.plot_confusion(made_up(), ax=axes[0]) is axes[0]
    assert qv.plot_history(history, ax=axes[1]) is axes[1]
    assert qv.plot_lr_find(FOUND, ax=axes[2]) is axes[2]
    assert plot_calibration(made_up(), ax=axes[3]) is axes[3]
    assert len(plt.get_fignums()) == 1
    assert len(axes[0].figure.axes) == 4


@pytest.mark.filterwarnings("default::quickvision.DataWarning")
def test_names_in_chinese_are_one_warning_at_most(tmp_path, picture):
    """Whichever fonts are installed here: they are drawn, or one sentence says why not."""
    paths = tuple(picture(tmp_path / f"{i}.png", seed=i) for i in range(4))
    probs = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]], np.float32)
    preds = qv.Predictions(
        probs, np.array([1, 1, 0, 0]), ("直剪", "止血钳"), np.ones(4, np.float32), paths
    )
    for plot in (qv.plot_confusion, qv.plot_top_losses):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            save_plot(plot(preds), tmp_path / "plot.png")
        assert [one.category for one in caught] in ([], [qv.DataWarning])


def test_history_draws_a_line_a_column_and_names_the_stages(history):
    ax = qv.plot_history(history)
    lines = {line.get_label(): list(line.get_ydata()) for line in ax.get_lines()}
    assert lines["train loss"] == [0.9, 0.6, 0.4]
    assert [t.get_text() for t in ax.texts] == ["frozen", "unfrozen"]
    assert qv.plot_history(history, "valid_loss").get_ylabel() == "valid loss"


def test_history_shows_losses_and_metrics_below_each_other(history):
    history["accuracy"], history["perplexity"] = [0.7, 0.8, 0.9], [9.0, 7.0, 5.0]
    first = qv.plot_history(history)
    panels = first.figure.axes
    assert [panel.get_ylabel() for panel in panels] == ["loss", "accuracy", "perplexity"]
    assert first is panels[0]
    assert panels[1].get_lines()[0].get_ydata().tolist() == [0.7, 0.8, 0.9]
    assert [panel.get_xlabel() for panel in panels] == ["", "", "epoch"]


def test_history_in_given_axes_is_one_panel(history):
    history["accuracy"] = [0.7, 0.8, 0.9]
    _, (one, two) = plt.subplots(1, 2)
    assert qv.plot_history(history, ax=one).get_ylabel() == "loss"
    assert qv.plot_history(history, "accuracy", ax=two).get_ylabel() == "accuracy"
    assert len(one.figure.axes) == 2


def test_lr_find_marks_the_pick_on_the_curve():
    ax = qv.plot_lr_find({"frozen": FOUND})
    (x,), (y,) = ax.get_lines()[-1].get_data()
    assert x == 1e-3
    assert y == pytest.approx(np.interp(1e-3, FOUND.lrs, FOUND.losses))
    assert ax.get_legend().get_texts()[0].get_text() == "frozen 1.0e-03"
    empty = qv.LRFind(2e-3, "exploded", np.array([]), np.array([]))
    assert isinstance(qv.plot_lr_find(empty), Axes)


def test_top_losses_show_pictures_with_file_actual_and_predicted(tmp_path, picture):
    paths = tuple(picture(tmp_path / f"{i}.png", seed=i) for i in range(4))
    probs = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]], np.float32)
    targs = np.array([1, 1, 0, 0])
    losses = -np.log(probs[np.arange(4), targs])
    ax = qv.plot_top_losses(qv.Predictions(probs, targs, ("cat", "dog"), losses, paths), 3)
    titles = [tile.get_title() for tile in ax.child_axes]
    assert titles[0] == "0.png\ndog \N{RIGHTWARDS ARROW} cat\n90%, loss 2.30"
    assert titles[2].splitlines()[1] == "cat"
    assert len(titles) == 3


def test_top_losses_need_a_picture():
    with pytest.raises(ValueError, match="at least 1"):
        qv.plot_top_losses(made_up(), 0)


def test_saving_closes_the_figure(tmp_path, history):
    path = save_plot(qv.plot_history(history), tmp_path / "h.png")
    assert path.stat().st_size > 1000
    assert not plt.get_fignums()


def test_class_names_are_no_formulas(tmp_path, picture):
    paths = (picture(tmp_path / "a_$_{$.png"), picture(tmp_path / "b.png"))
    probs = np.array([[0.1, 0.9], [0.2, 0.8]], np.float32)
    losses = np.array([2.3, 0.2], np.float32)
    preds = qv.Predictions(probs, np.array([0, 1]), ("a_$_{$", "b"), losses, paths)
    save_plot(qv.plot_confusion(preds), tmp_path / "confusion.jpg")
    assert save_plot(qv.plot_top_losses(preds, 2), tmp_path / "top.jpg").exists()


def test_history_knows_its_columns(history):
    with pytest.raises(ValueError, match="got 'valid_los'; did you mean 'valid_loss'"):
        qv.plot_history(history, "valid_los")
    with pytest.raises(ValueError, match="one to 3 columns, got 4"):
        qv.plot_history(history, ("epoch",) * 4)
    with pytest.raises(ValueError, match="one to 3 columns, got 0"):
        qv.plot_history(history, ())


def test_calibration_says_how_far_off_and_what_chance_makes():
    ax = plot_calibration(many(5))
    found = qv.calibration(many(5))
    assert f"calibration error {found.ece:.1%}" in ax.get_title()
    assert f"a true model shows {found.ece_chance:.1%}" in ax.get_title()
    assert "400 pictures" in ax.get_title()


def test_the_title_says_that_all_are_right(tmp_path, picture):
    paths = tuple(picture(tmp_path / f"{i}.png", seed=i) for i in range(3))
    probs = np.array([[1, 0], [0.9, 0.1], [0.7, 0.3]], np.float32)
    losses = -np.log(probs[:, 0])
    preds = qv.Predictions(probs, np.zeros(3, int), ("cat", "dog"), losses, paths)
    ax = qv.plot_top_losses(preds)
    assert ax.get_title() == "all 3 right; the largest losses"
    assert [tile.get_title().splitlines()[0] for tile in ax.child_axes] == [
        "2.png",
        "1.png",
        "0.png",
    ]
