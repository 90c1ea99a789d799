"""Lines as they are drawn: epochs, the rate finder, confidence beside accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from quickvision.results.calibration import Calibration
from quickvision.results.fonts import lettering
from quickvision.training.lr_find import LRFind

# Okabe and Ito's blue, vermilion and green: told apart by colour-blind eyes.
COLOURS = ("#0072B2", "#D55E00", "#009E73")
LOSSES = ("train_loss", "valid_loss")
NO_METRIC = {"stage", "epoch", "lr", "seconds", "cached", "time", *LOSSES}
DOTTED = 20  # epochs, up to which each has a dot
FEW = 12  # and up to which each has its number below
LEAST_SPAN = 0.1  # of an axis of accuracies: a difference of a point is no cliff


def panels_of(history: pd.DataFrame) -> list[tuple[str, ...]]:
    """Divide a history's columns into panels: losses, metrics that are fractions, other metrics."""
    shares = _shares(history)
    parts = [
        [name for name in LOSSES if name in history and history[name].notna().any()],
        shares,
        [name for name in metrics_of(history) if name not in shares],
    ]
    return [tuple(part) for part in parts if part] or [LOSSES[:1]]


def draw_epochs(ax: Axes, history: pd.DataFrame, columns: Sequence[str]) -> None:
    """Draw columns of a history over the epochs of all stages.

    A single epoch is a dot with its value beside it. Losses stand on an axis from 0, fractions on
    one in percent that spans ten points at least; of a single epoch, all hundred.
    """
    n, font, shares = len(history), lettering(map(str, columns)), _shares(history)
    epochs, style = np.arange(1, n + 1), "o-" if n <= DOTTED else "-"
    for i, (column, colour) in enumerate(zip(columns, cycle(COLOURS), strict=False)):
        values, label = history[column].to_numpy(dtype=float), font.text(_said(column))
        ax.plot(epochs, values, style, color=colour, label=label, clip_on=False, zorder=3)
        if n == 1:
            _write_value(ax, i, float(values[0]), label, colour, column in shares)
    values = history[list(columns)].to_numpy(dtype=float)
    if set(columns) <= {*shares}:
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        ax.set_ylim(*span_of_shares(values))
        name = _said(columns[0]) if len(columns) == 1 else "metrics"
    else:
        _from_zero(ax, values)
        losses = set(columns) <= {*LOSSES}
        name = _said(columns[0]) if len(columns) == 1 else "loss" if losses else "value"
    ax.set_ylabel(font.text(name))
    if n == 1:
        ax.set(xlim=(0.4, 1.6), xticks=[1])
    else:
        room = min(0.03 * n, 0.4)
        ax.set_xlim(1 - room, n + room)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=FEW, min_n_ticks=1))
        if len(columns) > 1:
            ax.legend(frameon=False, prop={"family": list(font.families)})
    ax.spines[["top", "right"]].set_visible(False)


def draw_stages(axes: Sequence[Axes], stages: Sequence[str]) -> None:
    """Draw a line between stages through panels below each other, their names above the first."""
    bounds = [i for i in range(1, len(stages)) if stages[i] != stages[i - 1]]
    for ax in axes:
        for bound in bounds:
            ax.axvline(bound + 0.5, color="grey", linewidth=1, linestyle=":")
    font = lettering(stages)
    inches = axes[0].get_window_extent().width / axes[0].figure.dpi / max(len(stages), 1)
    end, level = -np.inf, 0
    for start, stop in zip([0, *bounds], [*bounds, len(stages)], strict=True):
        if start == stop:
            continue
        middle, half = (start + stop + 1) / 2, 0.045 * (len(stages[start]) + 1) / inches
        level = level + 1 if middle - half < end else 0  # above a neighbour that is in the way
        end = middle + half
        axes[0].text(
            middle, 1.02 + 0.09 * level, font.text(str(stages[start])), color="grey",
            transform=axes[0].get_xaxis_transform(), ha="center", fontfamily=list(font.families),
        )  # fmt: skip


def draw_lr_find(ax: Axes, found: Mapping[str, LRFind]) -> None:
    """Draw the loss over the rates, its longest fall, and the picks, which are always in sight."""
    font = lettering(found)
    for (name, one), colour in zip(found.items(), cycle(COLOURS), strict=False):
        seen = np.isfinite(one.losses) & np.isfinite(one.lrs)
        lrs, losses = one.lrs[seen], one.losses[seen]
        ax.plot(lrs, losses, color=colour)
        low, high = one.lr_range
        if len(lrs) and low < high:
            fall = (lrs >= low) & (lrs <= high)
            ax.plot(lrs[fall], losses[fall], color=colour, linewidth=6, alpha=0.25)
        label = font.text(f"{name} {one.lr:.1e}".strip())
        height = np.interp(one.lr, lrs, losses) if len(lrs) else np.nan
        ax.axvline(one.lr, color=colour, linewidth=1, linestyle=":")
        ax.plot(one.lr, height, "o", color=colour, markersize=8, label=label)
    ax.set(xscale="log", xlabel="learning rate", ylabel="training loss (smoothed)")
    _in_sight(ax, list(found.values()))
    prop = {"family": list(font.families)}
    ax.legend(frameon=False, title="picked", prop=prop)
    ax.spines[["top", "right"]].set_visible(False)


