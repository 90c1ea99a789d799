"""Charts as a page can hold them: lines, points and ticks in the chart's own coordinates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from quickvision.results.curves import LOSSES, metrics_of, span_of_losses, span_of_shares
from quickvision.training.lr_find import LRFind

WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 50, 14, 22, 40
SHARE = ("accuracy", "error_rate")  # metrics that are fractions, drawn in percent


@dataclass(frozen=True)
class Tick:
    """A place on an axis, and what is written there."""

    at: float
    text: str


@dataclass(frozen=True)
class Series:
    """A line or a row of points.

    Attributes:
        name: What it shows.
        line: Corners, as SVG's `points`; empty draws none.
        dots: x, y and a text for each point.
        bars: x, and the two ends of an interval.
        wide: It is laid under others, to mark a part of them.
    """

    name: str
    line: str = ""
    dots: tuple[tuple[float, float, str], ...] = ()
    bars: tuple[tuple[float, float, float], ...] = ()
    wide: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart, laid out: all numbers are pixels from the upper left corner."""

    title: str
    x_label: str
    y_label: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    series: Sequence[Series]
    rules: Sequence[Tick] = ()  # dotted, from top to bottom, with a text at the top
    diagonal: str = ""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = field(default=WIDTH - RIGHT)
    top: int = TOP
    bottom: int = field(default=HEIGHT - BOTTOM)


@dataclass(frozen=True)
class _Scale:
    """From values to pixels, on one axis."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round(self.start + share * (self.end - self.start), 1)


_across = partial(_Scale, start=LEFT, end=WIDTH - RIGHT)
_up = partial(_Scale, start=HEIGHT - BOTTOM, end=TOP)


def of_history(history: pd.DataFrame) -> list[Chart]:
    """Draw a run's epochs: losses in one chart, each metric in one of its own."""
    metrics = metrics_of(history)
    if "accuracy" in metrics:  # which says the same the other way round
        metrics = [name for name in metrics if name != "error_rate"]
    losses = [name for name in LOSSES if name in history]
    return [_epochs(history, losses, "loss"), *(_epochs(history, [m], m) for m in metrics[:3])]


def _epochs(history: pd.DataFrame, columns: Sequence[str], label: str) -> Chart:
    n, percent = len(history), label in SHARE
    factor, end = (100.0, " %") if percent else (1.0, "")
    values = factor * history[list(columns)].to_numpy(dtype=float)
    finite = values[np.isfinite(values)]
    low, high = 0.0, (finite.max() if len(finite) else 1.0) * 1.05 or 1.0
    if percent:
        low, high = (100 * end for end in span_of_shares(values / 100))
    x, y = _across(0.5, n + 0.5), _up(low, high)
    series = []
    for column, said in zip(columns, values.T, strict=True):
        places = [(x(i + 1), y(v)) for i, v in enumerate(said) if np.isfinite(v)]
        texts = [
            f"epoch {i + 1}: {v:.1f}{end}" if percent else f"epoch {i + 1}: {v:.3f}"
            for i, v in enumerate(said)
            if np.isfinite(v)
        ]
        dots = tuple((*place, text) for place, text in zip(places, texts, strict=True))
        series.append(Series(column.replace("_", " "), _points(places), dots if n <= 60 else ()))
    stages = history["stage"].tolist()
    first = [i for i in range(n) if i == 0 or stages[i] != stages[i - 1]]
    rules = [Tick(x(i + 0.5), str(stages[i])) for i in first]
    every = max(1, math.ceil(n / 12))
    ticks = [Tick(x(i), str(i)) for i in range(1, n + 1, every)]
    name = label.replace("_", " ")
    return Chart(
        title=f"{name} over {n} epoch{'' if n == 1 else 's'}",
        x_label="epoch",
        y_label=f"{name}, %" if percent else name,
        x_ticks=ticks,
        y_ticks=_ticks(y),
        series=series,
        rules=rules,
    )


def of_rates(name: str, found: LRFind) -> Chart:
    """Draw what a rate finder saw: the loss over the rates, its longest fall, the pick."""
    lrs, losses = np.asarray(found.lrs, float), np.asarray(found.losses, float)
    pick = float(np.interp(found.lr, lrs, losses)) if len(lrs) else math.nan
    low, top = span_of_losses([found]) or (0.0, 1.0)
    ends = [rate for rate in (*lrs[:1], *lrs[-1:], found.lr) if rate > 0]
    x = _across(math.log10(min(ends)), math.log10(max(ends)))
    y = _up(low, top)
    log = np.log10(lrs.clip(1e-30))
    places = [(x(lr), y(v)) for lr, v in zip(log, losses, strict=True) if v <= top]
    fall = (lrs >= found.lr_range[0]) & (lrs <= found.lr_range[1])
    lit = [
        (x(lr), y(min(v, top)))
        for lr, v in zip(log[fall], losses[fall], strict=True)
        if np.isfinite(v)
    ]
    picked = (
        ((x(math.log10(found.lr)), y(min(pick, top)), f"picked {found.lr:.1e}"),)
        if math.isfinite(pick)
        else ()
    )
    powers = range(math.ceil(x.low - 1e-9), math.floor(x.high + 1e-9) + 1)
    return Chart(
        title=f"rate finder, {name} stage: loss over the learning rate",
        x_label="learning rate",
        y_label="loss, smoothed",
        x_ticks=[Tick(x(power), f"1e{power}") for power in powers],
        y_ticks=_ticks(y),
        series=[
            Series("longest fall", _points(lit), wide=True),
            Series("loss", _points(places)),
            Series(f"picked {found.lr:.1e}", dots=picked),
        ],
    )


def of_calibration(table: pd.DataFrame) -> Chart:
    """Draw how often answers were right over how sure they were: true ones lie on the diagonal.

    Args:
        table: Columns `confidence`, `accuracy`, `low`, `high`, `n`, a row a group of pictures.
    """
    least = float(min(table["confidence"].min(), table["low"].min(), 0.9)) if len(table) else 0.0
    start = math.floor(10 * max(least, 0.0)) / 10
    x, y = _across(100 * start, 101.0), _up(100 * start, 101.0)
    rows = [{name: 100 * row[name] for name in row} for row in table.to_dict("records")]
    dots, bars = [], []
    for row, n in zip(rows, table["n"], strict=True):
        text = f"{n:,} pictures: says {row['confidence']:.1f} %, right {row['accuracy']:.1f} %"
        dots.append((x(row["confidence"]), y(row["accuracy"]), text))
        bars.append((x(row["confidence"]), y(row["low"]), y(row["high"])))
    return Chart(
        title="how often answers were right, over how sure they were",
        x_label="how sure it was, %",
        y_label="how often it was right, %",
        x_ticks=_ticks(x),
        y_ticks=_ticks(y),
        series=[Series("groups of pictures", dots=tuple(dots), bars=tuple(bars))],
        diagonal=_points([(x(100 * start), y(100 * start)), (x(100), y(100))]),
    )


def reasons(lr_finds: Mapping[str, LRFind]) -> list[tuple[str, str]]:
    """Say each pick, and why, by stage."""
    return [(name, f"{found.lr:.1e}: {found.reason}") for name, found in lr_finds.items()]


def _ticks(scale: _Scale) -> list[Tick]:
    values = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(scale.low, scale.high)
    inside = [v for v in values if scale.low - 1e-9 <= v <= scale.high + 1e-9]
    return [Tick(scale(v), f"{v:.6g}") for v in inside]


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)
