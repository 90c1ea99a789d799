"""The confusion matrix as a page can hold it: cells, or one picture of many classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quickvision.base.tables import shorten_all, width_of
from quickvision.report.pictures import cells
from quickvision.results.matrix import MOST_COUNTS
from quickvision.results.predictions import Predictions, confusion_matrix

SIDE = 22  # pixels of a cell
LETTER = 6.2  # pixels of a letter, about
LONGEST = 22  # letters of a name


@dataclass(frozen=True)
class Cell:
    """A count: where it stands, how large a share of its row it is, and what it says."""

    row: int
    column: int
    count: int
    share: float
    said: str


@dataclass(frozen=True)
class Matrix:
    """Rows are actual classes, columns predicted ones.

    Attributes:
        names: Of the rows and columns, shortened.
        cells: Those with a count; empty where there are too many classes.
        picture: A `data:` address, a pixel a cell; empty where there are few classes.
        side: Pixels of a cell.
        margin: Pixels for the names.
    """

    names: Sequence[str]
    cells: Sequence[Cell] = ()
    picture: str = ""
    side: int = SIDE
    margin: int = 0

    @property
    def size(self) -> int:
        """Pixels of the cells together, on either side."""
        return self.side * len(self.names)


def matrix(preds: Predictions, order: np.ndarray) -> Matrix:
    """Lay the confusion matrix out.

    Args:
        preds: One inference pass.
        order: In which classes stand where there are too many to be read one by one, int64 [c].
    """
    cm, c = confusion_matrix(preds), len(preds.vocab)
    share = cm / cm.sum(axis=1, keepdims=True).clip(1)
    if c > MOST_COUNTS:
        ordered = share[np.ix_(order, order)]
        return Matrix([preds.vocab[i] for i in order], picture=cells(ordered))
    found = [
        Cell(row, column, int(cm[row, column]), float(share[row, column]), "")
        for row, column in zip(*np.nonzero(cm), strict=True)
    ]
    said = [
        Cell(one.row, one.column, one.count, one.share, _said(one, preds.vocab)) for one in found
    ]
    names = shorten_all(preds.vocab, LONGEST)
    longest = max(map(width_of, names), default=0)
    side = max(SIDE, min(64, 420 // max(c, 1)))
    return Matrix(names, said, side=side, margin=round(longest * LETTER) + 14)


def _said(cell: Cell, vocab: Sequence[str]) -> str:
    actual, predicted = vocab[cell.row], vocab[cell.column]
    if cell.row == cell.column:
        return f"{actual}: {cell.count:,} right ({cell.share:.0%})"
    return f"{actual} taken for {predicted}: {cell.count:,} ({cell.share:.0%})"
