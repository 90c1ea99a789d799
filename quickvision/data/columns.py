"""Which column of a table says what: the pictures, the labels, who is held out."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

import pandas as pd

from quickvision.base.errors import DataError, did_you_mean, expect, some
from quickvision.data.cells import EXACT, LOOKED_AT, MASKS, NUMBER, Cells
from quickvision.data.marks import (
    FEWEST,
    INDEX_NAMES,
    Labels,
    is_hot,
    is_number,
    is_share,
    labels_of,
    one_hot,
    unfit_label,
)
from quickvision.data.tree import TEST_NAMES, TRAIN_NAMES, VALID_NAMES
from quickvision.data.wording import Column, Table

SPLIT_NAMES = (
    "is_valid",
    "valid",
    "split",
    "set",
    "subset",
    "data_set",
    "dataset",
    "fold",
    "partition",
)
LABEL_NAMES = ("label", "labels", "class", "classes", "category", "target", "species", "breed")
ALSO_LABELS = {f"{one}{two}" for one in ("class", "label", "category") for two in ("name", "id")}
YES = {"true", "yes", "y", "1", "1.0", *VALID_NAMES, *TEST_NAMES}
NO = {"false", "no", "n", "0", "0.0", *TRAIN_NAMES}
PICTURE_NAMES = re.compile(r"image|img|pic|photo|file|path|fname|jpe?g|png", re.I)


class NamesNoPictures(DataError):
    """A table that has nothing to do with the pictures beside it."""


class NoLabels(DataError):
    """A table that names pictures and has no column of classes."""


@dataclass(frozen=True)
class Columns:
    """Which column says what, by name or by number from 0, where it is said; see `from_csv`."""

    fn_col: Column | None = None
    label_col: Column | None = None
    valid_col: Column | None = None
    groups: Column | None = None
    suffix: str | None = None


def pick(table: Table, column: Column | None, option: str) -> Column | None:
    """Return a column's own name; numbers count columns from 0 where none is named so.

    Raises:
        DataError: There is no such column.
    """
    columns = list(table.frame.columns)
    expect(column, Hashable, option)
    if column is None or column in columns:
        return column
    if isinstance(column, int) and 0 <= column < len(columns):
        return columns[column]
    near = [name for name in columns if str(name).casefold() == str(column).strip().casefold()]
    hint = did_you_mean(str(column), map(str, columns))
    hint = f"; did you mean {near[0]!r}?" if near else hint
    raise DataError(
        f"{option}: expected a column of {table.name}, one of {columns}, got {column!r}{hint}"
    )


def file_column(table: Table, cells: Cells) -> Column:
    """Return the column that names the pictures.

    Raises:
        DataError: None does, or several do that name different ones.
    """
    frame = table.frame.iloc[:: max(1, len(table.frame) // LOOKED_AT)].head(LOOKED_AT)
    columns = [c for c in frame.columns if 2 * frame[c].nunique() > len(frame)]
    columns = columns if columns and len(frame) >= FEWEST else list(frame.columns)
    best: tuple[float, dict[Column, list[str]]] = (0, {})
    for level in range(EXACT, NUMBER + 1):
        found = {column: [cells.find(c, level) for c in frame[column]] for column in columns}
        hits = {column: len(set(files) - {""}) for column, files in found.items()}
        most = max(hits.values())
        near = {column: found[column] for column in columns if 2 * hits[column] > most}
        if most > best[0]:
            best = (most, near)
        if 2 * most >= len(frame):
            break
    if not best[0]:
        raise _no_pictures(table, cells)
    rated = {column: _rating(frame, column) for column in best[1]}
    top = max(rated.values())
    left = [column for column in best[1] if rated[column] == top]
    named = {tuple(best[1][column]) for column in left}
    if len(named) == 1:
        return left[0]
    photos = [
        c for c in left if all(f.lower().endswith((".jpg", ".jpeg")) for f in best[1][c] if f)
    ]
    drawn = [c for c in left if all(f.lower().endswith((".png", ".gif")) for f in best[1][c] if f)]
    if len(photos) == 1 and len(drawn) == len(left) - 1:
        return photos[0]
    one, other, *_ = left
    raise DataError(
        f"expected one column of {table.name} that names the pictures, got {some(left)}, which name"
        f" different ones, {_first(best[1][one])} and {_first(best[1][other])} in the first row;"
        f" say which: {table.call(fn_col=one)}"
    )


def _first(files: Sequence[str]) -> str:
    return next(filter(None, files), "none").replace("\\", "/").rpartition("/")[2]


def _rating(frame: pd.DataFrame, column: Column) -> tuple[int, int]:
    """Say how much a column looks like one of pictures: by its name, and by having each once."""
    name = str(column) if isinstance(column, str) else "column"
    unlike = 2 * frame[column].nunique() > len(frame)
    if isinstance(column, str) and MASKS.search(name):
        return 0, 0
    if PICTURE_NAMES.search(name):
        return 1, 3 if unlike else 2
    return 1, 0 if INDEX_NAMES.match(name) or not unlike else 1


def _no_pictures(table: Table, cells: Cells) -> NamesNoPictures:
    names = list(table.frame.columns)
    row = {column: table.frame[column].iloc[0] for column in names}
    likely = max(names, key=lambda c: (bool(PICTURE_NAMES.search(str(c))), -names.index(c)))
    return NamesNoPictures(
        f"expected a column of {table.name} that names pictures in {cells.base}, got none in"
        f" {names if len(names) <= 12 else some(names)}: there is no {row[likely]!r} there or in"
        " any folder below; say where the pictures are with images=, which column names them with"
        " fn_col=, and what the names end"
        f" in with suffix='.jpg', as {table.call(images='FOLDER', fn_col=likely)}"
    )


def label_columns(table: Table, asked: Column | None, taken: Collection[Column | None]) -> Labels:
    """Return the labels: of the column that is asked for, or of the one that must be it.

    Raises:
        DataError: Several columns may be it, or none; or there are several labels for a picture.
    """
    if asked is not None:
        return labels_of(table, asked)
    free = [column for column in table.frame.columns if column not in taken]
    known = [c for c in free if str(c).strip().casefold() in LABEL_NAMES]
    known = known or [c for c in free if re.sub("[^a-z]", "", str(c).casefold()) in ALSO_LABELS]
    known = known or [c for c in free if _is_y(table, c)]
    if len(known) > 1 and (same := _same_classes(table.frame, known)) is not None:
        known = [same]
    if len(known) == 1:
        return labels_of(table, known[0])
    rest = known or [column for column in free if not _is_split(table.frame[column], column)]
    rest = [column for column in rest if any(table.frame[column])] or rest
    hot = [column for column in rest if is_hot(table.frame[column])]
    if len(hot) > 1 and (found := one_hot(table, hot, alone=len(hot) == len(rest))):
        return found
    if len(rest) > 1:
        fit = [c for c in rest if not unfit_label(table.frame[c], c)]
        same = _same_classes(table.frame, fit) if len(fit) > 1 else None
        rest = fit or rest
        rest = [same] if same is not None else rest
    if len(rest) == 1:
        if why := unfit_label(table.frame[rest[0]], rest[0]):
            way = f"where these are the classes, say so: {table.call(label_col=rest[0])}"
            way = _elsewhere(table) if why.endswith("an id") else way
            raise NoLabels(
                f"expected a column of labels in {table.name}, got only {rest[0]!r}, {why}; {way}"
            )
        return labels_of(table, rest[0])
    if not rest:
        this = f" if it is {free[0]!r}: {table.call(label_col=free[0])}" if free else ""
        raise NoLabels(
            f"expected a column of labels in {table.name}, got only {list(table.frame.columns)};"
            f"{this or f' {_elsewhere(table)}'}"
        )
    worded = [c for c in rest if not all(map(is_number, set(table.frame[c])))]
    if len(worded) == 1 and not any(isinstance(column, str) for column in rest):
        return labels_of(table, worded[0])  # `val_1.JPEG n01443537 0 32 44 62`
    shares = all(all(is_share(cell) for cell in table.frame[column]) for column in rest)
    largest = (
        f"; where these are shares, take the largest: {table.as_frame()}; df['label'] ="
        f" df[{rest!r}].astype(float).idxmax(axis=1); qv.from_df(df, images={table.folder!r},"
        " label_col='label')"
    )
    several = [c for c in rest if table.frame[c].nunique() > 1] or rest
    raise DataError(
        f"expected to see which column holds the labels, got {rest}; say label_col=, as"
        f" {table.call(label_col=several[0])}{largest if shares else ''}"
    )


def _is_y(table: Table, column: Column) -> bool:
    """Say whether a column is the `y` of people who call pictures `x`, and no coordinate."""
    column_of = table.frame[column]
    alone = str(column) in ("y", "Y") and "w" not in map(str.lower, map(str, table.frame.columns))
    return alone and 2 <= 2 * column_of.nunique() <= max(len(column_of), 4)


def _elsewhere(table: Table) -> str:
    return f"where folders or names hold the labels, ask them: qv.load_data({table.folder!r})"


def _same_classes(frame: pd.DataFrame, columns: Sequence[Column]) -> Column | None:
    """Return the column of names where others are numbers for the same classes."""
    words = [c for c in columns if not all(is_number(cell) for cell in set(frame[c]))]
    pairs = len(set(zip(*(frame[column] for column in columns), strict=True)))
    if len(words) == len(columns) or 2 * pairs > len(frame):
        return None
    if any(frame[column].nunique() != pairs for column in columns):
        return None
    return (words or list(columns))[0]


def _word(cell: object) -> str:
    return re.sub(r"[-\s]+", "_", str(cell).strip().casefold())


def _says_train(name: Column) -> bool:
    """Say whether a column is named after the train side: `is_train`, `Train`, `training set`."""
    words = _word(name).removeprefix("is").split("_")
    return bool({"train", "training"} & set(words)) and not set(words) & {*VALID_NAMES, *TEST_NAMES}


def _is_split(column: pd.Series, name: Column) -> bool:
    """Say whether a column looks like one that says who is held out."""
    kinds = {_word(cell) for cell in set(column)}
    if _word(name) in SPLIT_NAMES or _word(name).removeprefix("is_") in (*VALID_NAMES, *TEST_NAMES):
        return True
    named = {*TRAIN_NAMES, *VALID_NAMES, *TEST_NAMES}
    return (_says_train(name) and kinds <= YES | NO) or (len(kinds) > 1 and kinds <= named)


def split_columns(table: Table, taken: Collection[Column | None]) -> list[Column]:
    """Return the columns that look like a split, and are not used."""
    frame = table.frame
    return [c for c in frame.columns if c not in taken and _is_split(frame[c], c)]


def held(
    table: Table, name: Column, fn_col: Column, labels: Labels
) -> tuple[list[bool], list[bool]]:
    """Read a column that says who is held out; `test` rows are a third side where others validate.

    Words mean what they say. 1, yes and true mean held out, or, where the column is named after the
    train side (`is_train`), the contrary.

    Returns:
        Who is held out, and who is of the third side.

    Raises:
        DataError: The column says something else.
    """
    column = table.frame[name]
    words = [_word(word) for word in column]
    strange = sorted(set(words) - YES - NO)
    if strange:
        kinds = sorted({str(cell) for cell in column}, key=lambda kind: (len(kind), kind))
        raise DataError(
            f"expected yes or no, 1 or 0, true or false, train or valid in {table.column(name)},"
            f" got {some([repr(kind) for kind in kinds], limit=6)};"
            f" {how_to_split(table, name, fn_col, labels)}"
        )
    has_valid = bool(set(words) & YES - set(TEST_NAMES))
    tests = [word in TEST_NAMES and has_valid for word in words]
    turned = _says_train(name)
    spoken = {*TRAIN_NAMES, *VALID_NAMES, *TEST_NAMES}
    held_out = [(word in YES) != (turned and word not in spoken) for word in words]
    return held_out, tests


def how_to_split(table: Table, name: Column, fn_col: Column, labels: Labels) -> str:
    """Return the call that splits by a column, also where it numbers folds."""
    cells = table.frame[name]
    if {_word(cell) for cell in cells} <= YES | NO:
        return f"valid_col={name!r} splits by it: {table.call(valid_col=name)}"
    empty = (
        f" (it is empty in {table.rows([not cell for cell in cells])})" if "" in set(cells) else ""
    )
    kinds = sorted(set(cells) - {""}, key=lambda kind: (len(kind), kind))
    strange = [kind for kind in kinds if _word(kind) not in YES | NO]
    last = (strange or kinds)[-1]
    one_hot = len(labels.columns) > 1
    label = "" if one_hot else f", label_col={labels.columns[0]!r}"
    return (
        f"hold out one of them{empty}, as {last!r}: {table.as_frame()}; df['held_out'] ="
        f" df[{name!r}] == {last!r}; qv.from_df(df{f'.drop(columns={name!r})' if one_hot else ''},"
        f" images={table.folder!r}, fn_col={fn_col!r}{label}, valid_col='held_out')"
    )
