"""Pictures and labels from a table: a CSV file or a DataFrame, and the files its cells name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import pandas as pd

from quickvision.base.errors import DataError, as_path, did_you_mean, expect, some, warn
from quickvision.base.files import read_rows
from quickvision.data.labels import TableLabel
from quickvision.data.listing import Listing
from quickvision.data.paths import SUFFIXES, TEST_NAMES, TRAIN_NAMES, VALID_NAMES, relative

LOOKED_AT = 20  # rows that decide which folder and which column it is


def images_folder(images: Path, base: Path) -> Path:
    """Return the folder of the pictures, seen from `base` or from the working folder.

    Raises:
        DataError: It is not there.
    """
    images = images.expanduser()
    for folder in (base / images, images):
        if folder.is_dir():
            return folder
    raise DataError(f"expected the folder of the pictures, got nothing at {base / images}")


def guess_images(rows: Sequence[Sequence[str]], suffix: str | None, csv: Path) -> Path:
    """Return the folder that has the pictures: the table's own, or one beside it."""
    folders = [csv.parent, *sorted(p for p in csv.parent.iterdir() if p.is_dir())]
    cells = [cell for row in rows[:LOOKED_AT] for cell in row]
    for ends in suffixes(suffix):
        hits = {f: sum(bool(find_cell(cell, ends, f)) for cell in cells) for f in folders}
        if not any(hits.values()):
            continue
        best = [folder for folder in folders if hits[folder] == max(hits.values())]
        alike = [f for f in best if f.name.casefold().startswith(csv.stem.casefold())]
        if len(best) > 1 and len(alike) != 1:
            raise DataError(
                f"expected the pictures of {csv} in one folder, got them in each of"
                f" {some([folder.name for folder in best])}; say images="
            )
        return (alike if len(best) > 1 else best)[0]
    return csv.parent


def suffixes(suffix: str | None) -> Sequence[Sequence[str]]:
    """Return what to try: names as they are before names that lack their end."""
    if suffix is None:
        return [("",), (".jpg", ".jpeg", ".png", ".JPG", ".tif")]
    return [(suffix if suffix[:1] in (".", "") else f".{suffix}",)]


def find_cell(name: str, ends: Sequence[str], folder: Path) -> Path | None:
    """Return the file that a cell names, if it is there; Windows writes backslashes."""
    if not name or "\0" in name:
        return None
    for way in (name, name.replace("\\", "/")):
        for end in ends:
            file = Path(os.path.normpath(folder / f"{way}{end}"))
            with contextlib.suppress(OSError):  # a cell of text that is too long for a name
                if file.suffix.lower() in SUFFIXES and file.is_file():
                    return file
    return None


class NamesNoPictures(DataError):
    """A table that has nothing to do with the pictures beside it."""


Column = str | int

SPLIT_NAMES = ("is_valid", "valid", "split", "set", "subset", "data set", "dataset", "fold")
LABEL_NAMES = ("label", "labels", "class", "classes", "category", "target", "species", "breed")
YES = {"true", "yes", "1", "1.0", *VALID_NAMES, *TEST_NAMES}
NO = {"false", "no", "0", "0.0", *TRAIN_NAMES}


@dataclass(frozen=True)
class Columns:
    """Which column says what, by name or by number from 0, where it is said; see `from_csv`."""

    fn_col: Column | None = None
    label_col: Column | None = None
    valid_col: Column | None = None
    groups: Column | None = None
    suffix: str | None = None


def list_csv(
    csv: str | Path, *, images: str | Path | None = None, header: bool | None = None, **columns: Any
) -> Listing:
    """List the pictures of a CSV file, with `Columns`; see `quickvision.from_csv`."""
    path, asked = as_path(csv, "csv"), Columns(**columns)
    rows = read_rows(path)
    width = len(rows[0])
    if bad := [i + 1 for i, row in enumerate(rows) if len(row) != width]:
        raise DataError(
            f"expected {width} columns in each row of {path}, as in the first, got another number"
            f" in row {some(bad)}; put text that holds a separator in quotes"
        )
    if images is None:
        base = guess_images(rows, asked.suffix, path)
    else:
        base = images_folder(as_path(images, "images"), path.parent)
    picks = (asked.fn_col, asked.label_col, asked.valid_col, asked.groups)
    if header is None:
        tries = [end for ends in suffixes(asked.suffix) for end in ends]
        named = any(isinstance(pick, str) for pick in picks)
        header = named or not any(find_cell(cell, tries, base) for cell in rows[0])
    names: list[Any] = rows.pop(0) if header else list(range(width))
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"expected a name of its own for each column of {path}, got two {twice[0]}")
    if not rows:
        raise DataError(f"expected rows under the header of {path}, got none")
    table = pd.DataFrame(rows, columns=names, dtype=object)
    shown = {"images": images and str(images), **asdict(replace(asked, groups=None))}
    said = "".join(f", {name}={pick!r}" for name, pick in shown.items() if pick is not None)
    return _list(table, base, asked, str(path), f"qv.from_csv({str(csv)!r}{said})")


