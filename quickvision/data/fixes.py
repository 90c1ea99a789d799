"""`fixes.csv`: what people said of pictures after a look at them, read and checked."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from quickvision.base.errors import DataError, as_path, did_you_mean, printable, some
from quickvision.base.files import read_text
from quickvision.data.labels import composed
from quickvision.data.listing import Listing
from quickvision.data.mended import ACTIONS, COLUMNS, DROP, RELABEL, Fixes
from quickvision.data.paths import relative

SEARCHED = 5_000  # names that are looked through for one that is spelt alike


def actions_in(source: Any) -> dict[str, str]:
    """Read what is to become of pictures, without a look at the data they are of.

    Args:
        source: As in `read_fixes`.

    Returns:
        By a picture's name "keep", "relabel" or "drop"; the last one where there are several.

    Raises:
        DataError: It cannot be read, or a column is missing.
    """
    return {row.path: row.action for row in _rows(source)[1]}


def read_fixes(source: Any, listing: Listing) -> Fixes:
    """Read what people said, and see that it is about these pictures.

    Names are read back exactly as they are, whatever is in them; where one is no picture's, one
    that differs in what a page cannot hold (bytes that are no text) or in how accents are written
    is taken, if there is just one.

    Args:
        source: A CSV file or a DataFrame with the columns `path` (below the root, with `/`),
            `action` (keep, relabel or drop) and `label` (the new class, of those to relabel); or a
            dict from path to class, None to drop.
        listing: What a door found, with its classes named.

    Raises:
        DataError: It cannot be read; or a column is missing, there is no row, a path or an action
            or a class is unknown, or a picture has two different actions.
        TypeError: A dict's value is no text.
    """
    if source is None:
        return Fixes()
    name, rows = _rows(source)
    if not rows:
        raise DataError(
            f"expected rows of pictures to keep, relabel or drop in {name}, got none; mark some in"
            " the report, or leave fixes= out"
        )
    was = dict(zip(listing.names, listing.labels, strict=True))
    rows = [row._replace(path=path) for row, path in _known(rows, listing, name)]
    if strange := [row for row in rows if row.action not in ACTIONS]:
        got = [f"{row.action!r}{row.where}" for row in strange]
        raise DataError(
            f"expected the actions keep, relabel or drop in {name}, got {len(got):,} others:"
            f" {some(got)}{did_you_mean(strange[0].action, ACTIONS)}"
        )
    if empty := [
        f"{row.path}{row.where}" for row in rows if row.action == RELABEL and not row.label
    ]:
        raise DataError(
            f"expected the new class of each picture to relabel in {name}, got none for"
            f" {len(empty):,}: {some(empty)}; write it into the column label"
        )
    classes = {label for picture, label in was.items() if picture not in listing.left_out}
    bare = {label.strip(): label for label in classes}  # pages and people leave blanks out
    rows = [
        row if row.label in classes else row._replace(label=bare.get(row.label.strip(), row.label))
        for row in rows
    ]
    _check_classes(rows, classes, was, name)
    now = {row.path: _meaning(row, was) for row in rows}
    if twice := [row for row in rows if now[row.path] != _meaning(row, was)]:
        got = [f"{path} ({_several(rows, path)})" for path in dict.fromkeys(r.path for r in twice)]
        raise DataError(
            f"expected one action for each picture in {name}, got different ones for {len(got):,}:"
            f" {some(got)}; leave one row of each"
        )
    return Fixes(now, {path: was[path] for path in now}, _short(source))


class _Row(NamedTuple):
    """A row as it was read; `where` says which, for messages."""

    path: str
    action: str
    label: str
    where: str


def _rows(source: Any) -> tuple[str, list[_Row]]:
    """Return what to call the source, and its rows."""
    if isinstance(source, str | Path):
        path = as_path(source, "fixes")
        return str(path), list(_from_file(path))
    if isinstance(source, Mapping):
        return "fixes=", [_from_pair(*pair) for pair in source.items()]
    head = [str(name) for name in source.columns]
    cells = [source.iloc[:, i] for i in _columns(head, "fixes=")]
    rows = enumerate(zip(*cells, strict=True))
    return "fixes=", [_row(map(_text, row), f" (row {i})") for i, row in rows]


def _short(source: Any) -> str:
    """Name the source in lines that people read again and again."""
    return Path(source).name if isinstance(source, str | Path) else Fixes.source


def _row(cells: Iterable[str], where: str) -> _Row:
    path, action, label = cells
    return _Row(path, action.strip().casefold(), label, where)


def _from_pair(path: Any, label: Any) -> _Row:
    if not (label is None or isinstance(label, str)) or not isinstance(path, str | Path):
        raise TypeError(
            "fixes: expected a class for each path, or None to drop it, got"
            f" {path!r:.60}: {label!r:.60}"
        )
    return _Row(_text(path), DROP if label is None else RELABEL, label or "", "")


def _from_file(path: Path) -> Iterator[_Row]:
    """Read a CSV file; its cells are taken as they are, unlike `read_rows`, which strips them."""
    text = read_text(path, errors="surrogateescape")
    first, _, rest = text.partition("\n")
    separator = max(",;\t|", key=first.count)
    if first.casefold().startswith("sep="):  # which Excel understands
        separator, text = first.strip()[4:5] or ",", rest
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    start = 1
    head: list[str] = []
    try:
        for row in reader:
            if not any(row):
                pass
            elif not head:
                head = row
                columns = _columns([cell.strip().casefold() for cell in row], str(path))
            elif len(row) > len(head):
                raise DataError(
                    f"expected {len(head)} cells in each row of {path}, got {len(row)} in line"
                    f" {start}; a name with a {separator!r} in it stands in quotes"
                )
            else:
                cells = [row[i] if i < len(row) else "" for i in columns]
                yield _row(cells, f" (line {start})")
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"expected rows of cells in {path}, got from line {start} on: {error}; look for a quote"
            " that is not closed"
        ) from error
    if not head:
        raise DataError(f"expected the columns {', '.join(COLUMNS)} in {path}, got an empty file")


def _columns(head: Sequence[str], source: str) -> list[int]:
    """Say where the columns are that count."""
    if missing := [name for name in COLUMNS if name not in head]:
        raise DataError(
            f"expected the columns {', '.join(COLUMNS)} in {source}, got {some(head, limit=6)}:"
            f" no {' and no '.join(missing)}; the report saves such a file"
        )
    return [head.index(name) for name in COLUMNS]


def _text(cell: Any) -> str:
    """Return a table's cell as text: nothing for None and nan, `3` for 3.0."""
    if isinstance(cell, Path):
        return cell.as_posix()
    if cell is None or (isinstance(cell, float) and np.isnan(cell)) or cell is pd.NA:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _known(rows: Iterable[_Row], listing: Listing, source: str) -> list[tuple[_Row, str]]:
    """Put the name of its picture beside each row.

    Raises:
        DataError: Some are about no picture of the data.
    """
    names = set(listing.names)
    rows = list(rows)
    strange = {row.path for row in rows} - names
    found = _found(strange, listing) if strange else {}
    unknown = [row for row in rows if row.path in strange and row.path not in found]
    if unknown:
        got = [f"{row.path or 'an empty path'}{row.where}" for row in unknown]
        raise DataError(
            f"expected pictures of {listing.root} in {source}, got {len(got):,}"
            f" that {'are none' if len(got) > 1 else 'is none'}: {some(got)}"
            f"{_near(unknown[0].path, listing)}; a path is below that folder, with /, as"
            f" {listing.names[0]}"
        )
    return [(row, found.get(row.path, row.path)) for row in rows]


