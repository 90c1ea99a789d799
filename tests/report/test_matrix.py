"""The confusion matrix on the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from quickvision.report.matrix import MOST_COUNTS, matrix
from quickvision.results.predictions import confusion_matrix

from .conftest import answers


def test_few_classes_are_cells_with_their_counts():
    preds = answers(Path("x"))
    laid, cm = matrix(preds, np.arange(3)), confusion_matrix(preds)
    assert not laid.picture
    assert {(c.row, c.column): c.count for c in laid.cells} == {
        (int(r), int(c)): int(cm[r, c]) for r, c in zip(*np.nonzero(cm), strict=True)
    }
    assert any(cell.said == "ants taken for bees: 2 (25%)" for cell in laid.cells)
    assert any(cell.said == "wasps: 6 right (75%)" for cell in laid.cells)


def test_many_classes_are_one_picture_in_the_order_that_is_given():
    vocab = tuple(f"c{i}" for i in range(MOST_COUNTS + 1))
    preds = answers(Path("x"), n=100, vocab=vocab)
    order = np.arange(len(vocab))[::-1]
    laid = matrix(preds, order)
    assert laid.picture.startswith("data:image/png;base64,")
    assert not laid.cells
    assert list(laid.names) == list(vocab[::-1])


def test_long_names_are_cut_in_their_middle_and_there_is_room_for_them():
    preds = answers(Path("x"), vocab=("a" * 50, "b", "c"))
    laid = matrix(preds, np.arange(3))
    assert max(map(len, laid.names)) == 22
    assert laid.names[0].startswith("aaa")
    assert laid.names[0].endswith("aaa")
    assert laid.margin > 22 * 6
