"""The confusion matrix as it is drawn: how large, in which order, with which names and counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from quickvision.base.tables import shorten_all, width_of
from quickvision.results.fonts import lettering
from quickvision.results.order import confusion_order

MOST_COUNTS = 40  # classes, above which the counts cannot be read
LONGEST = 24  # letters of a name; of few classes, half as many again
FAINTEST = 0.35  # shade of a mistake where no count says that it is there
LETTER = 0.55  # width of a letter, in heights
POINT = 1 / 72  # inches
READABLE = 4.5  # points that a count has at least, or it is left out


@dataclass(frozen=True)
class Layout:
    """A confusion matrix of c classes, laid out for a side of so many inches.

    Attributes:
        names: What is written beside the rows, in the order of the vocab.
        cell: Inches of a row and of a column.
        size: Points of the names.
    """

    names: Sequence[str]
    cell: float
    size: float

    @property
    def flat(self) -> bool:
        """Whether the names of the columns fit side by side."""
        return self._inches < 0.95 * self.cell

    @property
    def figure(self) -> tuple[float, float]:
        """Width and height in inches of a figure that has room for it, its names and a title."""
        side = max(2.4, len(self.names) * self.cell)
        below = 2 * self.size * POINT if self.flat else self._inches
        return side + self._inches + 0.6, side + below + 0.9

    @property
    def _inches(self) -> float:
        """The longest name's."""
        return max(map(width_of, self.names), default=0) * LETTER * self.size * POINT


def layout(vocab: Sequence[str], side: float | None = None) -> Layout:
    """Choose the cells' size for classes: by default so that they can be read.

    Args:
        vocab: Names of the classes; long ones are cut in the middle.
        side: Inches that there are, names included.
    """
    c = len(vocab)
    names = shorten_all(vocab, LONGEST if c > 12 else LONGEST * 3 // 2)
    longest = max(map(width_of, names), default=0)
    if side is None:
        size = 10.0 if c <= 12 else 8.0
        name = longest * LETTER * size * POINT
        cell = min(max(0.75, 1.1 * name), 1.5) if c <= 4 else 0.5 if c <= 12 else 0.3
        return Layout(names, cell if c <= MOST_COUNTS else max(0.045, 10.5 / c), size)
    size = min(10.0, max(5.0, side / max(c, 1) / POINT * 0.6))
    cell = max(side / 3, side - longest * LETTER * size * POINT - 0.5) / max(c, 1)
    return Layout(names, cell, size)


def draw_confusion(ax: Axes, cm: np.ndarray, vocab: Sequence[str], lay: Layout) -> None:
    """Draw counts [c, c] as cells: blue what is right, orange what is not, darker where it is more.

    The shade is a cell's share of its row, on a scale of square roots, which shows single mistakes.
    Above forty classes there are no counts, the classes stand in `confusion_order`, and only so
    many names are written as there is room for.
    """
    c = len(vocab)
    order = confusion_order(cm) if c > MOST_COUNTS else np.arange(c)
    cm = cm[np.ix_(order, order)]
    share = cm / cm.sum(axis=1, keepdims=True).clip(1)
    right, shown = np.eye(c, dtype=bool), cm > 0
    faintest = FAINTEST if c > MOST_COUNTS else 0.0
    shade = faintest + (1 - faintest) * np.sqrt(share)
    for cells, colours in ((right & shown, "Blues"), (~right & shown, "Oranges")):
        ax.imshow(np.ma.masked_where(~cells, shade), cmap=colours, vmin=0, vmax=1)
    if c <= MOST_COUNTS:
        _counts(ax, cm, shade, lay)
        edges, ends = np.arange(c + 1) - 0.5, (-0.5, c - 0.5)
        for lines in (ax.hlines, ax.vlines):  # a grid of minor ticks would take twice the time
            lines(edges, *ends, color="0.9", linewidth=0.6, zorder=0)
    ax.spines[:].set(color="0.8", linewidth=0.6)
    _names(ax, vocab, lay, order)


def _counts(ax: Axes, cm: np.ndarray, shade: np.ndarray, lay: Layout) -> None:
    """Write the counts into their cells, where they can be read."""
    letters = len(str(cm.max())) if cm.size else 1
    size = min(12.0, 0.8 * lay.cell / POINT / max(letters * LETTER, 1.4))
    if size < READABLE:
        return
    for row, column in zip(*np.nonzero(cm), strict=True):
        colour = "white" if shade[row, column] > 0.6 else "black"
        place: dict[str, Any] = {"ha": "center", "va": "center", "color": colour, "fontsize": size}
        ax.text(column, row, str(cm[row, column]), **place)


def _names(ax: Axes, vocab: Sequence[str], lay: Layout, order: np.ndarray) -> None:
    """Write the classes' names beside rows and columns, so many that none lies upon another."""
    font, c = lettering(vocab), len(vocab)
    names = font.texts(lay.names)
    every = max(1, math.ceil(1.25 * lay.size * POINT / lay.cell))
    ticks = range(0, c, every)
    texts = [names[order[i]] for i in ticks]
    look: dict[str, Any] = {
        "fontsize": lay.size,
        "fontfamily": list(font.families),
        "parse_math": False,
    }
    ax.set_xticks(ticks, texts, rotation=0 if lay.flat else 90, **look)
    ax.set_yticks(ticks, texts, **look)
    ax.set(xlabel="predicted", ylabel="actual")
    if every > 1:
        nth = {2: "2nd", 3: "3rd"}.get(every, f"{every}th")
        small = min(9.0, float(mpl.rcParams["font.size"]))
        ax.set_xlabel(f"predicted (every {nth} name is written)", fontsize=small)