def list_df(df: pd.DataFrame, *, images: str | Path = ".", **columns: Any) -> Listing:
    """List the pictures of a DataFrame, with `Columns`; see `quickvision.from_df`."""
    if not isinstance(df, pd.DataFrame):
        raise TypeError(f"expected a DataFrame, got {type(df).__name__}")
    if not len(df):
        raise DataError("expected rows in the table, got none")
    if not df.columns.is_unique:
        twice = df.columns[df.columns.duplicated()][0]
        raise DataError(f"expected a name of its own for each column, got two {twice!r}")
    table = pd.DataFrame({col: [_text(value) for value in df[col]] for col in df}, dtype=object)
    base = images_folder(as_path(images, "images"), Path())
    return _list(table, base, Columns(**columns), "the table", "")


def _text(value: Any) -> str:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    is_float = isinstance(value, Real) and not isinstance(value, Integral)
    whole = is_float and float(value).is_integer()  # a column of numbers with gaps
    return str(int(value) if whole else value).strip()


def _list(table: pd.DataFrame, base: Path, asked: Columns, name: str, call: str) -> Listing:
    suffix = asked.suffix
    fn_col = _pick(table, asked.fn_col, "fn_col", name)
    valid_col = _pick(table, asked.valid_col, "valid_col", name)
    groups = _pick(table, asked.groups, "groups", name)
    ends: Sequence[str] = [end for tries in suffixes(suffix) for end in tries]
    if fn_col is None:
        fn_col, ends = _file_column(table, suffix, base, name)
    label_col = _pick(table, asked.label_col, "label_col", name)
    if label_col is None:
        label_col = _label_column(table, {fn_col, valid_col, groups})
    names: list[str] = []
    rows: list[int] = []
    missing: dict[str, str] = {}
    labelled: dict[str, str] = {}
    for row, (cell, label) in enumerate(zip(table[fn_col], table[label_col], strict=True)):
        there = find_cell(cell, ends, base)
        file = there or base / f"{cell}{suffix or ''}"
        picture = relative(file, base) or Path(os.path.abspath(file)).as_posix()
        if labelled.get(picture, label) != label:
            raise DataError(
                f"expected one label for each picture in {name}, got {labelled[picture]!r} and"
                f" {label!r} for {cell}"
            )
        if cell and picture not in labelled:
            names.append(picture)
            rows.append(row)
            labelled[picture] = label
            if not there:
                missing[picture] = "no such file"
    if dropped := len(table) - len(rows):
        warn(f"{dropped:,} of {len(table):,} rows of {name} repeat a row or name no picture")
    table = table.iloc[rows]
    left_out = {picture: "no label" for picture in names if not labelled[picture]}
    left_out |= missing
    held = None
    sides = [column for column in table.columns if str(column).casefold() in SPLIT_NAMES]
    if sides and not {valid_col, fn_col, label_col, groups} & set(sides):
        warn(f"column {sides[0]!r} of {name} is not used; valid_col={sides[0]!r} splits by it")
    if valid_col is not None:
        held, tests = _held(table[valid_col], valid_col, name)
        left_out |= {p: "a test row" for p, is_test in zip(names, tests, strict=True) if is_test}
    return Listing(
        root=base,
        names=names,
        labels=["" if picture in left_out else labelled[picture] for picture in names],
        get_y=TableLabel(base, labelled),
        left_out=left_out,
        missing=frozenset(missing),
        held=held,
        side=f"column {valid_col!r}",
        groups=None if groups is None else table[groups].tolist(),
        found_by=call,
    )


def _pick(table: pd.DataFrame, column: Column | None, option: str, name: str) -> Column | None:
    """Return a column's own name; numbers count columns from 0 where none is named so."""
    columns = list(table.columns)
    expect(column, Hashable, option)
    if column is None or column in columns:
        return column
    if isinstance(column, int) and 0 <= column < len(columns):
        return columns[column]
    hint = did_you_mean(str(column), map(str, columns))
    raise DataError(
        f"{option}: expected a column of {name}, one of {columns}, got {column!r}{hint}"
    )


def _file_column(
    table: pd.DataFrame, suffix: str | None, base: Path, name: str
) -> tuple[Column, Sequence[str]]:
    """Return the column that names the most pictures, and the suffixes that make it do so."""
    for ends in suffixes(suffix):
        hits = {
            column: sum(bool(find_cell(cell, ends, base)) for cell in table[column].head(LOOKED_AT))
            for column in table.columns
        }
        if any(hits.values()):
            return max(hits, key=hits.__getitem__), ends
    raise NamesNoPictures(
        f"expected a column of {name} that names pictures in {base}, got none in"
        f" {list(table.columns)}; say where the pictures are with images=, which column names them"
        " with fn_col=, and what the names end in with suffix='.jpg'"
    )


def _label_column(table: pd.DataFrame, taken: set[Column | None]) -> Column:
    free = [column for column in table.columns if column not in taken]
    known = [column for column in free if str(column).casefold() in LABEL_NAMES]
    if len(known) == 1 or len(free) == 1:
        return (known or free)[0]
    raise DataError(f"expected to see which column holds the labels, got {free}; say label_col=")


def _held(column: pd.Series, name: Column, table: str) -> tuple[list[bool], list[bool]]:
    """Read a column that says who is held out; `test` rows are no data where others validate."""
    words = [str(word).casefold() for word in column]
    strange = sorted(set(words) - YES - NO)
    if strange:
        raise DataError(
            f"expected yes or no, 1 or 0, true or false, train or valid in column {name!r} of"
            f" {table}, got {some([repr(word) for word in strange])}"
        )
    has_valid = bool(set(words) & YES - set(TEST_NAMES))
    tests = [word in TEST_NAMES and has_valid for word in words]
    return [word in YES for word in words], tests
