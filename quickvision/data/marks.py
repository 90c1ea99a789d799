"""What cells say of labels: several in one, columns of 0 and 1, ids and measures that are none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from quickvision.base.errors import DataError, some
from quickvision.data.wording import Column, Table

INDEX_NAMES = re.compile(r"(|index|unnamed: \d+|row|nr|no\.?|#|[xyzwh]|bbox.*)$", re.I)
WHO = re.compile(
    r"(^|[-_ ])(patient|subject|person|lesion|slide|study|user|track|video|sequence|session)"
    r"([-_ ]?(id|no|nr|number|name|uid))?s?$|(^|[-_ ])(uuid|guid|url|uri|link|md5|hash)$",
    re.I,
)
MEASURES = re.compile(
    r"(^|[-_ ])(age|year|month|date|time|timestamp|width|height|size|area|lat|lon(gitude)?|"
    r"latitude|count|weight|confidence|score|[xy](min|max)|(roi|bbox|box)[-_. ]?\w*|[xy][12])$",
    re.I,
)
ONES, ZEROS = {"1", "1.0", "true"}, {"0", "0.0", "false"}
NEARLY_ALL = 0.9  # share of pictures that have a value of their own: an id, no label
FEWEST = 10  # pictures, under which nothing is said of ids


@dataclass(frozen=True)
class Labels:
    """The label of each row, and the columns that say so, for people."""

    texts: Sequence[str]
    said: str
    columns: Sequence[Column]


def labels_of(table: Table, column: Column) -> Labels:
    """Return one column's labels, where they are some."""
    texts = table.frame[column].tolist()
    kinds = set(texts) - {""}
    n = sum(map(bool, texts))
    if n >= FEWEST and len(kinds) >= NEARLY_ALL * n:
        raise DataError(
            f"expected classes with several pictures each in {table.column(column)}, got"
            f" {len(kinds):,} labels for {n:,} pictures, as {some(sorted(kinds))}: an id;"
            f" {_other(table, column)}"
        )
    check_single(table, column, kinds)
    return Labels(texts, table.column(column), [column])


def _other(table: Table, column: Column) -> str:
    names = [name for name in table.frame.columns if name != column]
    repeated = [n for n in names if 2 <= table.frame[n].nunique() < 0.5 * len(table.frame)]
    if repeated:
        return f"say which column holds the classes: {table.call(label_col=repeated[0])}"
    return (
        "no column of this table holds classes; where folders or names do, ask them:"
        f" qv.load_data({table.folder!r})"
    )


def is_share(cell: str) -> bool:
    """Say whether a cell is a number from 0 to 1."""
    return bool(re.fullmatch(r"0*[.,]\d+|[01]([.,]0*)?", cell))


def is_number(cell: str) -> bool:
    """Say whether a cell is a number, with a decimal comma too."""
    return bool(re.fullmatch(r"[-+]?\d*[.,]?\d+(e[-+]?\d+)?", cell, re.I))


def unfit_label(column: pd.Series, name: Column) -> str:
    """Return why a column that nobody asked for is no label; empty where it may be one."""
    cells = [cell for cell in column if cell]
    kinds = set(cells)
    if len(cells) >= FEWEST and len(kinds) >= NEARLY_ALL * len(cells):
        return f"with {len(kinds):,} values for {len(cells):,} pictures, which is an id"
    if isinstance(name, str) and WHO.search(name):
        return "which says who or where from"
    if kinds and all(map(is_number, kinds)):
        parts = [re.split("[.,]", kind) for kind in kinds]
        if any(len(part) == 2 and part[1].strip("0") for part in parts):
            return f"which are measured numbers, as {some(sorted(kinds))}, and no classes"
        if isinstance(name, str) and MEASURES.search(name):
            return "which are measured numbers, and no classes"
    if isinstance(name, str) and INDEX_NAMES.match(name) and all(map(str.isdecimal, kinds)):
        return "which numbers the rows"
    return ""


def is_hot(column: pd.Series) -> bool:
    """Say whether a column holds only 0 and 1, or true and false."""
    kinds = {cell.casefold() for cell in set(column)}
    return bool(kinds - {""}) and kinds <= ONES | ZEROS | {""}


