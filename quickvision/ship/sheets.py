"""A table to hand in, before it is answered: as a sample is, or without one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from quickvision.base.errors import DataError, did_you_mean, some, warn
from quickvision.base.files import read_rows
from quickvision.data.labels import composed
from quickvision.data.paths import SUFFIXES

IDS = ("name", "stem", "number")
ID, LABEL = -1, -2  # what a column holds; else the class whose probability it holds


@dataclass(frozen=True)
class Sheet:
    """A table before it is answered: what each column holds, and a row's id and picture."""

    header: Sequence[str]
    holds: Sequence[int]
    ids: Sequence[str]
    pictures: Sequence[str]


@dataclass(frozen=True)
class Classes:
    """How classes are written: `written` in the order of the model's `vocab`; or one is asked for.

    Attributes:
        vocab: Their names.
        written: What stands for each of them.
        positive: The class whose probability is written in place of labels; -1 where none is.
    """

    vocab: Sequence[str]
    written: Sequence[str]
    positive: int = -1

    @property
    def named(self) -> bool:
        """They are written by their names."""
        return self.written is self.vocab

    @property
    def column(self) -> int:
        """What a single column holds."""
        return LABEL if self.positive < 0 else self.positive


def plain(
    names: Sequence[str], named: Sequence[str], ids: str, classes: Classes, *, probs: bool
) -> Sheet:
    """Lay out a table without a sample."""
    stems = [_stem(_last(name)) for name in names]
    numbered = all(stem.isdecimal() for stem in stems)
    if ids == "number" and not numbered:
        other = next(name for name, stem in zip(names, stems, strict=True) if not stem.isdecimal())
        raise DataError(f"ids: expected names that are numbers, got {other}; say ids='stem'")
    order = sorted(range(len(names)), key=lambda i: int(stems[i])) if numbered else None
    pictures = [names[i] for i in order] if order else list(names)
    shown: dict[str, Callable[[str], str]] = {"name": str, "stem": _stem, "number": _number}
    called = [shown[ids](name) for name in pictures]
    _check_once(called, "of the pictures")
    if not probs:
        return Sheet(named, [ID, classes.column], called, pictures)
    if named[0] in classes.written:
        raise ValueError(f"id_col: expected another name than a class's, got {named[0]!r}")
    holds = [ID, *range(len(classes.vocab))]
    return Sheet([named[0], *classes.written], holds, called, pictures)


def as_sample(
    like: Path,
    root: Path,
    names: Sequence[str],
    id_col: str | None,
    label_col: str | None,
    classes: Classes,
) -> Sheet:
    """Lay out a table as the sample is."""
    header, *rows = read_rows(like)
    if not rows or any(len(row) != len(header) for row in rows) or len({*header}) < len(header):
        raise DataError(
            f"expected a header in {like}, with a name of its own for each column, and rows of as"
            f" many cells, got {len(rows):,} rows under {header}"
        )
    at = 0 if id_col is None else _column(header, id_col, "id_col", like)
    ids = [row[at] for row in rows]
    _check_once(ids, f"in {like}")
    others = [i for i in range(len(header)) if i != at]
    if label_col is not None:
        label = _column(header, label_col, "label_col", like)
        if others != [label]:
            more = [header[i] for i in others if i != label]
            got = f"{some(more)} too" if more else "the ids' own"
            raise DataError(
                f"label_col: expected the one column beside the ids in {like}, got {got}"
            )
    if not others:
        raise DataError(f"expected a column beside the ids in {like}, got {header} alone")
    pictures = _pictures_of(ids, root, names, like)
    holds = [ID] * len(header)
    if len(others) == 1:
        cells = {row[others[0]] for row in rows} - {""}
        holds[others[0]] = _one_column(header[others[0]], cells, classes, like)
    else:
        for i, place in zip(others, _class_columns(header, others, classes, like), strict=True):
            holds[i] = place
    return Sheet(header, holds, ids, pictures)


def _column(header: Sequence[str], name: str, option: str, like: Path) -> int:
    if name not in header:
        near = did_you_mean(name, header)
        raise DataError(
            f"{option}: expected a column of {like}, {some(header)}, got {name!r}{near}"
        )
    return header.index(name)


