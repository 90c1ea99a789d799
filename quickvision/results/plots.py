"""Pictures of results: data in, matplotlib `Axes` out. The only room that imports pyplot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from fastai.learner import Learner
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from quickvision.base.errors import did_you_mean, expect, some
from quickvision.base.tables import shorten
from quickvision.results.calibration import calibration, reliability
from quickvision.results.curves import (
    COLOURS,
    draw_epochs,
    draw_lr_find,
    draw_reliability,
    draw_stages,
    panels_of,
)
from quickvision.results.fonts import lettering
from quickvision.results.matrix import draw_confusion, layout
from quickvision.results.predictions import Predictions, confusion_matrix
from quickvision.results.tiles import ARROW, WIDE, draw_tiles, grid, tiles, worst
from quickvision.training.lr_find import LRFind


def plot_confusion(preds: Predictions, *, ax: Axes | None = None) -> Axes:
    """Draw the confusion matrix: rows actual, columns predicted, counts up to forty classes.

    Right answers are blue, wrong ones orange. Above forty classes those that are confused with each
    other stand beside each other (`confusion_order`), and not each name is written.

    Args:
        preds: One inference pass over labelled pictures.
        ax: Axes to draw in; by default new ones, large enough for the classes and their names.
    """
    cm = confusion_matrix(preds)
    lay = layout(preds.vocab, _inches(ax) if ax else None)
    ax = ax or _axes(*lay.figure)
    draw_confusion(ax, cm, preds.vocab, lay)
    ax.set_title(f"accuracy {preds.accuracy}")
    return ax


def plot_top_losses(
    preds: Predictions, k: int = 9, *, learn: Learner | None = None, ax: Axes | None = None
) -> Axes:
    """Show the worst pictures: file, actual → predicted, probability, loss.

    The wrong ones come first, each part by its loss. Right ones with a loss of 0.00 are not worst:
    fewer than `k` are shown then. Where all are right, the title says so, and those of the largest
    loss are shown.

    Args:
        preds: One inference pass over labelled pictures, whose files are still there.
        k: Pictures at most.
        learn: With the learner, each picture is what the model looked at (the validation view), and
            upon it are the cells that spoke for the predicted class (orange) and against it
            (purple), see `heatmap`; all pictures on one scale.
        ax: Axes that the grid of pictures is laid into.

    Raises:
        DataError: A file cannot be read any more.
        ModelError: The model has no map of places that its classes are read from.
        ValueError: `k` is below 1.
    """
    if k < 1:
        raise ValueError(f"k: expected at least 1 picture, got {k}")
    rows = worst(preds, k)
    across = grid(tiles(preds, rows)).columns
    width = ax.get_window_extent().width / cast(Figure, ax.figure).dpi / across if ax else WIDE
    found = tiles(preds, rows, width)
    laid = grid(found)
    ax = ax or _axes(*laid.figure)
    ax.set_axis_off()
    ax.set(xticks=[], yticks=[])
    draw_tiles(ax, preds, found, laid, learn)
    said = f"actual {ARROW} predicted, its probability, the loss"
    if len(preds) and preds.right.all():
        said = f"all {len(preds):,} right; the largest losses"
    if learn is not None:
        said += "\norange cells spoke for the predicted class, purple ones against it"
    ax.set_title(said, fontsize=10)
    return ax


def plot_history(
    history: pd.DataFrame, y: str | tuple[str, ...] | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw a run's history over the epochs of all stages, a line between the stages.

    By default the losses stand in one panel and the metrics in another below it (one for those that
    are fractions, such as accuracy, one for others); in `ax` there is room for one panel alone.

    Args:
        history: One row an epoch, as `fit_frozen` returns it.
        y: Columns to draw in one panel, three at most; a name or a tuple of names.
        ax: Axes to draw in: the losses, or what `y` names.

    Returns:
        The first panel; the others are below it in its figure.

    Raises:
        ValueError: No such column, or too many.
    """
    expect(history, pd.DataFrame, "history")
    if lost := {"stage", "train_loss"} - set(history):
        raise ValueError(
            f"history: expected the columns that fit_frozen returns, got no {some(sorted(lost))}"
        )
    panels = panels_of(history)
    if y is not None:
        panels = [(y,) if isinstance(y, str) else tuple(y)]
        if unknown := [name for name in panels[0] if name not in history]:
            near = did_you_mean(unknown[0], history.columns)
            raise ValueError(f"y: expected columns of the history, got {unknown[0]!r}{near}")
        if not 1 <= len(panels[0]) <= len(COLOURS):
            got = len(panels[0])
            raise ValueError(f"y: expected one to {len(COLOURS)} columns, got {got}")
    axes = [ax] if ax is not None else _panels(len(panels))
    for own, columns in zip(axes, panels, strict=False):
        draw_epochs(own, history, columns)
    draw_stages(axes, history["stage"].tolist())
    axes[-1].set_xlabel("epoch")
    return axes[0]