def one_hot(table: Table, hot: Sequence[Column], *, alone: bool) -> Labels | None:
    """Return the labels of columns that are one class each, with a 1 where a picture is of it.

    A row without a 1 has no label.

    Args:
        table: The table.
        hot: Its columns of 0 and 1.
        alone: There are no others that may be labels.

    Raises:
        DataError: Rows have several, and there is no other column.
    """
    ones = pd.DataFrame({c: table.frame[c].str.casefold().isin(ONES) for c in hot})
    sums = ones.sum(axis=1)
    if (many := sums > 1).any():
        if not alone:
            return None
        kinds = [list(ones.columns[row]) for row in ones[many].to_numpy()]
        shown = some(dict.fromkeys(" and ".join(map(str, kind)) for kind in kinds))
        raise several_labels(
            f"the columns {shown} are 1 in one row, in {table.rows(list(many))} of {table.name}",
            f"name the one that counts, {table.call(label_col=_mixed(table, hot))}, or leave these"
            " rows out",
        )
    if not (sums == 1).any() or (not alone and 20 * int((sums == 1).sum()) < 19 * len(sums)):
        return None
    names = pd.Series([str(column).strip() for column in hot], dtype=object)
    at = ones.to_numpy().argmax(axis=1)
    texts = names.to_numpy()[at].tolist()
    texts = [text if n else "" for text, n in zip(texts, sums, strict=True)]
    said = f"columns {some([repr(column) for column in hot])} of {table.name}, 1 for its class"
    return Labels(texts, said, list(hot))


def _mixed(table: Table, columns: Sequence[Column]) -> Column:
    """Return the first column that is not the same in all rows."""
    return next((c for c in columns if table.frame[c].nunique() > 1), columns[0])


def several_labels(got: str, way: str) -> DataError:
    """Return the error for pictures that have more than one label."""
    return DataError(
        "expected one label for each picture, got several labels for a picture, which is not"
        f" supported yet: {got}; {way}"
    )


def check_single(table: Table, column: Column, kinds: Collection[str]) -> None:
    """Refuse cells that hold several labels: `scab|rust`, where `scab` and `rust` are labels, too.

    Raises:
        DataError: There are such.
    """
    for separator in ("|", ";", ",", " "):
        combined = _combined(kinds, separator)
        if not combined:
            continue
        marked = [cell in combined for cell in table.frame[column]]
        shown = some([repr(kind) for kind in sorted(combined)])
        raise several_labels(
            f"{shown} in {table.column(column)}, in {table.rows(marked)}, put together of others",
            f"leave these rows out, or make each combination a class: {table.as_frame()};"
            f" df[{column!r}] = df[{column!r}].str.replace({separator!r}, '_and_', regex=False);"
            f" qv.from_df(df, images={table.folder!r}, label_col={column!r})",
        )


def _combined(kinds: Collection[str], separator: str) -> set[str]:
    """Return the labels that are made of others; empty where too few of their parts are labels.

    Blanks are in names, too (`great dane`, `not ok`): these count only where several labels are
    put together of others, and hardly any is not.
    """
    parts = {}
    for kind in kinds:
        if separator in kind:
            words = [word.strip(" '\"[]") for word in kind.split(separator)]
            if len(words := [word for word in words if word]) > 1:
                parts[kind] = words
    if separator == "," and (lists := {kind for kind in parts if kind[0] + kind[-1] == "[]"}):
        return lists
    alone = {kind.strip(" '\"[]") for kind in set(kinds) - set(parts)}
    known = {kind for kind, words in parts.items() if alone.issuperset(words)}
    if separator == " ":
        return known if len(known) > 1 and len(known) >= 0.8 * len(parts) else set()
    atoms = {word for each in parts.values() for word in each}
    if atoms and len(atoms & alone) >= 0.8 * len(atoms):
        return set(parts)
    if separator in "|;" and atoms:  # none stands alone, but they change places
        counts = Counter(word for each in parts.values() for word in set(each))
        places = {
            word: {each.index(word) for each in parts.values() if word in each} for word in atoms
        }
        often = sum(n > 1 for n in counts.values()) >= 0.8 * len(atoms)
        if often and any(len(at) > 1 for at in places.values()):
            return set(parts)
    return set()