def draw_reliability(ax: Axes, table: pd.DataFrame, found: Calibration) -> None:
    """Draw accuracy over confidence, a point a group of pictures, beside where they are equal."""
    x, y = table["confidence"], table["accuracy"]
    bars = np.abs(table[["low", "high"]].to_numpy().T - y.to_numpy())
    low = max(0.0, np.floor(20 * min(x.min(), table["low"].min()) - 0.5) / 20)
    ax.plot([low, 1], [low, 1], color="grey", linewidth=1, linestyle="--")
    ax.errorbar(x, y, yerr=bars, fmt="o", color=COLOURS[0], capsize=3, clip_on=False, zorder=3)
    grey: dict[str, Any] = {"color": "0.45", "transform": ax.transAxes, "fontsize": 9}
    ax.text(0.03, 0.97, "not sure enough", va="top", **grey)
    ax.text(0.97, 0.03, "too sure", ha="right", **grey)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set(xlim=(low, 1), ylim=(low, 1), aspect="equal")
    ax.set(xlabel="confidence: probability of the predicted class", ylabel="accuracy")
    said = f"a true model shows {found.ece_chance:.1%} (up to {found.ece_chance_most:.1%})"
    pictures = f"{found.n:,} picture{'' if found.n == 1 else 's'}"
    ax.set_title(f"calibration error {found.ece:.1%}\n{said} on {pictures}", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)


def _in_sight(ax: Axes, found: Sequence[LRFind]) -> None:
    """Show all rates, and the losses of `span_of_losses`."""
    rates = np.concatenate([[one.lr, *one.lr_range, *one.lrs] for one in found] or [[]])
    rates = rates[np.isfinite(rates) & (rates > 0)]
    if len(rates):
        room = 1.3 if rates.max() > 3 * rates.min() else 30
        ax.set_xlim(rates.min() / room, rates.max() * room)
    if span := span_of_losses(found):
        ax.set_ylim(*span)
    else:
        ax.set_yticks([])
        ax.text(0.03, 0.03, "no curve: nothing was searched", transform=ax.transAxes, color="0.45")


def span_of_losses(found: Sequence[LRFind]) -> tuple[float, float] | None:
    """Return an axis's ends that leave out what explodes, but no pick and no lit part.

    What explodes would flatten all else. None where nothing was searched.
    """
    kept, starts, lows, tops = [], [], [], []
    for one in found:
        seen = np.isfinite(one.losses) & np.isfinite(one.lrs)
        lrs, losses = one.lrs[seen], one.losses[seen]
        if not len(lrs):
            continue
        lit = losses[(lrs >= one.lr_range[0]) & (lrs <= one.lr_range[1])]
        kept += [*lit, np.interp(one.lr, lrs, losses)]
        starts.append(float(np.median(losses[: max(1, len(losses) // 10)])))
        lows.append(losses.min())
        tops.append(losses.max())
    if not starts:
        return None
    start, low = max(starts), min(lows)
    top = min(max(start + 0.5 * max(abs(start), start - low), *kept), max(tops))
    room = 0.05 * (top - low) or 0.05 * abs(top) or 0.05
    return float(low - room), float(top + room)


def _is_share(values: pd.Series) -> bool:
    known = values.dropna()
    return bool(len(known) and known.between(0, 1).all())


def _shares(history: pd.DataFrame) -> list[str]:
    """Name the metrics that are fractions; a loss may be below 1 and is none."""
    return [name for name in metrics_of(history) if _is_share(history[name])]


def metrics_of(history: pd.DataFrame) -> list[str]:
    """Name the columns that are metrics."""
    numeric = pd.api.types.is_numeric_dtype
    return [name for name in history if name not in NO_METRIC and numeric(history[name])]


def _said(column: str) -> str:
    return str(column).replace("_", " ")


def _write_value(
    ax: Axes, place: int, value: float, label: str, colour: str, is_share: bool
) -> None:
    """Write a name and a value beside a dot: to its right, to its left, above it."""
    if not np.isfinite(value):
        return
    text = f"{label} {value:.1%}" if is_share else f"{label} {value:.3f}"
    offset, ha = (((10, 0), "left"), ((-10, 0), "right"), ((0, 10), "center"))[place % 3]
    ax.annotate(
        text, (1, value), xytext=offset, textcoords="offset points",
        ha=ha, va="center", color=colour, parse_math=False,
    )  # fmt: skip


def span_of_shares(values: np.ndarray) -> tuple[float, float]:
    """Return an axis's ends that do not make a small difference large."""
    known = values[np.isfinite(values)]
    if len(values) == 1 or not len(known):
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    lacking = max(0.0, LEAST_SPAN - (high - low))
    low, high = low - lacking / 2, high + lacking / 2
    low, high = (low - (high - 1), 1.0) if high > 1 else (low, high)
    low, high = (0.0, high - low) if low < 0 else (low, high)
    room = 0.05 * (high - low)
    return max(0.0, low - room), min(1.0, high + room)


def _from_zero(ax: Axes, values: np.ndarray) -> None:
    known = values[np.isfinite(values)]
    if len(known) and known.min() >= 0:
        ax.set_ylim(0, 1.08 * known.max() or 1.0)
