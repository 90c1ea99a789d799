"""What was understood of a data set, in at most six lines: said before it is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pandas as pd
from fastai.data.core import DataLoaders

from quickvision.base.progress import Lines
from quickvision.data.listing import Listing, test_place
from quickvision.data.options import HELD_OUT, Options

FIRST = 5  # classes that are listed


def understood(
    listing: Listing, split: pd.DataFrame, options: Options, *, fixes: str = ""
) -> Lines:
    """Say where labels and split come from, and what is on each side.

    Args:
        listing: What a door found.
        split: Who is on which side; see `holdout.hold_out`.
        options: What was asked for.
        fixes: What people have changed after a look at the pictures; see `mended.Fixes.said`.

    Returns:
        Lines `layout` (the call that loads the same), `labels`, `classes` (with the pictures of
        each, on both sides together), `pictures` (on each side), `fixes` and `test` (of a third
        side, which no training sees); those that are empty are left out.
    """
    n_valid = int(split["valid"].sum())
    lines = {
        "layout": listing.found_by,
        "labels": listing.labels_from,
        "classes": classes_line(Counter(split["label"].tolist())),
        "pictures": f"{len(split) - n_valid:,} to train, {n_valid:,} to validate:"
        f" {_split_from(listing, options)}",
        "fixes": fixes,
        "test": _tests(listing),
    }
    return Lines({name: text for name, text in lines.items() if text})


def understood_of(dls: DataLoaders) -> Lines:
    """Return what was understood when our doors made these; empty of loaders not our own."""
    lines = getattr(dls, "understood", None)
    return lines if isinstance(lines, Lines) else Lines()


def classes_line(counts: Mapping[str, int]) -> str:
    """List the first classes with their pictures, and how the others are.

    >>> classes_line({"images": 10, "annotations": 10})
    '2: images 10, annotations 10'
    >>> classes_line({f"c{i}": 10 + i for i in range(9)})
    '9: c0 10, c1 11, c2 12, c3 13, c4 14 and 4 more; fewest c0 10, most c8 18'
    """
    names = list(counts)
    shown = ", ".join(f"{name} {counts[name]:,}" for name in names[:FIRST])
    if len(names) <= FIRST + 1:
        return f"{len(names)}: {', '.join(f'{name} {n:,}' for name, n in counts.items())}"
    few, many = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    more = f"{len(names):,}: {shown} and {len(names) - FIRST:,} more"
    if counts[few] == counts[many]:
        return f"{more}; each has {counts[few]:,}"
    return f"{more}; fewest {few} {counts[few]:,}, most {many} {counts[many]:,}"


def _split_from(listing: Listing, options: Options) -> str:
    valid = HELD_OUT if options.valid is None else options.valid
    if listing.split_from and (options.valid is None or isinstance(valid, str | float)):
        return listing.split_from
    if isinstance(valid, float):
        kept = ", groups kept together" if options.groups is not None or listing.groups else ""
        return f"{valid:.0%} of each class{kept}, seed {options.seed}"
    return f"valid={valid!r}" if isinstance(valid, str) else "valid= says which"


def _tests(listing: Listing) -> str:
    if not listing.tests:
        return ""
    where = f" in {test_place(listing.tests)}" if test_place(listing.tests) else ""
    n = len(listing.tests)
    return f"{n:,} picture{'s' if n > 1 else ''}{where}, left alone: dls.test_files"