_WHOLE = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def _one_column(name: str, cells: Collection[str], classes: Classes, like: Path) -> int:
    """Say what a column beside the ids holds: labels, or the probability of one class.

    Raises:
        DataError: The sample's numbers stand for classes that have names.
        ValueError: Numbers are asked for where the sample has names.
    """
    if classes.positive >= 0:
        return classes.positive
    numbers = bool(cells) and all(map(_NUMBER.fullmatch, cells))
    vocab = classes.vocab
    if numbers and not all(map(_WHOLE.fullmatch, cells)):
        raise DataError(
            f"expected to see what {name!r} of {like} holds, got numbers such as"
            f" {some(sorted(cells))}, which look like probabilities: say of which class, as"
            f" positive={vocab[-1]!r}"
        )
    if numbers and classes.named and not all(map(_WHOLE.fullmatch, vocab)):
        more = f"; or positive={vocab[-1]!r} for its probability" if len(vocab) == 2 else ""
        raise DataError(
            f"expected labels in {name!r} of {like}, got numbers such as {some(sorted(cells))} for"
            f" classes with names ({some(vocab)}): say what the first is counted as, first=0 or"
            f" first=1{more}"
        )
    if cells and not numbers and not ({*map(composed, cells)} & {*map(composed, classes.written)}):
        if not classes.named and all(map(_WHOLE.fullmatch, classes.written)):
            raise ValueError(
                f"first: goes with a sample whose labels are numbers, got {some(sorted(cells))} in"
                f" {name!r} of {like}"
            )
        warn(
            f"{name!r} of {like} has {some(sorted(cells))}, none of which the model knows: it gets"
            f" {some(classes.written)}"
        )
    return LABEL


def _class_columns(
    header: Sequence[str], others: Sequence[int], classes: Classes, like: Path
) -> list[int]:
    """Return the class of each column of probabilities.

    Raises:
        DataError: A column is no class of the model, or a class has no column.
        ValueError: One class's probability is asked for.
    """
    if classes.positive >= 0:
        raise ValueError(
            f"positive: goes with one column beside the ids, got {len(others)} in {like}"
        )
    places = {composed(text): i for i, text in enumerate(classes.written)}
    columns = [composed(header[i]) for i in others]
    strange = [column for column in columns if column not in places]
    lost = [text for text in places if text not in columns]
    if strange or lost:
        got = [f"{some(strange)}{did_you_mean(strange[0], places)}"] if strange else []
        got += [f"none for {some(lost)}"] if lost else []
        ways = "id_col= and label_col= say which is which, where there are only two"
        if strange and classes.named and all(map(_WHOLE.fullmatch, columns)):
            ways = "first=0 or first=1 says what the first class is counted as"
        raise DataError(
            f"expected a column for each class of the model in {like} ({some(classes.written)}),"
            f" got {', and '.join(got)}; {ways}"
        )
    return [places[column] for column in columns]


def _check_once(ids: Sequence[str], where: str) -> None:
    if twice := [text for text, n in Counter(ids).items() if n > 1]:
        raise DataError(f"expected each id {where} once, got {len(twice):,} twice: {some(twice)}")


def _counted(items: Sequence[str], what: str) -> str:
    return f"{len(items):,} {what}{'s' if len(items) > 1 else ''}"


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _stem(name: str) -> str:
    at = name.rfind(".")
    return name[:at] if at > 0 and name[at:].lower() in SUFFIXES else name


def _number(name: str) -> str:
    stem = _stem(_last(name))
    return str(int(stem)) if stem.isdecimal() else name


# How an id and a picture's path below the folder may be the same; the first that fits most.
_ALIKE: tuple[Callable[[str], str], ...] = (
    str,
    _stem,
    _last,
    lambda name: _stem(_last(name)),
    _number,
)


def _pictures_of(ids: Sequence[str], root: Path, names: Sequence[str], like: Path) -> list[str]:
    """Return the picture of each id.

    Raises:
        DataError: An id has none, or several; or a picture has no id.
    """
    texts = [composed(text.replace("\\", "/").removeprefix("./")) for text in ids]
    top = f"{root.resolve().name}/"
    if all(text.startswith(top) for text in texts):
        texts = [text.removeprefix(top) for text in texts]
    best: list[list[str]] = []
    for key in _ALIKE:
        by_key: dict[str, list[str]] = {}
        for name in names:
            by_key.setdefault(key(composed(name)), []).append(name)
        found = [by_key.get(key(text), []) for text in texts]
        if sum(map(bool, found)) > sum(map(bool, best)):
            best = found
    best = best or [[] for _ in ids]
    for text, several in zip(ids, best, strict=True):
        if len(several) > 1:
            raise DataError(
                f"expected one picture in {root} for each id of {like}, got {some(several)} for"
                f" {text!r}"
            )
    pictures = [name for several in best for name in several]
    _check_once(pictures, f"in {like} to be of a picture of its own, and each picture")
    lost = [text for text, several in zip(ids, best, strict=True) if not several]
    more = sorted({*names} - {*pictures})
    if lost or more:
        got = [f"{_counted(lost, 'id')} without a picture: {some(lost)}"] if lost else []
        got += [f"{_counted(more, 'picture')} without an id: {some(more)}"] if more else []
        raise DataError(
            f"expected a picture in {root} for each id of {like}, and an id for each picture, got"
            f" {'; and '.join(got)}; give the folder of the test pictures, and id_col= where the"
            " ids are not the sample's first column"
        )
    return pictures
