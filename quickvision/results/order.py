"""In which order classes stand, so that those that are confused with each other are neighbours."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform

MOST = 400  # confused classes, above which the best order of the tree's leaves takes seconds


def confusion_order(cm: np.ndarray) -> np.ndarray:
    """Order classes so that confusions form blocks on the diagonal of the confusion matrix.

    Classes are joined into a tree by the share of their pictures that is mistaken for each other,
    in either direction (average linkage); its leaves are turned so that neighbours are as alike as
    they can be. Classes that are confused with none come last, in the order that they have.

    Args:
        cm: Counts [c, c], rows actual and columns predicted.

    Returns:
        A permutation, int64 [c]: `cm[np.ix_(order, order)]` is the ordered matrix.

    Raises:
        ValueError: The matrix is not square.

    Source: Bar-Joseph and others (2001), scipy's `optimal_leaf_ordering`.
    """
    cm = np.asarray(cm)
    if cm.ndim != 2 or cm.shape[0] != cm.shape[1]:
        raise ValueError(f"cm: expected counts [c, c], got an array of {cm.shape}")
    share = cm / cm.sum(axis=1, keepdims=True).clip(1)
    near = (share + share.T) / 2
    np.fill_diagonal(near, 0)
    confused = near.any(axis=1)
    mixed, alone = np.flatnonzero(confused), np.flatnonzero(~confused)
    if len(mixed) < 3:
        return np.concatenate([mixed, alone]).astype(np.int64)
    far = 1 - near[np.ix_(mixed, mixed)]
    np.fill_diagonal(far, 0)
    condensed = squareform(far, checks=False)
    tree = linkage(condensed, method="average")
    if len(mixed) <= MOST:
        tree = optimal_leaf_ordering(tree, condensed)
    return np.concatenate([mixed[leaves_list(tree)], alone]).astype(np.int64)
