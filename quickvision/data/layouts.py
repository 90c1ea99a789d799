"""Look at a path and say how its pictures are labelled: folders, a table, or names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quickvision.base.errors import DataError, as_path, some
from quickvision.data.labels import NameLabel
from quickvision.data.listing import Listing, list_folder, list_names, valid_folder
from quickvision.data.paths import find_files, folder, no_pictures, sides
from quickvision.data.tables import list_csv

# As data sets on the web are named: `great_pyrenees_12`, `cat.7`, `dog (3)`, `cat12`, `0042_seven`.
PATTERNS = (
    r"^(.+)_\d+\.\w+$",
    r"^(.+)[-. ]\d+\.\w+$",
    r"^(.+) \(\d+\)\.\w+$",
    r"^(\D+)\d+\.\w+$",
    r"^\d+[-_. ](.+)\.\w+$",
)


# Folders that Kaggle's tables speak of are no classes: `train_images` beside `test_images`.
SIDE = re.compile(r"(train|test|valid|images?|pics?)([-_ ].*)?$", re.IGNORECASE)
# What cameras and phones call pictures is no label.
CAMERA = re.compile(r"(img|dsc[fn]?|pxl|mvimg|vid|screenshot|whatsapp)([-_ ]|\d|$)", re.IGNORECASE)


def find_listing(
    path: str | Path,
    *,
    pat: str | re.Pattern[str] | None = None,
    valid: object = None,
    groups: object = None,
) -> Listing:
    r"""List the pictures of a path, whatever its layout; `Listing.found_by` says which it was.

    Tried in this order: a CSV file; names, where `pat` is given; class folders, with or without
    `train` and a validation folder; a CSV file in the folder that names pictures; file names that
    one of a few patterns labels, such as `^(.+)_\d+\.\w+$`; class folders that are called like
    sides (`train_images` beside `test_images`).

    Raises:
        DataError: Nothing there, or none of these.
    """
    path = as_path(path, "path")
    columns: dict[str, Any] = {
        "valid_col": valid_folder(valid),
        "groups": groups if isinstance(groups, str | int) else None,
    }
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".txt"):
        if pat is not None:
            raise ValueError(f"pat: goes with a folder, got the table {path}")
        return list_csv(path, **columns)
    if pat is not None:
        return list_names(path, pat)
    root = folder(path)
    walked = names, others = find_files(root)  # once: the others are handed what it found
    if not names:
        raise no_pictures(root, others)
    train, held_out = sides(root, valid_folder(valid))
    top = "" if train == root else f"{train.name}/"
    below = [name[len(top) :] for name in names if name.startswith(top)]
    classes = {name.partition("/")[0] for name in below if "/" in name}
    if held_out or (len(classes) > 1 and not all(map(SIDE.match, classes))):
        return list_folder(path, valid=valid, walked=walked)
    errors = []
    tables = [csv for csv in root.glob("*.csv") if not csv.stem.startswith("sample")]  # Kaggle's
    for csv in sorted(tables, key=lambda csv: (not csv.stem.startswith("train"), csv)):
        try:
            return list_csv(csv, **columns)
        except DataError as error:
            errors.append(str(error))
    if pattern := propose_pattern([name.rpartition("/")[2] for name in names]):
        return list_names(path, pattern, walked)
    if len(classes) > 1:
        return list_folder(path, valid=valid, walked=walked)
    why = f"; {errors[0]}" if errors else ""
    raise DataError(
        f"expected class folders, train beside valid, a CSV file, or names that hold labels in"
        f" {root}, got {len(names):,} pictures such as {some(names)}; say"
        f" how they are labelled: from_name_re(path, pattern) or from_csv(csv){why}"
    )


def propose_pattern(names: Sequence[str]) -> str | None:
    r"""Return the first pattern that labels nearly all names with a few classes, or None.

    At least 95 in 100 names must match; there must be two classes or more, and on average at least
    two pictures in each.

    >>> propose_pattern(["pug_1.jpg", "pug_2.jpg", "boxer_1.jpg", "boxer_2.jpg"])
    '^(.+)_\\d+\\.\\w+$'
    >>> propose_pattern(["IMG_0001.jpg", "IMG_0002.jpg"]) is None
    True
    """
    for pattern in PATTERNS:
        classes = Counter(filter(None, NameLabel(pattern).each(names, Path())))
        if any(map(CAMERA.match, classes)):
            continue
        if classes.total() >= 0.95 * len(names) and 2 <= len(classes) <= classes.total() / 2:
            return pattern
    return None