def _found(strange: Iterable[str], listing: Listing) -> dict[str, str]:
    """Return the pictures that are meant by names which are written in another way."""
    spelt: dict[str, list[str]] = {}
    for name in listing.names:
        spelt.setdefault(_plain(name), []).append(name)
    root = listing.root.absolute()
    forms = {path: (_plain(path), _plain(relative(path, root))) for path in strange}
    found = {
        path: [name for form in both for name in spelt.get(form, ())]
        for path, both in forms.items()
    }
    return {path: same[0] for path, same in found.items() if len(same) == 1}


def _plain(name: str) -> str:
    return composed(printable(name))


def _near(path: str, listing: Listing) -> str:
    """Name pictures that may be meant: of the same file name, or spelt alike."""
    last = f"/{path.rpartition('/')[2]}"
    same = [name for name in listing.names if f"/{name}".endswith(last)] if path else []
    if same:
        return f"; did you mean {' or '.join(map(repr, same[:3]))}?"
    return did_you_mean(path, listing.names) if len(listing.names) <= SEARCHED else ""


def _check_classes(
    rows: Iterable[_Row], classes: set[str], was: Mapping[str, str], source: str
) -> None:
    asked = [row for row in rows if row.action == RELABEL and row.label != was[row.path]]
    unknown = [row for row in asked if row.label not in classes]
    if unknown:
        got = [f"{row.label!r}{row.where}" for row in unknown]
        raise DataError(
            f"expected classes of the data in {source}, got {len(got):,} rows of others:"
            f" {some(got)}{did_you_mean(unknown[0].label, sorted(classes))}; there are"
            f" {some(sorted(classes), limit=5)}; a new class begins in the data, with a folder or"
            " rows of its own"
        )


def _meaning(row: _Row, was: Mapping[str, str]) -> str | None:
    if row.action == DROP:
        return None
    return row.label if row.action == RELABEL else was[row.path]


def _several(rows: Iterable[_Row], path: str) -> str:
    """Say what is to become of a picture, row by row."""
    mine = [row for row in rows if row.path == path]
    to = {row: f" to {row.label}" if row.action == RELABEL else "" for row in mine}
    return some(
        [f"{row.action}{to[row]}{row.where.replace('(', 'in ').rstrip(')')}" for row in mine]
    )
