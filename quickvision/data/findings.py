"""What can be wrong with a data set, finding by finding: pure functions of a table of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from quickvision.base.errors import some
from quickvision.base.figures import UNEVEN, imbalance
from quickvision.data.classes import look_alikes
from quickvision.data.leaks import Finding, Split, series, turned_twins, twins
from quickvision.data.listing import MASK, Listing
from quickvision.data.options import too_many
from quickvision.data.rgb import WHITES, Levels, is_deep
from quickvision.data.scan import (
    BANDS,
    FAINT,
    common_levels,
    contrast,
    way_out_of_bands,
)

FEW = 10  # pictures of a class, below which no figure of it means much
CROPPED = 0.6  # share of a picture that a centre crop keeps, below which it is said
LARGER = 4  # times the training size

# What training does with each kind of file that cannot be read.
UNREADABLE = {
    "empty": "empty files",
    "not a picture": "files that are no picture",
    BANDS: "pictures of more than four bands",
    "truncated": "truncated files",
    "damaged": "damaged files",
    "too large": "files too large to open safely",
    "looks like a placeholder": "placeholders",
    "no such file": "files that are not there",
    "no label": "pictures without a label",
    "not in a class folder": "pictures outside the class folders",
    "a test row": "pictures of test rows",
    MASK: "masks beside their pictures",
}


def find(
    pictures: pd.DataFrame,
    root: Path,
    *,
    size: int,
    max_bad: float = 0.05,
    levels: Levels | str | None = None,
    split: Split | None = None,
) -> Iterator[Finding]:
    """Go through all that can be seen from the table.

    Args:
        pictures: A row a file: `path`, `label`, `side` ("train", "valid", or "" where it is left
            out), `reason` (why it is left out, or ""), and the fields of `scan.Facts`.
        root: The folder that the paths are below; twins are looked at once more.
        size: Pixels of the training pictures.
        max_bad: Fraction of unreadable files above which they are an error.
        levels: What is black and white in pictures of more than 8 bits, where it was asked for.
        split: Who says how pictures are held out.
    """
    yield from _left_out(pictures, root, max_bad)
    used = pictures[pictures["side"] != ""]
    yield from _classes(used)
    split = split or Split()
    yield from twins(used, root, split)
    yield from turned_twins(used, root, split)
    yield from series(used, split)
    yield from _shapes(used, size)
    named = list(zip(used["path"], used.itertuples(), strict=True))
    asked = levels is not None
    if levels is None:
        levels = common_levels(seen for _, seen in named)
    found = levels if isinstance(levels, tuple) else None
    yield from depth(named, found, asked)
    yield from _kinds(used, found)


def _of(severity: str, finding: str, rows: pd.DataFrame, advice: str) -> Iterator[Finding]:
    if len(rows):
        paths = tuple(str(path) for path in rows["path"])
        yield Finding(severity, finding, len(rows), advice, paths)


def depth(
    named: Sequence[tuple[str, Any]], levels: Levels | None, asked: bool
) -> Iterator[Finding]:
    """Say where pictures are less, or more, than they seem.

    Args:
        named: Names of the pictures that are used, with what was seen in them (`scan.Facts`).
        levels: What is black and white in those of more than 8 bits.
        asked: The user has said so.
    """
    deep = tuple(str(name) for name, seen in named if is_deep(seen.mode))
    if deep and levels and not asked and (levels[0] < 0 or levels[1] > WHITES[-1]):
        advice = f"{levels[0]:g} is black and {levels[1]:g} white: say others with levels=(0, 4095)"
        yield Finding("warning", "values below 0 or above 65535", len(deep), advice, deep)
    seen_levels = contrast([seen for _, seen in named], levels)
    if seen_levels < FAINT:
        advice = (
            f"half of them use {seen_levels:.0f} of 255 grey levels or fewer once they have 8 bits:"
        )
        advice += (
            " say what is black and white with levels=(0, 4095)"
            if deep
            else (
                " save them as 8-bit PNG, scaled to 0-255 (12 bits in 16-bit colours lose the rest)"
            )
        )
        names = tuple(str(name) for name, _ in named)
        yield Finding("warning", "pictures of hardly any contrast", len(names), advice, names)
    several = [(str(name), seen.format) for name, seen in named if seen.frames > 1]
    for finding, is_tiff in (("files of several pages", True), ("animations", False)):
        names = tuple(name for name, form in several if (form == "TIFF") == is_tiff)
        if names:
            advice = "only the first picture of each is used"
            yield Finding("warning", finding, len(names), advice, names)


def _left_out(pictures: pd.DataFrame, root: Path, max_bad: float) -> Iterator[Finding]:
    out = pictures[pictures["reason"] != ""]
    kinds = out["reason"].str.partition(":")[0] if len(out) else out["reason"]
    unlike = ["no label", "not in a class folder", "a test row", MASK]
    bad = out[~kinds.isin(unlike)]
    if too_many(len(bad), len(pictures), max_bad):
        advice = f"more than {max_bad:.0%} cannot be used: mend them, or allow them with max_bad="
        yield from _of("error", "too many bad files", bad, advice)
    for kind, finding in UNREADABLE.items():
        way = f"; {way_out_of_bands(root)}" if kind == BANDS else ""
        yield from _of("warning", finding, out[kinds == kind], f"left out of training{way}")


def _classes(used: pd.DataFrame) -> Iterator[Finding]:
    if used.empty:
        return
    counts = used["label"].value_counts().sort_index()
    train = used["label"][used["side"] == "train"].value_counts()
    valid = set(used["label"][used["side"] == "valid"])
    if valid and (absent := sorted(set(train.index) - valid)):
        advice = "no figure will speak of them: hold some of their pictures out"
        yield Finding("warning", "classes not validated", len(absent), advice, tuple(absent))
    if few := [str(label) for label in counts.index[counts < FEW]]:
        advice = f"fewer than {FEW} pictures each: add some, or expect little of these"
        yield Finding("warning", "small classes", len(few), advice, tuple(few))
    if alike := look_alikes(counts.index):
        names = tuple(" = ".join(map(repr, group)) for group in alike)
        advice = "where they are one class, give them one name in folders or table"
        yield Finding("warning", "class names that look alike", len(names), advice, names)
    times = imbalance(train.to_dict())
    if times > UNEVEN:
        ends = (f"{train.index[0]}: {train.iloc[0]:,}", f"{train.index[-1]}: {train.iloc[-1]:,}")
        advice = f"{times:,.1f} times: read macro-F1, and try balance='weights' or 'oversample'"
        yield Finding("warning", "uneven classes", len(train), advice, ends)


def _shapes(used: pd.DataFrame, size: int) -> Iterator[Finding]:
    short = used[["width", "height"]].min(axis=1)
    long = used[["width", "height"]].max(axis=1)
    limit = Image.MAX_IMAGE_PIXELS or 0
    huge = used[used["width"] * used["height"] > limit]
    advice = f"more than {limit / 1e6:.0f} megapixels: slow to read and large in memory"
    yield from _of("warning", "huge pictures", huge, advice)
    advice = f"enlarged more than 4 times to {size} pixels: a smaller size= would be honest"
    yield from _of("warning", "tiny pictures", used[short < size / 4], advice)
    cut = used[short < CROPPED * long]
    severity = "warning" if len(cut) > len(used) / 10 else "note"
    advice = f"a centre crop drops over {1 - CROPPED:.0%} of them: see resize='squish' or 'pad'"
    yield from _of(severity, "long or tall pictures", cut, advice)
    advice = f"over {LARGER} times the training size: cache=True makes epochs faster"
    yield from _of("note", "pictures far larger than needed", used[short > LARGER * size], advice)


def _kinds(used: pd.DataFrame, levels: Levels | None) -> Iterator[Finding]:
    known = Image.registered_extensions()
    formats = used["format"].replace("MPO", "JPEG")  # a phone's JPEG with a second picture in it
    by_name = pd.Series([known.get(Path(p).suffix.lower()) for p in used["path"]], used.index)
    wrong = used[(by_name != formats).astype(bool)]
    names = some(sorted(set(wrong["format"])))
    yield from _of("note", "wrong suffixes", wrong, f"read as what they are: {names}")
    mode = used["mode"]
    yield from _of("note", "turned by EXIF", used[used["turn"] != 1], "turned upright when read")
    yield from _of("note", "transparent", used[used["alpha"].astype(bool)], "laid on white")
    deep = used[mode.str.startswith(("I", "F"))]
    which = f": {levels[0]:g} is black, {levels[1]:g} is white" if levels else ", each by itself"
    advice = f"scaled to 8 bits{which}"
    yield from _of("note", "16 bits or more", deep, advice)
    yield from _of("note", "CMYK", used[mode == "CMYK"], "converted to RGB")
    yield from _of("note", "with a palette", used[mode == "P"], "converted to RGB")
    grey = used[mode.isin(["1", "L", "LA"])]
    if len(grey) < len(used):
        yield from _of("note", "grey", grey, "converted to RGB")


def beside(listing: Listing) -> list[Finding]:
    """Say what lies beside the pictures and is not used."""
    found = []
    if listing.unused:
        names = tuple(listing.unused)
        advice = "neither to train nor to validate"
        found.append(Finding("warning", "folders that are not used", len(names), advice, names))
    if listing.others:
        names = tuple(listing.others)
        found.append(Finding("note", "other files", len(names), "not read", names))
    return found
