"""Pictures of results: data in, matplotlib `Axes` out. The only room that imports pyplot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from quickvision.base.errors import did_you_mean, expect, some
from quickvision.data.pictures import Picture
from quickvision.results.predictions import Predictions, confusion_matrix, top_losses
from quickvision.training.lr_find import LRFind

# Okabe and Ito's blue, vermilion and green: told apart by colour-blind eyes.
COLOURS = ("#0072B2", "#D55E00", "#009E73")
TILE_TITLE = 0.6  # inches above each picture, for three lines
MAX_COUNTS = 40  # classes beyond which the counts in a confusion matrix cannot be read


def plot_confusion(preds: Predictions, *, ax: Axes | None = None) -> Axes:
    """Draw the confusion matrix: rows actual, columns predicted, counts where they fit.

    Args:
        preds: One inference pass over labelled pictures.
        ax: Axes to draw in; by default new ones, large enough for the classes.
    """
    cm, c = confusion_matrix(preds), len(preds.vocab)
    ax = ax or _axes(*(min(16, 3.0 + 0.3 * max(c, 4)),) * 2)
    share = cm / cm.sum(axis=1, keepdims=True).clip(1)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if c <= MAX_COUNTS:
        for row, column in zip(*np.nonzero(cm), strict=True):
            dark = share[row, column] > 0.5
            ax.text(
                column,
                row,
                str(cm[row, column]),
                ha="center",
                va="center",
                color="white" if dark else "black",
                fontsize=11 if c <= 12 else 7,
            )
    every = max(1, c // 60)
    names, small = list(preds.vocab)[::every], 10 if c <= 12 else 8
    ax.set_xticks(
        range(0, c, every), names, fontsize=small, rotation=90 if c > 4 else 0, parse_math=False
    )
    ax.set_yticks(range(0, c, every), names, fontsize=small, parse_math=False)
    ax.set(xlabel="predicted", ylabel="actual", title=f"accuracy {preds.accuracy}")
    ax.spines[:].set_visible(False)
    return ax


def plot_top_losses(preds: Predictions, k: int = 9, *, ax: Axes | None = None) -> Axes:
    """Show the pictures with the largest loss: file, actual -> predicted, probability, loss.

    Args:
        preds: One inference pass over labelled pictures, whose files are still there.
        k: Pictures at most.
        ax: Axes that the grid of pictures is laid into.

    Raises:
        DataError: A file cannot be read any more.
        ValueError: `k` is below 1.
    """
    if k < 1:
        raise ValueError(f"k: expected at least 1 picture, got {k}")
    worst = top_losses(preds, k)
    columns = max(1, min(3 if k <= 9 else 5, len(worst)))
    rows = max(1, -(-len(worst) // columns))
    ax = ax or _axes(3.1 * columns, 3.3 * rows)
    figure = cast(Figure, ax.figure)
    row_height = ax.get_window_extent().height / figure.dpi / rows
    share = max(0.4, 1 - TILE_TITLE / row_height)  # of a row, for the picture
    ax.set_axis_off()
    ax.set(xticks=[], yticks=[])
    ax.set_title("actual \N{RIGHTWARDS ARROW} predicted, its probability, the loss", fontsize=10)
    for place, (index, row) in enumerate(zip(worst.index, worst.to_dict("records"), strict=True)):
        down, across = divmod(place, columns)
        box = ((across + 0.04) / columns, 1 - (down + 0.98) / rows, 0.92 / columns, share / rows)
        tile = ax.inset_axes(box)
        image = Picture.create(preds.paths[index])
        image.thumbnail((320, 320))
        tile.imshow(image)
        tile.set_axis_off()
        tile.set(xticks=[], yticks=[])  # matplotlib places those that are not shown, too
        tile.set_in_layout(False)
        said, right = row["actual"], row["actual"] == row["predicted"]
        if not right:
            said += f" \N{RIGHTWARDS ARROW} {row['predicted']}"
        lines = (_short(preds.paths[index].name), _short(said, 34))
        text = "\n".join((*lines, f"{row['prob']:.0%}, loss {row['loss']:.2f}"))
        tile.set_title(
            text, fontsize=8.5, color=COLOURS[0] if right else COLOURS[1], parse_math=False
        )
    return ax


def plot_history(
    history: pd.DataFrame,
    y: str | tuple[str, ...] = ("train_loss", "valid_loss"),
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw columns of a run's history over the epochs of all stages, a line between the stages.

    Args:
        history: One row an epoch, as `fit_frozen` returns it.
        y: Columns to draw, three at most; a name or a tuple of names.
        ax: Axes to draw in.

    Raises:
        ValueError: No such column, or too many.
    """
    expect(history, pd.DataFrame, "history")
    if lost := {"stage", "train_loss"} - set(history):
        raise ValueError(
            f"history: expected the columns that fit_frozen returns, got no {some(sorted(lost))}"
        )
    y = (y,) if isinstance(y, str) else y
    if unknown := [name for name in y if name not in history]:
        near = did_you_mean(unknown[0], history.columns)
        raise ValueError(f"y: expected columns of the history, got {unknown[0]!r}{near}")
    if len(y) > len(COLOURS):
        raise ValueError(f"y: expected {len(COLOURS)} columns at most, got {len(y)}")
    ax = ax or _axes(6.4, 4)
    epochs = np.arange(1, len(history) + 1)
    for name, colour in zip(y, COLOURS, strict=False):
        ax.plot(epochs, history[name], "o-", color=colour, label=name.replace("_", " "))
    stages = history["stage"].tolist()
    for epoch in range(1, len(stages)):
        if stages[epoch] != stages[epoch - 1]:
            ax.axvline(epoch + 0.5, color="grey", linewidth=1, linestyle=":")
    for stage in dict.fromkeys(stages):
        middle = 1 + float(np.mean([i for i, name in enumerate(stages) if name == stage]))
        ax.text(middle, 1.02, stage, transform=ax.get_xaxis_transform(), ha="center", color="grey")
    ax.set_xticks(epochs)
    ax.set(xlabel="epoch", ylabel=y[0].replace("_", " ") if len(y) == 1 else "loss")
    ax.legend(frameon=False)
    return ax


