"""Hold out what the user asked for: a fraction, a folder, a column, a list, a rule, a split file.

`splits` does the arithmetic; here the ways to say it are told apart.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastai.data.core import DataLoaders

from quickvision.base.errors import DataError, as_path, some, warn
from quickvision.base.files import read_rows, write_whole
from quickvision.data.labels import NameLabel
from quickvision.data.listing import Listing
from quickvision.data.options import HELD_OUT
from quickvision.data.paths import relative, to_paths
from quickvision.data.sides import valid_folder
from quickvision.data.splits import check_sides, grouped_split, stratified_split

CSV = {"index": False, "lineterminator": "\n", "errors": "surrogateescape"}  # names are bytes
SPLIT_COLUMNS = ["path", "label", "valid"]
SKIPPED_COLUMNS = ["path", "reason"]


def hold_out(
    listing: Listing,
    reasons: Collection[str] = (),
    *,
    valid: Any = None,
    groups: Any = None,
    seed: int = 42,
    dropped: Collection[str] = (),
) -> pd.DataFrame:
    """Say of each picture that is not left out on which side it is.

    Args:
        listing: What a door found. Where a folder or a column holds pictures out, it is taken,
            unless `valid` says more than a fraction (with which doors hold out no folder).
        reasons: Names of files that are left out.
        valid: A fraction; the name of a folder below the root; the files, or their paths below the
            root; a function that says True of a path; a file that `save_split` wrote; or None:
            what the listing says, or else a fifth.
        groups: A function from path to group, a pattern with one group, or None.
        seed: Of a fraction's split.
        dropped: Names of pictures that will leave their side: a split file need not have them.

    Returns:
        Columns `path` (the name, text), `label`, `valid` (bool), in the listing's order.

    Raises:
        DataError: A side would be empty, or a class on one side only.
        TypeError: `valid` or `groups` is none of these.
    """
    everything: Sequence[int] = range(len(listing.names))
    keep = [i for i in everything if listing.names[i] not in reasons] if reasons else everything
    names = [listing.names[i] for i in keep]
    labels = [listing.labels[i] for i in keep]
    if not names:
        raise DataError(f"expected pictures in {listing.root} that can be used, got none")
    fixed, side = listing.held, listing.side
    fraction = HELD_OUT if valid is None else valid
    if isinstance(fraction, float) and fixed is not None:
        held = [fixed[i] for i in keep]
    elif isinstance(fraction, float):
        side = ""
    elif fixed is not None and valid_folder(valid):  # the door has looked for this folder
        held = [fixed[i] for i in keep]
    else:
        if fixed is not None and not callable(valid) and isinstance(valid, str | Path):
            keep = _in_split(listing, keep, as_path(valid, "valid"))
            names, labels = ([of[i] for i in keep] for of in (listing.names, listing.labels))
        held, side = _asked_for(names, listing.root, valid, dropped)
    kinds = _groups(listing, keep, names, groups)
    if side:
        check_sides(labels, held, side)
        _check_groups(kinds, held)
    elif kinds is not None:
        held = grouped_split(kinds, labels, valid=fraction, seed=seed)
    else:
        held = stratified_split(names, labels, valid=fraction, seed=seed)
    table = pd.DataFrame({"path": pd.Series(names, dtype=object)})
    return table.assign(label=pd.Series(labels, dtype=object), valid=np.array(held, dtype=bool))


def _in_split(listing: Listing, keep: Sequence[int], path: Path) -> list[int]:
    """Leave out a side that the split file says nothing of: it was made without that side."""
    known = {row[0] for row in read_rows(path, errors="surrogateescape")}
    fixed = listing.held or ()
    if any(fixed[i] and listing.names[i].strip() in known for i in keep):
        return list(keep)
    return [i for i in keep if not fixed[i]]


def _asked_for(
    names: Sequence[str], root: Path, valid: Any, dropped: Collection[str]
) -> tuple[list[bool], str]:
    """Return who is held out, and how to call that side."""
    if callable(valid):
        return [bool(valid(path)) for path in to_paths(root, names)], "valid="
    if top := valid_folder(valid):
        return [name.startswith(f"{top}/") for name in names], f"folder {str(root / top)!r}"
    if isinstance(valid, str | Path):
        return _read_split(names, root, as_path(valid, "valid"), dropped), str(valid)
    known = set(names)
    asked = {_name(file, root, known) for file in valid}
    if strange := sorted(asked - known):
        raise DataError(
            f"expected files to validate on that are in {root}, got {len(strange):,} that are not:"
            f" {some(strange)}; give paths below that folder"
        )
    return [name in asked for name in names], "valid="


def _name(file: Any, root: Path, known: Collection[str]) -> str:
    """Return the name of a file that is given below the root, or seen from the working folder."""
    if not isinstance(file, str | Path):
        raise TypeError(f"valid: expected files to validate on, got {file!r} among them")
    text = os.path.normpath(os.fspath(file)).replace(os.sep, "/")
    for way in (os.path.abspath, os.path.realpath):
        if text not in known and (below := relative(way(file), Path(way(root)))) in known:
            return below
    return text


def _groups(
    listing: Listing, keep: Sequence[int], names: Sequence[str], groups: Any
) -> list[Any] | None:
    if listing.groups is None and groups is None:
        return None
    if listing.groups is not None:
        kinds = [listing.groups[i] for i in keep]
    else:
        is_pattern = isinstance(groups, str | re.Pattern)
        find: Callable[[Path], Any] = NameLabel(groups) if is_pattern else groups
        if not callable(find):
            raise TypeError(f"groups: expected a function, a pattern or a column, got {groups!r}")
        kinds = [find(path) for path in to_paths(listing.root, names)]
    if none := [name for name, kind in zip(names, kinds, strict=True) if kind in ("", None)]:
        raise DataError(f"expected a group for each picture, got none for {some(none)}")
    return kinds


def _check_groups(kinds: Sequence[Any] | None, held: Sequence[bool]) -> None:
    if kinds is None:
        return
    sides = ({k for k, v in zip(kinds, held, strict=True) if v == side} for side in (True, False))
    if both := sorted(map(str, set.intersection(*sides))):
        raise DataError(
            f"expected each group on one side, got on both: {some(both)}; bring each to one side,"
            " or hold out a fraction with valid=0.2, without a column or folder that says otherwise"
        )


def _read_split(
    names: Sequence[str], root: Path, path: Path, dropped: Collection[str]
) -> list[bool]:
    """Read what `save_split` wrote; a dropped picture that is not in it is on neither side."""
    head, *rows = read_rows(path, errors="surrogateescape")
    if head != SPLIT_COLUMNS:
        raise DataError(f"expected the columns {SPLIT_COLUMNS} in {path}, got {head}")
    held = {row[0]: row[-1].casefold() == "true" for row in rows}
    new = [name for name in names if name.strip() not in held and name not in dropped]
    if new:
        raise DataError(
            f"expected all pictures of {root} in {path}, got {len(new):,} that are not:"
            f" {some(new)}; take them out, give the fixes= that have dropped them, or split anew"
            " with a fraction and save_split"
        )
    if gone := sorted(held.keys() - {name.strip() for name in names}):
        warn(f"{len(gone):,} pictures of {path} are not in {root}: {some(gone)}")
    return [held.get(name.strip(), False) for name in names]


def split_of(dls: DataLoaders) -> pd.DataFrame | None:
    """Return which pictures are on which side, as `hold_out` does; None of loaders not our own."""
    split = getattr(dls, "split", None)
    return split if isinstance(split, pd.DataFrame) else None


def skipped_of(dls: DataLoaders) -> pd.DataFrame:
    """Return what was left out: columns `path`, `reason`; no row of loaders not our own."""
    skipped = getattr(dls, "skipped", None)
    return skipped if isinstance(skipped, pd.DataFrame) else pd.DataFrame(columns=SKIPPED_COLUMNS)


def split_hash(dls: DataLoaders) -> str | None:
    """Hash who is on which side; None for data that our doors did not make."""
    if (split := split_of(dls)) is None:
        return None
    text = split.to_csv(index=False, lineterminator="\n")
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def save_split(dls: DataLoaders, path: str | Path) -> Path:
    """Write down which pictures are held out, so that another run can hold out the same.

    Args:
        dls: Made by one of our doors.
        path: The file to write: a row a picture, columns `path` (below `dls.path`, with `/`),
            `label` and `valid` (True or False). `valid="split.csv"` on any door reads it.

    Returns:
        The path written.

    Raises:
        TypeError: `dls` has no record of its split.
        ValueError: The name does not end in `.csv`.
        RunError: It cannot be written.
    """
    split, path = split_of(dls), as_path(path, "path")
    if split is None:
        raise TypeError("expected DataLoaders that quickvision has made, got others")
    if path.suffix.lower() != ".csv":
        raise ValueError(f"expected a file name that ends in .csv, got {path}")
    return write_whole(path, partial(split.to_csv, **CSV))
