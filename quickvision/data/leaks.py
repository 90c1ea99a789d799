"""Pictures that are on both sides, or in two classes: copies, near copies, frames of one track."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from quickvision.data.scan import grey_pixels
from quickvision.data.series import find_series
from quickvision.data.twins import near_across, near_groups, same_groups, turned_groups


class Finding(NamedTuple):
    """One thing that was found.

    Attributes:
        severity: `error` (training would be misled), `warning` (look at it) or `note` (handled).
        finding: What it is, in a few words.
        n: Files, or classes where it is about classes.
        advice: What to do, or what is done about it.
        examples: The files, or the classes.
    """

    severity: str
    finding: str
    n: int
    advice: str
    examples: tuple[str, ...]


class Split(NamedTuple):
    """What decides how `groups=` can be given.

    Attributes:
        fixed: A folder, a column or the user says who is held out; no fraction.
        table: Labels come from a table, where text in `groups=` is a column.
    """

    fixed: bool = False
    table: bool = False

    @property
    def way(self) -> str:
        """What to do about pictures that are on both sides."""
        way = "keep them together with groups="
        if self.fixed:  # where groups= alone is an error
            way = "hold out a fraction of all with valid=0.2 and groups="
        return f"accuracy will look too good: remove one of each pair, or {way}"


LOOKED_INTO = 32  # pixels of the shorter side, below which a closer look at a twin sees no more


def twins(used: pd.DataFrame, root: Path, split: Split) -> Iterator[Finding]:
    """Look for pictures that are there twice, to the byte and then nearly."""
    digests = used["digest"].tolist()
    first = used.drop_duplicates("digest")
    files = [root / name for name in first["path"]]
    small = first[["width", "height"]].min(axis=1).tolist()
    alike = near_groups(first["thumb"].tolist(), partial(_near_look, files, small))
    near = [first.iloc[group] for group in alike]
    same = [used.iloc[group] for group in same_groups(digests)]
    for kind, groups, worst, mild in (
        ("the same picture", same, "error", "warning"),
        ("nearly the same picture", near, "warning", "note"),
    ):
        labels, sides, rest = [], [], []
        for group in groups:
            if group["label"].nunique() > 1:
                labels.append(group)
            if group["side"].nunique() > 1:
                sides.append(group)
            elif group["label"].nunique() == 1:
                rest.append(group)
        advice = "one of the labels is wrong: correct it, or remove both"
        yield from _grouped(worst, f"{kind} with different labels", labels, advice)
        yield from _grouped(worst, f"{kind} on both sides", sides, split.way)
        yield from _grouped(
            mild, f"{kind} more than once", rest, "duplicates weigh more in training: remove one"
        )


def _near_look(files: Sequence[Path], sides: Sequence[int], i: int) -> np.ndarray | None:
    """Look closer at a picture, unless it is too small: two scanned digits are nearly the same."""
    return grey_pixels(files[i]) if sides[i] >= LOOKED_INTO else None


def turned_twins(
    used: pd.DataFrame,
    root: Path,
    split: Split,
    look: Callable[[Path], np.ndarray | None] | None = None,
) -> Iterator[Finding]:
    """Look for turned or mirrored copies on the other side."""
    first = used.drop_duplicates("digest")
    files = [root / name for name in first["path"]]
    closer = look or partial(grey_pixels, whole=True)
    held = (first["side"] == "valid").tolist()
    groups = turned_groups(first["thumb"].tolist(), lambda i: closer(files[i]), held)
    found = [first.iloc[group] for group in groups]
    finding = "the same picture, turned or mirrored, on both sides"
    yield from _grouped("warning", finding, found, split.way)


def series(used: pd.DataFrame, split: Split) -> Iterator[Finding]:
    """Look for names that belong together, as frames of a track, on both sides."""
    names, held = used["path"].tolist(), (used["side"] == "valid").tolist()
    found = find_series(names, used["label"].tolist(), held)
    if found is None:
        return
    pattern = repr(found.pattern) if "'" in found.pattern else f"r'{found.pattern}'"
    groups = f"groups=re.compile({pattern})" if split.table else f"groups={pattern}"
    way = f"keep them together with {groups}"
    if split.fixed:
        way = f"bring each to one side, or hold out a fraction of all with valid=0.2 and {groups}"
    advice = (
        f"{len(found.held) / sum(held):.0%} of the held-out pictures share the {found.what} with"
        f" training pictures, where accuracy will look too good: {way}"
    )
    pairs = zip(names, found.keys, held, strict=True)
    trained = {key: name for name, key, out in pairs if not out}
    examples = tuple(f"{names[i]} = {trained[found.keys[i]]}" for i in found.held)
    finding = "names that belong together on both sides"
    yield Finding("warning", finding, len(examples), advice, examples)


SECONDS = 2.0  # that a door takes at most to look for copies that are not the same to the byte
MOST = 6_000_000  # pairs across the sides that it compares, in eight ways, in about that time


def few_enough(used: pd.DataFrame) -> bool:
    """Say whether a door has the time to look for near and turned copies."""
    n_valid = int((used["side"] == "valid").sum())
    return n_valid * (len(used) - n_valid) <= MOST


def leaks(used: pd.DataFrame, root: Path, split: Split) -> Iterator[Finding]:
    """Say before training starts what else only `check` would: pictures that are on both sides.

    Args:
        used: A row a picture: `path`, `label`, `side`, `digest`, and where files were looked into
            `thumb`, `width`, `height`. Without, copies to the byte and names alone are looked at.
        root: The folder that the paths are below.
        split: Who says how pictures are held out.
    """
    digests = used["digest"].tolist() if "digest" in used else []
    same = [used.iloc[group] for group in same_groups(digests)]
    labels = [group for group in same if group["label"].nunique() > 1]
    sides = [group for group in same if group["side"].nunique() > 1]
    advice = "one of the labels is wrong: correct it, or remove both"
    yield from _grouped("error", "the same picture with different labels", labels, advice)
    yield from _grouped("error", "the same picture on both sides", sides, split.way)
    if "thumb" in used and few_enough(used):
        end = time.perf_counter() + SECONDS
        with suppress(TimeoutError):  # `check` takes its time
            yield from _near_leaks(used, root, split, end)
    yield from series(used, split)


def _near_leaks(used: pd.DataFrame, root: Path, split: Split, end: float) -> Iterator[Finding]:
    first = used.drop_duplicates("digest")
    files = [root / name for name in first["path"]]
    small = first[["width", "height"]].min(axis=1).tolist()
    held = (first["side"] == "valid").tolist()

    def near(i: int) -> np.ndarray | None:
        _in_time(end)
        return _near_look(files, small, i)

    def whole(file: Path) -> np.ndarray | None:
        _in_time(end)
        return grey_pixels(file, whole=True)

    groups = [first.iloc[group] for group in near_across(first["thumb"].tolist(), near, held)]
    yield from _grouped("warning", "nearly the same picture on both sides", groups, split.way)
    _in_time(end)
    yield from turned_twins(used, root, split, whole)


def _in_time(end: float) -> None:
    if time.perf_counter() > end:
        raise TimeoutError


def _grouped(
    severity: str, finding: str, groups: list[pd.DataFrame], advice: str
) -> Iterator[Finding]:
    if groups:
        n = sum(len(group) for group in groups)
        examples = tuple(" = ".join(str(path) for path in group["path"]) for group in groups)
        yield Finding(severity, finding, n, advice, examples)
