"""What can be wrong with a data set, finding by finding: pure functions of a table of pictures."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from quickvision.base.errors import some
from quickvision.base.figures import UNEVEN, imbalance
from quickvision.data.listing import Listing
from quickvision.data.options import too_many
from quickvision.data.scan import grey_pixels

# Correlations, measured on 767 photos and on 300 scanned digits with black borders. Copies that
# were saved again (JPEG at 50, PNG), halved, brought to 64 pixels or made a tenth lighter: from
# 0.993 at 9 x 8 pixels and from 0.993 at 32 x 32. Two different photos: up to 0.950 and 0.848; two
# different digits: up to 0.998 and 0.990, which is why a hash or a tiny picture alone will not do.
ALIKE = 0.99  # at 9 x 8 pixels, in colour: worth a closer look
SAME = 0.992  # at 32 x 32, in grey
LIGHTER = 20.0  # levels of 255 that two such pictures may be apart on average
CELLS = 20_000_000  # pairs that are compared at once: 80 MB


def same_groups(keys: Iterable[Hashable]) -> list[list[int]]:
    """Return the places of equal keys, where there are two or more; empty keys are left out."""
    places: dict[Hashable, list[int]] = {}
    for i, key in enumerate(keys):
        if key:
            places.setdefault(key, []).append(i)
    return [group for group in places.values() if len(group) > 1]


def near_groups(
    thumbs: Sequence[bytes], look: Callable[[int], np.ndarray | None]
) -> list[list[int]]:
    """Group pictures that are nearly the same: saved again, resized, made lighter; not cropped.

    Args:
        thumbs: RGB bytes of 9 x 8 pixels each, as `scan.Facts` has them; all different. Those of a
            single colour are like no other.
        look: Takes a place in `thumbs`, returns that picture's 32 x 32 grey pixels (float [1024]),
            or None. It is called once for each picture that has a candidate.

    Returns:
        The places in `thumbs` of each group of two or more, in their order. Time grows with the
        square of their number: 10,000 take about a second, 100,000 about a minute.
    """
    if len(thumbs) < 2:
        return []
    pixels = np.frombuffer(b"".join(thumbs), dtype=np.uint8).reshape(len(thumbs), -1)
    order = np.argsort(pixels.mean(axis=1), kind="stable")  # like pictures are near each other
    plain = pixels[order].astype(np.float32)
    light = plain.mean(axis=1)
    unit = _unit(plain)
    seen = lru_cache(maxsize=None)(lambda i: _seen(look(i)))
    pairs: list[tuple[int, int]] = []
    start = 0
    while start < len(order):
        stop = start + max(1, CELLS // len(order))
        last = int(np.searchsorted(light, light[min(stop, len(order)) - 1] + LIGHTER, "right"))
        rows, cols = np.nonzero(unit[start:stop] @ unit[start:last].T >= ALIKE)
        for row, col in zip(rows + start, cols + start, strict=True):
            if row < col and light[col] - light[row] <= LIGHTER:
                one, other = seen(int(order[row])), seen(int(order[col]))
                if one is not None and other is not None and float(one @ other) >= SAME:
                    pairs.append((int(order[row]), int(order[col])))
        start = stop
    if not pairs:
        return []
    left, right = np.array(pairs).T
    graph = coo_array((np.ones(len(pairs)), (left, right)), shape=(len(thumbs), len(thumbs)))
    _, group = connected_components(graph, directed=False)
    return same_groups(int(g) + 1 for g in group)


def _unit(values: np.ndarray) -> np.ndarray:
    """Centre each row and bring it to length 1, so that products are correlations."""
    centred = values - values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    flat = length < values.shape[1] ** 0.5  # less than one level of contrast
    return np.where(flat, 0, centred / np.maximum(length, 1e-6)).astype(np.float32)


def _seen(pixels: np.ndarray | None) -> np.ndarray | None:
    return None if pixels is None else _unit(pixels[None])[0]


FEW = 10  # pictures of a class, below which no figure of it means much
CROPPED = 0.6  # share of a picture that a centre crop keeps, below which it is said
LARGER = 4  # times the training size

# What training does with each kind of file that cannot be read.
UNREADABLE = {
    "empty": "empty files",
    "not a picture": "files that are no picture",
    "truncated": "truncated files",
    "damaged": "damaged files",
    "too large": "files too large to open safely",
    "looks like a placeholder": "placeholders",
    "no such file": "files that are not there",
    "no label": "pictures without a label",
    "not in a class folder": "pictures outside the class folders",
    "a test row": "pictures of test rows",
}


class Finding(NamedTuple):
    """One thing that was found.

    Attributes:
        severity: `error` (training would be misled), `warning` (look at it) or `note` (handled).
        finding: What it is, in a few words.
        n: Files, or classes where it is about classes.
        advice: What to do, or what is done about it.
        examples: The files, or the classes.
    """

    severity: str
    finding: str
    n: int
    advice: str
    examples: tuple[str, ...]


def find(
    pictures: pd.DataFrame, root: Path, *, size: int, max_bad: float = 0.05
) -> Iterator[Finding]:
    """Go through all that can be seen from the table.

    Args:
        pictures: A row a file: `path`, `label`, `side` ("train", "valid", or "" where it is left
            out), `reason` (why it is left out, or ""), and the fields of `scan.Facts`.
        root: The folder that the paths are below; twins are looked at once more.
        size: Pixels of the training pictures.
        max_bad: Fraction of unreadable files above which they are an error.
    """
    yield from _left_out(pictures, max_bad)
    used = pictures[pictures["side"] != ""]
    yield from _classes(used)
    yield from _twins(used, root)
    yield from _shapes(used, size)
    yield from _kinds(used)


def _of(severity: str, finding: str, rows: pd.DataFrame, advice: str) -> Iterator[Finding]:
    if len(rows):
        paths = tuple(str(path) for path in rows["path"])
        yield Finding(severity, finding, len(rows), advice, paths)


def _left_out(pictures: pd.DataFrame, max_bad: float) -> Iterator[Finding]:
    out = pictures[pictures["reason"] != ""]
    kinds = out["reason"].str.partition(":")[0] if len(out) else out["reason"]
    bad = out[~kinds.isin(["no label", "not in a class folder", "a test row"])]
    if too_many(len(bad), len(pictures), max_bad):
        advice = f"more than {max_bad:.0%} cannot be used: mend them, or allow them with max_bad="
        yield from _of("error", "too many bad files", bad, advice)
    for kind, finding in UNREADABLE.items():
        yield from _of("warning", finding, out[kinds == kind], "left out of training")


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
    times = imbalance(train.to_dict())
    if times > UNEVEN:
        ends = (f"{train.index[0]}: {train.iloc[0]:,}", f"{train.index[-1]}: {train.iloc[-1]:,}")
        advice = f"{times:.0f} times: read macro-F1, and try balance='weights' or 'oversample'"
        yield Finding("warning", "uneven classes", len(train), advice, ends)


def _twins(used: pd.DataFrame, root: Path) -> Iterator[Finding]:
    """Look for pictures that are there twice, to the byte and then nearly."""
    digests = used["digest"].tolist()
    first = used.drop_duplicates("digest")
    files = [root / name for name in first["path"]]
    alike = near_groups(first["thumb"].tolist(), lambda i: grey_pixels(files[i]))
    near = [first.iloc[group] for group in alike]
    same = [used.iloc[group] for group in same_groups(digests)]
    for kind, groups, worst, mild in (
        ("the same picture", same, "error", "warning"),
        ("nearly the same picture", near, "warning", "note"),
    ):
        labels, sides, rest = [], [], []
        for group in groups:
            if group["label"].nunique() > 1:
                labels.append(group)
            if group["side"].nunique() > 1:
                sides.append(group)
            elif group["label"].nunique() == 1:
                rest.append(group)
        advice = "one of the labels is wrong: mend it, or take both out"
        yield from _grouped(worst, f"{kind} with different labels", labels, advice)
        advice = "the figures flatter: take one of each out, or keep them together with groups="
        yield from _grouped(worst, f"{kind} on both sides", sides, advice)
        yield from _grouped(mild, f"{kind} more than once", rest, "counts more than others do")


def _grouped(
    severity: str, finding: str, groups: list[pd.DataFrame], advice: str
) -> Iterator[Finding]:
    if groups:
        n = sum(len(group) for group in groups)
        examples = tuple(" = ".join(str(path) for path in group["path"]) for group in groups)
        yield Finding(severity, finding, n, advice, examples)


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


def _kinds(used: pd.DataFrame) -> Iterator[Finding]:
    known = Image.registered_extensions()
    formats = used["format"].replace("MPO", "JPEG")  # a phone's JPEG with a second picture in it
    by_name = pd.Series([known.get(Path(p).suffix.lower()) for p in used["path"]], used.index)
    wrong = used[(by_name != formats).astype(bool)]
    names = some(sorted(set(wrong["format"])))
    yield from _of("note", "wrong suffixes", wrong, f"read as what they are: {names}")
    mode = used["mode"]
    animated = used[used["frames"] > 1]
    yield from _of("warning", "animations", animated, "only the first picture of each is used")
    yield from _of("note", "turned by EXIF", used[used["turn"] != 1], "turned upright when read")
    yield from _of("note", "transparent", used[used["alpha"].astype(bool)], "laid on white")
    deep = used[mode.str.startswith(("I", "F"))]
    yield from _of("note", "16 bits or more", deep, "scaled to 8 bits")
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
