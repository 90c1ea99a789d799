"""Pictures and labels from a table: a CSV file or a DataFrame, and the files its cells name."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import pandas as pd

from quickvision.base.errors import DataError, as_path, some, warn
from quickvision.data.cells import LOOKED_AT, NAME, STEM, Cells, split_end
from quickvision.data.columns import (
    Columns,
    file_column,
    held,
    how_to_split,
    label_columns,
    pick,
    split_columns,
)
from quickvision.data.joins import joined
from quickvision.data.labels import TableLabel
from quickvision.data.listing import Listing
from quickvision.data.marks import Labels, several_labels
from quickvision.data.places import guess_images, images_folder, names_below, root_of
from quickvision.data.rows import named, read_table, without_bad
from quickvision.data.tree import TEST, TEST_NAMES, TRAIN, VALID, VALID_NAMES, side_of
from quickvision.data.wording import Call, Table

TRAIN_TABLE = re.compile(r"(?<![a-z])train(ing)?(?![a-z])", re.I)


def list_csv(
    csv: str | Path,
    *,
    images: str | Path | None = None,
    header: bool | None = None,
    max_bad: float = 0.05,
    beside: bool = True,
    undecided: bool = True,
    **columns: Any,
) -> Listing:
    """List the pictures of a CSV file, with `Columns`; see `quickvision.from_csv`.

    Args:
        csv: The file.
        images: Folder of the pictures.
        header: Whether the first row names the columns.
        max_bad: The fraction of rows with too many or too few cells that may be left out.
        beside: Hold out the rows of a table beside it, `valid.csv` beside `train.csv`.
        undecided: Nobody has said who is held out, so that a column that could is said.
        **columns: Those of `Columns`.
    """
    path, asked = as_path(csv, "csv"), Columns(**columns)
    where = None if images is None else as_path(images, "images")
    shown = {"images": where and str(images), "header": header, **asdict(asked)}
    call = Call(f"qv.from_csv({str(csv)!r}", shown)
    rows = without_bad(read_table(path), path, call, max_bad)
    if where is None:
        base, direct = guess_images(rows.cells, asked.suffix, path, call)
        near = (path.parent, _tidy(path.parent / ".."))
        cells = Cells(base, path.parent, near, asked.suffix, str(path), call)
    else:
        base, direct = images_folder(where, path.parent), False
        cells = Cells(base, base, (), asked.suffix, str(path), call)
    if header is None:
        picks = (asked.fn_col, asked.label_col, asked.valid_col, asked.groups)
        by_name = any(isinstance(column, str) for column in picks)
        first, *others = rows.cells
        counted = first == [str(i) for i in range(len(first))]  # as pandas names columns
        counted = counted and any(row[0] == "0" for row in others)
        header = by_name or counted or not _names_picture(first, cells, direct)
    rows, names = named(rows, path, header=header)
    frame = pd.DataFrame(rows.cells, columns=names, dtype=object)
    table = Table(frame, rows.numbers, str(path), call, str(base), rows.separator)
    found_by = Call(call.door, {**shown, "header": None, "groups": None})()
    listing, labels = _list(table, cells, asked, found_by, undecided)
    if beside and asked.valid_col is None and listing.held is None:
        listing = _with_others(listing, path, asked, labels, images)
    return listing


def list_df(
    df: pd.DataFrame, *, images: str | Path = ".", undecided: bool = True, **columns: Any
) -> Listing:
    """List the pictures of a DataFrame, as `list_csv` does; see `quickvision.from_df`."""
    if not isinstance(df, pd.DataFrame):
        raise TypeError(f"expected a DataFrame, got {type(df).__name__}")
    if not len(df):
        raise DataError("expected rows in the table, got none; look at how it was read or filtered")
    if not df.columns.is_unique:
        twice = df.columns[df.columns.duplicated()][0]
        raise DataError(
            f"expected a name of its own for each column, got two {twice!r}; keep the first:"
            " qv.from_df(df.loc[:, ~df.columns.duplicated()])"
        )
    asked = Columns(**columns)
    frame = pd.DataFrame({col: [_text(value) for value in df[col]] for col in df}, dtype=object)
    base = images_folder(as_path(images, "images"), Path())
    call = Call("qv.from_df(df", {"images": str(images), **asdict(asked)})
    table = Table(frame, list(df.index), "the table", call, str(images))
    cells = Cells(base, base, (), asked.suffix, "the table", call, of_frame=True)
    try:
        listing, labels = _list(table, cells, asked, "", undecided)
    except DataError as error:
        if all(isinstance(name, str) for name in df.index[:LOOKED_AT]):
            way = f"qv.from_df(df.reset_index(), images={str(images)!r})"
            raise DataError(f"{error}; where the index names the pictures: {way}") from error
        raise
    kinds = df[list(labels.columns)].dtypes
    lost = sum(df[column].isna().sum() for column in labels.columns)
    if lost and all(str(kind) in ("object", "str", "string") for kind in kinds):
        warn(
            f"{lost:,} of {len(df):,} rows of the table have no label, but NaN: pandas takes NA,"
            " null and None for it; where these are labels, pd.read_csv(..., keep_default_na=False)"
        )
    return listing


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    is_float = isinstance(value, Real) and not isinstance(value, Integral)
    whole = is_float and float(value).is_integer()  # a column of numbers with gaps
    return str(int(value) if whole else value).strip()


def _tidy(folder: Path) -> Path:
    return Path(os.path.abspath(folder))


def _names_picture(row: Sequence[str], cells: Cells, direct: bool) -> bool:
    """Say whether a first row is a picture's, and no header."""
    if any(split_end(cell)[1] for cell in row):
        return True
    levels = range(NAME if direct else STEM + 1)  # the index is made only where nothing is found
    return any(cells.find(cell, level) for level in levels for cell in row)


