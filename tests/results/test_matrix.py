from __future__ import annotations

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest

from quickvision.base.tables import width_of
from quickvision.results.matrix import draw_confusion, layout
from quickvision.results.order import confusion_order

pytestmark = pytest.mark.drawn


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def named(c, letters):
    """Class names of so many letters that differ at their beginnings."""
    return tuple(f"{i:03d} {'abcdefg hij' * 5}"[:letters] for i in range(c))


def counts(c, seed=0):
    rng = np.random.default_rng(seed)
    cm = rng.poisson(0.2, (c, c))
    np.fill_diagonal(cm, 15)
    return cm


def draw(cm, vocab, side=None):
    lay = layout(vocab, side)
    _, ax = plt.subplots(figsize=lay.figure if side is None else (side, side), layout="constrained")
    draw_confusion(ax, cm, vocab, lay)
    ax.figure.canvas.draw()
    return ax


def overlaps(labels):
    boxes = [label.get_window_extent() for label in labels if label.get_text()]
    return any(a.overlaps(b) for a, b in pairwise(boxes))


@pytest.mark.parametrize("c", [2, 4, 37, 196])
@pytest.mark.parametrize("letters", [16, 50])
def test_nothing_lies_upon_another_and_all_is_in_the_figure(c, letters):
    ax = draw(counts(c), named(c, letters))
    figure = ax.figure.get_window_extent()
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert not overlaps(labels)
        assert len(labels) >= min(c, 40)
        for label in labels:
            box = label.get_window_extent()
            assert figure.x0 <= box.x0 <= box.x1 <= figure.x1
            assert figure.y0 <= box.y0 <= box.y1 <= figure.y1
            assert width_of(label.get_text()) <= 40
    cell = ax.get_window_extent().height / c
    assert cell * 72 / ax.figure.dpi > (15 if c < 40 else 2.5)  # points
    assert max(ax.figure.get_size_inches()) < 16


@pytest.mark.parametrize("c", [2, 12, 40])
def test_counts_fit_into_their_cells(c):
    cm = counts(c) * 13
    ax = draw(cm, named(c, 20))
    assert [int(text.get_text()) for text in ax.texts] == cm[cm > 0].tolist()
    cell = ax.get_window_extent().width / c
    assert all(text.get_window_extent().width < cell for text in ax.texts)


def test_many_classes_stand_in_the_order_of_their_confusions_without_counts():
    cm, vocab = counts(60), named(60, 16)
    ax = draw(cm, vocab)
    assert not ax.texts
    order = confusion_order(cm)
    shown = [label.get_text() for label in ax.get_yticklabels()]
    places = [int(tick) for tick in ax.get_yticks()]
    assert shown == [vocab[order[place]] for place in places]
    right, wrong = (np.ma.filled(image.get_array(), 0) for image in ax.images)
    np.testing.assert_array_equal((right + wrong) > 0, cm[np.ix_(order, order)] > 0)
    assert wrong[wrong > 0].min() >= 0.35  # a single mistake is seen


def test_names_are_thinned_and_that_is_said():
    ax = draw(counts(196), named(196, 16))
    assert "every 3rd name is written" in ax.get_xlabel()
    assert len(ax.get_xticks()) == 66


def test_in_small_axes_counts_that_cannot_be_read_are_left_out():
    assert not draw(counts(37), named(37, 16), side=3).texts
    assert draw(counts(4), named(4, 16), side=3).texts


def test_long_names_keep_both_ends():
    names = [f"Audi number {i} of a very long series of cars, {2000 + i}" for i in range(20)]
    shown = layout(names).names
    assert all(name.startswith("Audi numbe") for name in shown)
    assert shown[7].endswith("2007")
    assert len({*shown}) == 20


def test_class_names_are_no_formulas():
    ax = draw(counts(2), ("a_$_{$", "$x^$"))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a_$_{$", "$x^$"]


def test_an_absent_class_has_an_empty_row():
    ax = draw(np.array([[3, 0], [0, 0]]), ("a", "b"))
    assert [text.get_text() for text in ax.texts] == ["3"]