def plot_lr_find(found: LRFind | Mapping[str, LRFind], *, ax: Axes | None = None) -> Axes:
    """Draw the loss over the learning rates that were tried, its longest fall, and the pick.

    Args:
        found: One result of `find_lr`, or several by name.
        ax: Axes to draw in.
    """
    expect(found, (LRFind, Mapping), "found")
    several = found if isinstance(found, Mapping) else {"": found}
    ax = ax or _axes(6.4, 4)
    for (name, one), colour in zip(several.items(), COLOURS, strict=False):
        ax.plot(one.lrs, one.losses, color=colour)
        if len(one.lrs) and one.lr_range[0] < one.lr_range[1]:
            fall = (one.lrs >= one.lr_range[0]) & (one.lrs <= one.lr_range[1])
            ax.plot(one.lrs[fall], one.losses[fall], color=colour, linewidth=6, alpha=0.25)
        label = f"{name} {one.lr:.1e}".strip()
        height = np.interp(one.lr, one.lrs, one.losses) if len(one.lrs) else np.nan
        ax.plot(one.lr, height, "o", color=colour, markersize=8, label=label)
    starts = [one.losses[0] for one in several.values() if len(one.losses)]
    if starts and np.isfinite(starts).all():  # what explodes would flatten all else
        ax.set_ylim(top=min(ax.get_ylim()[1], 1.5 * max(starts)))
    ax.set(xscale="log", xlabel="learning rate", ylabel="training loss (smoothed)")
    ax.legend(frameon=False, title="picked")
    return ax


def plot_comparison(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw each candidate's error, with its interval, over the seconds that its training took.

    Args:
        table: Of a `Comparison`; those that failed are left out.
        ax: Axes to draw in.
    """
    expect(table, pd.DataFrame, "table")
    if lost := {"failed", "same", "error", "seconds"} - set(table):
        raise ValueError(f"table: expected that of a Comparison, got no {some(sorted(lost))}")
    ax = ax or _axes(7.2, 4.4)
    done = table[table["failed"] == ""]
    for kept, label in ((True, "not to be told apart from the best"), (False, "worse")):
        rows = done[done["same"] == kept]
        if not len(rows):
            continue
        error = 100 * rows["error"]
        bars = np.abs(100 * rows[["low", "high"]].to_numpy().T - error.to_numpy())
        face = COLOURS[0] if kept else "white"
        x, y = rows["seconds"], error
        ax.errorbar(x, y, yerr=bars, fmt="none", ecolor=COLOURS[0], capsize=3)
        ax.plot(x, y, "o", color=COLOURS[0], markerfacecolor=face, label=label)
    middle = done["seconds"].median()
    for row in done.to_dict("records"):
        left = row["seconds"] > middle
        ax.annotate(
            _short(row["name"], 34),
            (row["seconds"], 100 * row["error"]),
            xytext=(-7 if left else 7, 5),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=9,
            parse_math=False,
        )
    ax.margins(x=0.2)
    ax.set(xlabel="seconds of training", ylabel="error, %, with its 95 % interval")
    ax.set_ylim(bottom=0)
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


def _short(text: str, limit: int = 28) -> str:
    return text if len(text) <= limit else f"{text[: limit - 11]}...{text[-8:]}"
