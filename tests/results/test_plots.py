from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made import made_up
from matplotlib.axes import Axes

import quickvision as qv
from quickvision.results.plots import save_plot

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


def test_confusion_of_many_classes_drops_the_counts():
    rng = np.random.default_rng(0)
    probs = rng.random((200, 100), dtype=np.float32)
    vocab = tuple(f"class {i}" for i in range(100))
    losses = np.zeros(200, np.float32)
    preds = qv.Predictions(probs, rng.integers(0, 100, 200), vocab, losses, (Path(),) * 200)
    ax = qv.plot_confusion(preds)
    assert not ax.texts
    assert len(ax.get_xticks()) <= 100


def test_plots_draw_in_the_axes_they_are_given(history):
    _, axes = plt.subplots(1, 3)
    assert qv.plot_confusion(made_up(), ax=axes[0]) is axes[0]
    assert qv.plot_history(history, ax=axes[1]) is axes[1]
    assert qv.plot_lr_find(FOUND, ax=axes[2]) is axes[2]
    assert len(plt.get_fignums()) == 1


def test_history_draws_a_line_a_column_and_names_the_stages(history):
    ax = qv.plot_history(history)
    lines = {line.get_label(): list(line.get_ydata()) for line in ax.get_lines()}
    assert lines["train loss"] == [0.9, 0.6, 0.4]
    assert [t.get_text() for t in ax.texts] == ["frozen", "unfrozen"]
    assert qv.plot_history(history, "valid_loss").get_ylabel() == "valid loss"


def test_lr_find_marks_the_pick_on_the_curve():
    ax = qv.plot_lr_find({"frozen": FOUND})
    (x,), (y,) = ax.get_lines()[1].get_data()
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
    with pytest.raises(ValueError, match="3 columns at most, got 4"):
        qv.plot_history(history, ("epoch",) * 4)