def plot_lr_find(found: LRFind | Mapping[str, LRFind], *, ax: Axes | None = None) -> Axes:
    """Draw the loss over the learning rates that were tried, its longest fall, and the pick.

    The pick and its range are always in sight; what explodes is cut off above them.

    Args:
        found: One result of `find_lr`, or several by name.
        ax: Axes to draw in.
    """
    expect(found, (LRFind, Mapping), "found")
    ax = ax or _axes(6.4, 4)
    draw_lr_find(ax, found if isinstance(found, Mapping) else {"": found})
    return ax


def plot_calibration(preds: Predictions, *, ax: Axes | None = None) -> Axes:
    """Draw how often the model was right, over how sure it was: the reliability diagram.

    A point is a group of pictures (all groups of about the same size) with the 95 % interval of its
    accuracy. Points below the dashed line are of a model that is too sure. The title says how far
    off it is, beside what chance makes of a model with true probabilities.

    Args:
        preds: One inference pass over labelled pictures that the model was not trained on.
        ax: Axes to draw in.

    Raises:
        DataError: There are no pictures.
    """
    table, said = reliability(preds), calibration(preds)
    ax = ax or _axes(4.8, 5)
    draw_reliability(ax, table, said)
    return ax


def plot_comparison(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw each candidate's accuracy, with its interval, over the seconds that its training took.

    Args:
        table: Of a `Comparison`; those that failed are left out.
        ax: Axes to draw in.
    """
    expect(table, pd.DataFrame, "table")
    if lost := {"failed", "same", "accuracy", "seconds"} - set(table):
        raise ValueError(f"table: expected that of a Comparison, got no {some(sorted(lost))}")
    ax = ax or _axes(7.2, 4.4)
    done = table[table["failed"] == ""]
    for kept, label in ((True, "no significant difference from the best"), (False, "worse")):
        rows = done[done["same"] == kept]
        if not len(rows):
            continue
        accuracy = 100 * rows["accuracy"]
        bars = np.abs(100 * rows[["low", "high"]].to_numpy().T - accuracy.to_numpy())
        face = COLOURS[0] if kept else "white"
        x, y = rows["seconds"], accuracy
        ax.errorbar(x, y, yerr=bars, fmt="none", ecolor=COLOURS[0], capsize=3)
        ax.plot(x, y, "o", color=COLOURS[0], markerfacecolor=face, label=label)
    middle, font = done["seconds"].median(), lettering(done["name"])
    for row in done.to_dict("records"):
        left = row["seconds"] > middle
        ax.annotate(
            font.text(shorten(row["name"], 34)),
            (row["seconds"], 100 * row["accuracy"]),
            xytext=(-7 if left else 7, 5),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=9,
            fontfamily=list(font.families),
            parse_math=False,
        )
    ax.margins(x=0.2)
    ax.set(xlabel="seconds of training", ylabel="accuracy, %, with its 95 % interval")
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=2)
    return ax


def save_plot(ax: Axes, path: Path) -> Path:
    """Save the figure that `ax` is in, and close it."""
    figure = cast(Figure, ax.figure)
    figure.savefig(path, dpi=120, pil_kwargs={"compress_level": 3})
    plt.close(figure)
    return path


def _axes(width: float, height: float) -> Axes:
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def _panels(n: int) -> list[Axes]:
    """Make panels below each other that share their x axis."""
    size = (6.4, 4.0 if n == 1 else 0.8 + 2.3 * n)
    axes = plt.subplots(n, 1, sharex=True, squeeze=False, figsize=size, layout="constrained")[1]
    return list(axes[:, 0])


def _inches(ax: Axes) -> float:
    """Return the shorter side of axes that were given."""
    box = ax.get_window_extent()
    return min(box.width, box.height) / cast(Figure, ax.figure).dpi
