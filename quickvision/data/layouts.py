"""Look at a path and say how its pictures are labelled: folders, a table, or names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from quickvision.base.errors import DataError, as_path
from quickvision.data.class_folders import list_folder, one_class
from quickvision.data.columns import NamesNoPictures, NoLabels
from quickvision.data.folders import Sides
from quickvision.data.labels import raw
from quickvision.data.listing import (
    Listing,
    counted,
    how_to_label,
    left_alone,
    list_names,
)
from quickvision.data.paths import SUFFIXES, Files, find_files, folder, no_pictures
from quickvision.data.patterns import propose_pattern
from quickvision.data.sides import arrange, sides_may_be_found, valid_folder
from quickvision.data.tables import list_csv
from quickvision.data.tree import TEST, TRAIN, VALID, side_of, words

LISTS = re.compile(r"train|list|label|annotation")  # what texts are called that may be tables

_BOXES = {
    "bbox",
    "bboxes",
    "box",
    "boxes",
    "landmarks",
    "keypoints",
    "pairs",
    "masks",
}  # beside labels


def find_listing(
    path: str | Path,
    *,
    pat: str | re.Pattern[str] | None = None,
    valid: object = None,
    groups: object = None,
    max_bad: float = 0.05,
) -> Listing:
    r"""List the pictures of a path, whatever its layout; `Listing.found_by` says which it was.

    Tried in this order: a CSV file; names, where `pat` is given; class folders, with or without
    sides; a table in the folder that names pictures; file names that one of a few patterns labels,
    such as `^(.+)_\d+\.\w+$`. A table goes before folders that are called like ids.

    Raises:
        DataError: Nothing there, none of these, or evidence that contradicts itself.
    """
    path = as_path(path, "path")
    columns: dict[str, Any] = {
        "valid_col": valid_folder(valid),
        "groups": groups if isinstance(groups, str | int) else None,
        "max_bad": max_bad,
        "beside": sides_may_be_found(valid),
        "undecided": valid is None,
    }
    if path.is_file() and path.suffix.lower() not in SUFFIXES:
        if pat is not None:
            raise ValueError(f"pat: goes with a folder, got the table {path}")
        return list_csv(path, **columns)
    if pat is not None:
        return list_names(path, pat)
    root = folder(path)
    files = find_files(root)  # once: the others are handed what it found
    if not files.names:
        raise no_pictures(root, files)
    contrary: DataError | None = None
    try:
        found = arrange(root, files.names, valid=valid)
    except DataError as error:  # a table may know better
        found, contrary = None, error
    if found is not None and found.labelled and not _look_like_ids(files.names, found):
        return list_folder(path, valid=valid, walked=files)
    train = found.of(TRAIN)[0] if found is not None else ""
    pattern = propose_pattern([name.rpartition("/")[2] for name in _below(files.names, train)])
    for csv in _tables(root, files.others, train):
        try:
            listing = list_csv(csv, **columns)
            there = len(listing.names) + len(listing.tests) - len(listing.missing)
            if 2 * there >= len(_below(files.names, train)) or (found and csv.suffix != ".txt"):
                return listing
        except NamesNoPictures:
            continue
        except DataError as error:
            if csv.suffix == ".txt":  # mostly a list of something else
                continue
            if contrary is not None and isinstance(error, NoLabels):
                continue
            if pattern is None or found is None or found.labelled:
                raise
            call = f"qv.from_name_re({str(root / train)!r}, {raw(pattern)})"
            raise DataError(f"{error}; or, where the names hold the labels: {call}") from error
    if found is None or found.labelled:  # the first says again what contradicts itself
        return list_folder(path, valid=valid, walked=files)
    if pattern is None:
        raise _no_labels(root, files, found)
    return _list_by_name(Path(path), pattern, files, found)


def _look_like_ids(names: Sequence[str], found: Sides) -> bool:
    """Say whether class folders may be those of people or things: numbers, or few pictures each."""
    n = len(found.of(TRAIN)[0])
    kinds = {name[n:].partition("/")[0] for name in _below(names, found.of(TRAIN)[0], whole=True)}
    return len(kinds) > len(names) / 3 or all(re.fullmatch(r"\d{3,}", kind) for kind in kinds)


def _below(names: Sequence[str], top: str, *, whole: bool = False) -> list[str]:
    start = 0 if whole else len(top)
    return [name[start:] for name in names if name.startswith(top)]


def _tables(root: Path, others: Sequence[str], train: str) -> list[Path]:
    """Return the tables that may say what the pictures are, the likeliest first."""

    def order(name: str) -> tuple[Any, ...]:
        stem = Path(name).stem
        return (side_of(stem) != TRAIN, bool(set(words(stem)) & _BOXES), name.count("/"), name)

    def may_label(name: str) -> bool:
        stem, suffix = Path(name).stem.casefold(), Path(name).suffix.casefold()
        near = name.count("/") < 2 or name.startswith(train)
        is_table = suffix in (".csv", ".tsv") or (suffix == ".txt" and bool(LISTS.search(stem)))
        return near and is_table and not stem.startswith(("sample", "fixes"))

    tables = sorted(filter(may_label, others), key=order)
    kept = [name for name in tables if side_of(Path(name).stem) not in (VALID, TEST)]
    return [root / name for name in kept or tables]


def _list_by_name(path: Path, pattern: str, files: Files, found: Sides) -> Listing:
    """List pictures whose names hold their labels; those of a side without labels are no data."""
    train, held = found.of(TRAIN)[0], found.of(VALID)
    tests = [name for top in found.of(TEST) for name in files.names if name.startswith(top)]
    if not held:
        place = path / train if train else path
        mine = Files(_below(files.names, train), _below(files.others, train), [])
        listing = list_names(place, pattern, mine)
        up = len(Path(train).parts)
        apart = [f"{'../' * up}{name}" for name in tests]
        return replace(listing, tests=apart, unused=left_alone(found))
    wanted = (train, *held)
    mine = Files([name for name in files.names if name.startswith(wanted)], files.others, [])
    listing = list_names(path, pattern, mine)
    side = held[0].rstrip("/")
    return replace(
        listing,
        held=[name.startswith(tuple(held)) for name in listing.names],
        side=str(path / side),
        split_from=f"folder {path / side}",
        tests=tests,
        found_by=f"{listing.found_by[:-1]}, valid={side!r})",
    )


def _no_labels(root: Path, files: Files, found: Sides) -> DataError:
    """Say that nothing says what the pictures are, and what could."""
    train = found.of(TRAIN)[0]
    here, place = _below(files.names, train), root / train
    got = f"expected to see how the pictures in {place} are labelled, got {counted(here)}"
    if pattern := propose_pattern([name.rpartition("/")[2] for name in here], ids=True):
        call = f"qv.from_name_re({str(place)!r}, {raw(pattern)})"
        how = how_to_label(root, place, files.others, f"if those are the classes: {call}")
        return DataError(f"{got}, whose names hold numbers or ids{how}")
    if found.one_class:
        return one_class(root, found, files, len(here))
    return DataError(f"{got}{how_to_label(root, place, files.others)}")
