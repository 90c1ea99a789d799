"""Which pictures are held out, and whether the two sides make sense.

Level 1: labels in, booleans out; it knows nothing of files' contents or of fastai.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from quickvision.errors import DataError, DataWarning, some


def stratified_split(labels: Sequence[str], *, valid: float = 0.2, seed: int = 42) -> list[bool]:
    """Hold out a fraction of every class, the same pictures for the same seed and labels.

    Args:
        labels: One label a picture, in a fixed order.
        valid: Fraction of all pictures that is held out. Each class gives its share, rounded so
            that the total fits (largest remainder), but at least one and never all.
        seed: Seed of a generator of its own; the global random state is neither used nor changed.

    Returns:
        True for each picture that is held out.

    Raises:
        DataError: Fewer than two classes, or a class with a single picture.
    """
    counts = Counter(labels)
    _check_classes(counts)
    single = sorted(label for label, count in counts.items() if count < 2)
    if single:
        raise DataError(
            "expected at least 2 pictures of each class (one to train on, one to validate), got 1"
            f" of {some(single)}; add pictures or take the class out"
        )
    classes = sorted(counts)
    share = np.array([counts[label] for label in classes]) * valid
    take = np.floor(share).astype(int)
    left = round(sum(share)) - take.sum()
    take[np.argsort(take - share, kind="stable")[:left]] += 1
    take = take.clip(1, [counts[label] - 1 for label in classes])
    rng = np.random.default_rng(seed)
    held = np.zeros(len(labels), dtype=bool)
    all_labels = np.array(labels)
    for label, n in zip(classes, take, strict=True):
        held[rng.permutation(np.flatnonzero(all_labels == label))[:n]] = True
    return held.tolist()


def _check_classes(counts: Counter[str]) -> None:
    if len(counts) < 2:
        raise DataError(
            f"expected at least two classes, got only {some(list(counts))!r}; for names that hold"
            " the labels use from_name_re"
        )


def check_sides(labels: Sequence[str], in_valid: Sequence[bool], held_out: Path) -> None:
    """See that both sides have pictures and that what is validated was trained on."""
    train = Counter(y for y, v in zip(labels, in_valid, strict=True) if not v)
    valid = Counter(y for y, v in zip(labels, in_valid, strict=True) if v)
    if not train or not valid:
        empty = held_out if train else held_out.parent / "train"
        raise DataError(f"expected pictures in class folders in {empty}, got none")
    _check_classes(train)
    if unknown := sorted(valid.keys() - train.keys()):
        raise DataError(
            f"expected the classes of train in {held_out}, got also {some(unknown)}; train has"
            f" {some(sorted(train), limit=5)}"
        )
    if absent := sorted(train.keys() - valid.keys()):
        text = (
            f"{held_out} has no pictures of {some(absent)}: no figure will speak of these classes"
        )
        warnings.warn(text, DataWarning, stacklevel=4)