def _list(
    table: Table, cells: Cells, asked: Columns, found_by: str, undecided: bool
) -> tuple[Listing, Labels]:
    fn_col = pick(table, asked.fn_col, "fn_col")
    valid_col = pick(table, asked.valid_col, "valid_col")
    groups = pick(table, asked.groups, "groups")
    label_col = pick(table, asked.label_col, "label_col")
    if fn_col is None:
        given = [column for column in (label_col, valid_col, groups) if column is not None]
        rest = table.frame.drop(columns=given) if len(given) < table.frame.shape[1] else table.frame
        fn_col = file_column(replace(table, frame=rest), cells)
    labels = label_columns(table, label_col, {fn_col, valid_col, groups})
    sides = split_columns(table, {fn_col, valid_col, groups, *labels.columns})
    if sides and valid_col is None and undecided:
        warn(
            f"{table.column(sides[0])} is not used; {how_to_split(table, sides[0], fn_col, labels)}"
        )
    held_out = None if valid_col is None else held(table, valid_col, fn_col, labels)
    texts = table.frame[fn_col].tolist()
    files = cells.find_all(texts)
    root = root_of(texts, files, cells)
    names, missing = names_below(texts, files, root, cells)
    texts = [unicodedata.normalize("NFC", text) for text in labels.texts]
    first = _first_rows(table, names, texts)
    if dropped := len(names) - len(first):
        warn(f"{dropped:,} of {len(names):,} rows of {table.name} repeat a row or name no picture")
    tests: list[str] = []
    if held_out is not None:
        tests = [names[i] for i in first if held_out[1][i] and names[i] not in missing]
        first = [i for i in first if not held_out[1][i]]
    pictures = [names[i] for i in first]
    labelled = {names[i]: texts[i] for i in first}
    left_out = {name: "no label" for name in pictures if not labelled[name]}
    left_out |= {name: "no such file" for name in pictures if name in missing}
    listing = Listing(
        root=root,
        names=pictures,
        labels=["" if name in left_out else labelled[name] for name in pictures],
        get_y=TableLabel(root, labelled),
        left_out=left_out,
        missing=frozenset(name for name in pictures if name in missing),
        held=None if held_out is None else [held_out[0][i] for i in first],
        side=f"column {valid_col!r}",
        groups=None if groups is None else [table.frame[groups].iat[i] for i in first],
        tests=tests,
        labels_from=labels.said,
        split_from="" if valid_col is None else table.column(valid_col),
        found_by=found_by,
    )
    return listing, labels


def _first_rows(table: Table, names: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Return the first row of each picture.

    Raises:
        DataError: Another row gives it another label.
    """
    seen: dict[str, int] = {}
    for row, name in enumerate(names):
        if name and seen.setdefault(name, row) != row and labels[seen[name]] != labels[row]:
            other = seen[name]
            raise several_labels(
                f"{name} is {labels[other]!r} in row {table.numbers[other]} and {labels[row]!r} in"
                f" row {table.numbers[row]} of {table.name}",
                "keep one row for each picture",
            )
    return [row for row, name in enumerate(names) if name and seen[name] == row]


def _other_tables(path: Path) -> list[tuple[Path, str]]:
    """Return the tables of other sides: beside it, or of its name in a folder beside its own.

    `valid.csv` beside `train.csv`; `valid/metadata.csv` beside `train/metadata.csv`.
    """
    top = Path(os.path.abspath(path.parent))
    if not path.parent.is_dir():
        return []
    if TRAIN_TABLE.search(path.stem):
        there = {p.name.casefold(): p for p in path.parent.iterdir() if p.is_file()}
        ways = [TRAIN_TABLE.sub(word, path.name.casefold()) for word in (*VALID_NAMES, *TEST_NAMES)]
        found = [there[name] for name in ways if name in there and there[name] != path]
        return [(other, side_of(other.stem)) for other in found]
    if side_of(top.name) != TRAIN:
        return []
    folders = [p for p in sorted(top.parent.iterdir()) if side_of(p.name) in (VALID, TEST)]
    above = path.parent.parent if path.parent.name else Path("..")
    found = [above / p.name / path.name for p in folders if (p / path.name).is_file()]
    return sorted(((p, side_of(p.parent.name)) for p in found), key=lambda pair: pair[1] == TEST)


def _with_others(
    listing: Listing, path: Path, asked: Columns, labels: Labels, images: str | Path | None
) -> Listing:
    """Hold out the rows of `valid.csv` beside `train.csv`, or of `test.csv` where there is none.

    A table without labels, or of other labels, is not used, and that is said.
    """
    others = _other_tables(path)
    label_col = labels.columns[0] if len(labels.columns) == 1 else None
    more = {**asdict(asked), "label_col": label_col if isinstance(label_col, str) else None}
    for other, word in others:
        is_test = word == TEST and listing.held is not None
        try:
            second = list_csv(other, images=images, beside=False, undecided=False, **more)
            known, new = set(listing.labels) - {""}, set(second.labels) - {""}
            if not new:
                raise DataError("it has no labels")
            if new - known:
                raise DataError(f"its labels {some(sorted(new - known))} are none of {path.name}'s")
            if len(known) > 1 and len(new) == 1:
                raise DataError(f"all its labels are {next(iter(new))!r}")
        except DataError as error:
            why = str(error)
            if label_col is not None and f"column of {other}" in why and "label_col:" in why:
                why = f"it has no column {label_col!r} of labels"
            warn(f"{other} is not used, neither to train nor to validate: {why}")
            continue
        listing = joined(listing, second, other, is_test)
    return listing
