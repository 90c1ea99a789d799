"""Which pictures are held out, and whether the two sides make sense.

Names and labels in, booleans out; it knows nothing of files' contents or of fastai. A split depends
on the seed and on the pictures' names alone, so that it is the same on every machine, and a picture
that is added or left out moves few others.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from quickvision.base.errors import DataError, some, warn


def stratified_split(
    names: Sequence[str], labels: Sequence[str], *, valid: float = 0.2, seed: int = 42
) -> list[bool]:
    """Hold out a fraction of every class.

    Args:
        names: A name for each picture, all different: its path in the data folder, with `/`.
        labels: One label a picture.
        valid: Fraction of all pictures that is held out. Each class gives its share, rounded so
            that the total fits (largest remainder), but at least one and never all.
        seed: Another seed gives another split. No random state is used or changed.

    Returns:
        True for each picture that is held out.

    Raises:
        DataError: Fewer than two classes, or a class with a single picture.
    """
    codes, classes = pd.factorize(np.array(labels, dtype=object), sort=True)
    counts = np.bincount(codes, minlength=len(classes))
    _check_classes(classes.tolist())
    if single := classes[counts < 2].tolist():
        raise DataError(
            "expected at least 2 pictures of each class (one to train on, one to validate), got 1"
            f" of {some(single)}; add pictures or take the class out{_own_classes(single, names)}"
        )
    order = np.lexsort((_shuffled(names, seed), codes))
    place = np.empty(len(codes), dtype=np.int64)  # of each picture in its class's own order
    place[order] = np.arange(len(codes)) - (counts.cumsum() - counts)[codes[order]]
    return (place < _shares(counts, valid)[codes]).tolist()


def _own_classes(single: Sequence[str], names: Sequence[str]) -> str:
    """Say where labels are rather names of pictures, as by a pattern that catches too much."""
    if len(single) < 0.5 * len(names) or len(names) < 4:
        return ""
    return (
        f"; {len(single):,} of {len(names):,} pictures have a class of their own: a label is"
        r" the part of a name that pictures of one class share, as r'^(.+)_\d+' for wren_12.jpg"
    )


def grouped_split(
    groups: Sequence[Hashable], labels: Sequence[str], *, valid: float = 0.2, seed: int = 42
) -> list[bool]:
    """Hold out whole groups (a patient, a car), each class as near to its fraction as they allow.

    Args:
        groups: The group of each picture.
        labels: One label a picture.
        valid: Fraction of each class that is aimed at; at least one group a class, never all.
        seed: Another seed tries the groups in another order.

    Returns:
        True for each picture that is held out.

    Raises:
        DataError: Fewer than two classes, or no way was found to have each class on both sides,
            as where all its pictures are in one group.
    """
    left = Counter(labels)
    _check_classes(sorted(left))
    n, held = dict(left), Counter[str]()
    members: dict[Hashable, Counter[str]] = {}
    for group, label in zip(groups, labels, strict=True):
        members.setdefault(group, Counter())[label] += 1
    keys = list(members)
    order = [keys[i] for i in np.argsort(_shuffled([str(key) for key in keys], seed))]
    chosen = set()

    def cost(group: Hashable) -> float:
        """Return what holding out this group does to the distance from the wanted fractions."""
        wanted = {y: n[y] * valid - held[y] for y in members[group]}
        return sum(
            ((k - wanted[y]) ** 2 - wanted[y] ** 2) / n[y] for y, k in members[group].items()
        )

    def take(group: Hashable) -> None:
        chosen.add(group)
        held.update(members[group])
        left.subtract(members[group])

    def may_go(group: Hashable) -> bool:
        return group not in chosen and all(left[y] > k for y, k in members[group].items())

    for group in order:
        if may_go(group) and cost(group) < 0:
            take(group)
    for label in sorted(n):
        free = [group for group in order if label in members[group] and may_go(group)]
        if not held[label] and free:
            take(min(free, key=cost))
    if absent := sorted(label for label in n if not held[label]):
        k = sum(absent[0] in counts for counts in members.values())
        raise DataError(
            f"expected groups with which each class is on both sides, found none for"
            f" {some(absent)}: {absent[0]} is in {k} of {len(members):,} groups"
        )
    return [group in chosen for group in groups]


def _shuffled(names: Sequence[str], seed: int) -> np.ndarray:
    """Return a number for each name that looks random and is the same everywhere.

    Source: SipHash, as `pandas.util.hash_array` computes it, with the seed as its key.
    """
    plain = [name if name.isascii() else _composed(name) for name in names]
    key = f"{seed:016d}"[-16:]
    return pd.util.hash_array(np.array(plain, dtype=object), hash_key=key, categorize=False)


def _composed(name: str) -> str:
    """Return one spelling of a name: macOS writes `é` in two characters, others in one."""
    return unicodedata.normalize("NFC", name).encode("utf-8", "replace").decode()


def _shares(counts: np.ndarray, valid: float) -> np.ndarray:
    """Return how many pictures of each class are held out."""
    share = counts * valid
    take = np.floor(share).astype(int)
    left = round(share.sum()) - take.sum()
    take[np.argsort(take - share, kind="stable")[:left]] += 1
    return take.clip(1, counts - 1)


def _check_classes(classes: Sequence[str]) -> None:
    if len(classes) < 2:
        raise DataError(
            f"expected at least two classes, got only {some(classes)!r}; for names that hold"
            " the labels use from_name_re"
        )


def _spelt(label: str) -> str:
    """Return a label without what people overlook: case, and what is between its words."""
    return re.sub(r"[\s_-]+", " ", label).strip().casefold()


def check_sides(labels: Sequence[str], held: Sequence[bool], side: str) -> None:
    """See that both sides have pictures and that what is validated was trained on.

    Args:
        labels: One label a picture.
        held: True for each picture that is held out.
        side: What holds them out, for the messages: a folder, a column.

    Raises:
        DataError: A side is empty, there are fewer than two classes, or a class is only held out.
    """
    train = Counter(y for y, v in zip(labels, held, strict=True) if not v)
    valid = Counter(y for y, v in zip(labels, held, strict=True) if v)
    if not train or not valid:
        task, where = ("validate", "in") if train else ("train", "outside")
        raise DataError(
            f"expected pictures to {task} on {where} {side}, got none; add some, or hold out a"
            " fraction with valid=0.2 in its place"
        )
    _check_classes(sorted(train))
    if unknown := sorted(valid.keys() - train.keys()):
        spelt = {_spelt(label): label for label in train}
        for label in unknown:
            if (other := spelt.get(_spelt(label))) is not None:
                raise DataError(
                    f"expected the classes of train in {side}, got also {label!r}, which is spelt"
                    f" {other!r} in train; give both one name"
                )
        raise DataError(
            f"expected the classes of train in {side}, got also {some(unknown)}; train has"
            f" {some(sorted(train), limit=5)}"
        )
    if absent := sorted(train.keys() - valid.keys()):
        warn(f"{side} has no pictures of {some(absent)}: no figure will speak of these classes")
