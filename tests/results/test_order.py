from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quickvision.results.order import confusion_order


def blocks(sizes, seed=0):
    """A matrix in which classes of one block are confused, mixed up; and whose block each is."""
    rng = np.random.default_rng(seed)
    block = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    cm = np.where(block[:, None] == block[None], rng.integers(1, 4, (len(block),) * 2), 0)
    np.fill_diagonal(cm, 20)
    return cm, block


@pytest.mark.parametrize("sizes", [(3, 4, 5), (2, 2, 2, 2), (10, 3, 7), (60, 40)])
def test_classes_that_are_confused_stand_together(sizes):
    cm, block = blocks(sizes)
    seen = block[confusion_order(cm)]
    assert (np.diff(seen) != 0).sum() == len(sizes) - 1


def test_a_chain_is_laid_out_along_itself():
    rng = np.random.default_rng(1)
    place = rng.permutation(30)
    near = np.abs(place[:, None] - place[None])
    cm = np.select([near == 0, near == 1, near == 2], [40, 8, 2], 0)
    order = confusion_order(cm)
    assert np.abs(np.diff(place[order])).mean() < 2
    assert np.abs(np.diff(place)).mean() > 6


def test_classes_that_nothing_is_confused_with_come_last_as_they_are():
    cm = np.diag([5, 5, 5, 5, 5, 5])
    cm[1, 4] = cm[4, 2] = 2
    order = confusion_order(cm).tolist()
    assert {*order[:3]} == {1, 2, 4}
    assert order[1] == 4
    assert order[3:] == [0, 3, 5]
    assert confusion_order(np.diag([1, 2, 3])).tolist() == [0, 1, 2]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 12), st.integers(0, 99))
def test_it_is_a_permutation_whatever_the_counts(c, seed):
    cm = np.random.default_rng(seed).poisson(0.3, (c, c))
    kept = cm.copy()
    order = confusion_order(cm)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(c))
    np.testing.assert_array_equal(cm, kept)
    np.testing.assert_array_equal(order, confusion_order(cm))


def test_many_classes_are_ordered_too():
    cm, block = blocks((150, 150, 150))
    seen = block[confusion_order(cm)]
    assert (np.diff(seen) != 0).sum() == 2


def test_a_matrix_is_square():
    with pytest.raises(ValueError, match=r"expected counts \[c, c\], got an array of \(2, 3\)"):
        confusion_order(np.zeros((2, 3)))
