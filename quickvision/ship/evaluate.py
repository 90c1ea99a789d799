"""`evaluate`: how right a model is about labelled pictures that it has never seen."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from quickvision.base.errors import DataError, as_path, did_you_mean, some, warn
from quickvision.base.progress import line, say
from quickvision.data.doors import list_csv, list_df
from quickvision.data.labels import composed, read_class_names
from quickvision.data.layouts import Listing, find_listing
from quickvision.data.paths import SUFFIXES, find_files
from quickvision.results.predictions import Predictions
from quickvision.ship.asked import answers, predictor_of

Column = str | int


def evaluate(
    model: Any,
    data: str | Path | pd.DataFrame,
    *,
    pat: str | re.Pattern[str] | None = None,
    images: str | Path | None = None,
    fn_col: Column | None = None,
    label_col: Column | None = None,
    class_names: str | Path | Sequence[str] | Mapping[Any, str] | None = None,
    skip_unknown: bool = False,
    bs: int = 64,
    tta: bool = False,
    verbose: bool = True,
) -> Predictions:
    r"""Ask a model about all labelled pictures of a folder or a table, and compare.

    Labels and the model's classes are the same where their names are. What is measured says how
    the model does on new pictures only where neither training nor choosing has seen them.

    Args:
        model: A run, a learner, a `Predictor`, or the folder of an exported model; it stays as it
            is.
        data: A folder of class folders, as `data/test`; a folder of pictures whose names hold the
            labels; a CSV file or a DataFrame. All of its pictures are asked about.
        pat: The pattern of `from_name_re`, where names hold the labels.
        images: Folder of the pictures, as in `from_csv` and `from_df`, for tables alone.
        fn_col: Column of the file names, as in `from_csv`.
        label_col: Column of the labels, as in `from_csv`.
        class_names: Names for labels that are numbers, or that the model has another name for, as
            in `from_folder`; a dict may name some of them only.
        skip_unknown: Leave out pictures of classes that the model does not know, and say so.
        bs: Pictures in a batch.
        tta: Take the mean of the picture and its mirror image (test-time augmentation).
        verbose: Say where the labels come from, and how many pictures there are.

    Returns:
        What `accuracy`, `class_report`, `most_confused` and the plots take, in the order of the
        listing. The losses are minus the logarithm of the actual class's probability. Classes
        without pictures are in `vocab` all the same. Pictures that cannot be read, or have no
        label, are left out with a `DataWarning`.

    Raises:
        BundleError: There is no exported model at this path.
        DataError: Nothing there, or no labels; classes that the model does not know; several sides
            (`train`, `test`) in one folder; or no picture that can be read.
        TypeError: `model` or `data` is something else.
        ValueError: An option that does not go with the data, or is out of range.
    """
    ask = predictor_of(model)
    places = {composed(name): i for i, name in enumerate(ask.vocab)}
    table = {"images": images, "fn_col": fn_col, "label_col": label_col}
    listing = _named(_listed(data, pat, table, places), class_names, places)
    names, labels = _known(listing, places, skip_unknown)
    said = answers(ask, listing.root, names, bs=bs, tta=tta)
    reasons = {**listing.left_out, **said.errors}
    good = [i for i, name in enumerate(names) if name not in said.errors]
    _say_what_is_left_out(listing, reasons, len(good))
    targs = np.array([places[labels[i]] for i in good], dtype=np.int64)
    probs = said.probs[good]
    preds = Predictions(
        probs=probs,
        targs=targs,
        vocab=ask.vocab,
        losses=-np.log(np.maximum(probs[np.arange(len(good)), targs], 1e-8)),
        paths=tuple(listing.root / names[i] for i in good),
        root=listing.root,
    )
    _say_what_was_trained_on(model, preds)
    say(line("labels", listing.labels_from or listing.found_by or "the table"), verbose=verbose)
    n = f"{len(preds):,}, of {len({*targs.tolist()})} of the model's {len(ask.vocab)} classes"
    say(line("pictures", n), verbose=verbose)
    return preds


def _listed(
    data: Any,
    pat: str | re.Pattern[str] | None,
    table: Mapping[str, Any],
    known: Collection[str],
) -> Listing:
    """List the pictures and their labels, as the doors do."""
    given = {name: value for name, value in table.items() if value is not None}
    if isinstance(data, pd.DataFrame):
        if pat is not None:
            raise ValueError("pat: goes with a folder, got a table")
        return list_df(data, undecided=False, **given)
    path = as_path(data, "data")
    if path.is_file() and path.suffix.lower() not in SUFFIXES:
        if pat is not None:
            raise ValueError(f"pat: goes with a folder, got the table {path}")
        return list_csv(path, beside=False, undecided=False, **given)
    if given:
        name = next(iter(given))
        raise ValueError(f"{name}: goes with a CSV file or a DataFrame, got {path}")
    return _in_folder(path, pat, known)


def _in_folder(path: Path, pat: str | re.Pattern[str] | None, known: Collection[str]) -> Listing:
    """List a folder; what the model's classes are called decides where the folders alone cannot.

    Raises:
        DataError: It has several sides; or as `find_listing`.
    """
    try:
        listing = find_listing(path, pat=pat)
    except DataError as error:
        found = _by_known_names(path, known) if path.is_dir() and pat is None else None
        if found is None:
            raise
        if isinstance(found, DataError):
            raise found from error
        return found
    if listing.held is not None or listing.tests:
        raise _several_sides(path, known) or DataError(
            f"expected labelled pictures of one side in {path}, got {listing.found_by} with"
            f" {listing.split_from or 'others'} beside it; name the table, or the folder, of those"
            " that the model has not seen"
        )
    if listing.unused:
        warn(f"not used in {path}: {some(listing.unused)}")
    return listing


def _by_known_names(path: Path, known: Collection[str]) -> Listing | DataError | None:
    """List folders that are all called like the model's classes, also where there is only one."""
    names = find_files(path).names
    top, kids = _entered(names, known)
    if not kids or not {composed(kid) for kid in kids} <= {*known}:
        return _several_sides(path, known)
    labels = [
        composed(name[len(top) :].partition("/")[0])
        if name.startswith(top) and "/" in name[len(top) :]
        else ""
        for name in names
    ]
    stray = [name for name, label in zip(names, labels, strict=True) if not label]
    return Listing(
        root=path,
        names=names,
        labels=labels,
        get_y=lambda picture: composed(picture.parent.name),
        left_out=dict.fromkeys(stray, "not in a class folder"),
        labels_from=f"the folders in {path / top}, which are called like the model's classes",
    )


def _entered(names: Sequence[str], known: Collection[str]) -> tuple[str, list[str]]:
    """Go into folders that hold a single one, which is no class: that one, the folders in it."""
    folders = {name[: name.rfind("/") + 1] for name in names}
    top = ""
    while True:
        kids = _inside(folders, top)
        if len(kids) != 1 or composed(kids[0]) in known:
            return top, kids
        top += f"{kids[0]}/"


def _inside(folders: Collection[str], top: str) -> list[str]:
    below = (folder[len(top) :] for folder in folders if folder.startswith(top))
    return sorted({first for folder in below if (first := folder.partition("/")[0])})


def _several_sides(path: Path, known: Collection[str]) -> DataError | None:
    """Name the folders that have class folders in them each; None where these are not several."""
    names = find_files(path).names
    folders = {name[: name.rfind("/") + 1] for name in names}
    top, kids = _entered(names, known)
    sides = [k for k in kids if {*map(composed, _inside(folders, f"{top}{k}/"))} & {*known}]
    if len(kids) < 2 or not sides:
        return None
    one = next((side for side in sides if "test" in side.casefold()), sides[-1])
    return DataError(
        f"expected labelled pictures of one side, got {some(kids, limit=5)} in {path / top}; name"
        f" the one that the model has not seen, as {str(path / top / one)!r}"
    )


def _named(listing: Listing, class_names: Any, known: Collection[str]) -> Listing:
    """Give labels their names; a dict leaves those that it does not name as they are."""
    listing = replace(listing, labels=[composed(label) for label in listing.labels])
    if class_names is None:
        return listing
    used = set(filter(None, listing.labels))
    if isinstance(class_names, Mapping):
        class_names = {**{label: label for label in used & {*known}}, **class_names}
    names = read_class_names(class_names, used)
    return replace(listing, labels=[composed(names.get(one, one)) for one in listing.labels])


def _known(
    listing: Listing, places: Mapping[str, int], skip_unknown: bool
) -> tuple[list[str], list[str]]:
    """Return names and labels of the pictures whose classes the model knows.

    Raises:
        DataError: There are others, and they are not to be skipped; or no picture is left.
    """
    pairs = [
        (name, label)
        for name, label in zip(listing.names, listing.labels, strict=True)
        if name not in listing.left_out
    ]
    unknown = Counter(label for _, label in pairs if label not in places)
    good = [(name, label) for name, label in pairs if label in places]
    if unknown and not (skip_unknown and good):
        raise _strange(listing, unknown, places)
    if not good:
        shown = some([f"{name} ({why})" for name, why in listing.left_out.items()])
        raise DataError(f"expected labelled pictures in {listing.root}, got none: {shown}")
    if unknown:
        shown = some([f"{label} ({n:,})" for label, n in unknown.most_common()])
        warn(
            f"left out {unknown.total():,} of {len(pairs):,} pictures, of classes that the model"
            f" does not know: {shown}"
        )
    return [name for name, _ in good], [label for _, label in good]


def _strange(listing: Listing, unknown: Counter[str], places: Mapping[str, int]) -> DataError:
    """Name the classes that the model does not know, and what can be done."""
    folded = {name.casefold(): name for name in places}

    def shown(label: str) -> str:
        near = folded.get(label.casefold())
        hint = f"; did you mean {near!r}?" if near else did_you_mean(label, places)
        return f"{label} ({unknown[label]:,}{hint})"

    first = next(iter(unknown))
    several = "others" if len(unknown) > 1 else "other"
    listed = some([shown(label) for label, _ in unknown.most_common()])
    numbers = all(label.isdecimal() for label in unknown)
    way = f"class_names={{{first!r}: ...}}"
    way = "class_names='names.csv' (a name a line)" if numbers else way
    return DataError(
        f"expected classes of the model ({some(list(places))}), got pictures in {listing.root} of"
        f" {len(unknown):,} {several}: {listed};"
        f" rename them, give the model's names with {way}, or leave these"
        f" {unknown.total():,} pictures out with skip_unknown=True"
    )


def _say_what_is_left_out(listing: Listing, reasons: Mapping[str, str], left: int) -> None:
    """Say which pictures have no answer or no label.

    Raises:
        DataError: All of them.
    """
    shown = some([f"{name} ({why})" for name, why in reasons.items()])
    if not left:
        raise DataError(f"expected pictures in {listing.root} that can be read, got none: {shown}")
    if reasons:
        warn(f"left out {len(reasons):,} of {len(listing.names):,} pictures: {shown}")


def _say_what_was_trained_on(model: Any, preds: Predictions) -> None:
    """Say how many of the pictures a learner was trained on, where it still has their names."""
    train = getattr(getattr(getattr(model, "learn", model), "dls", None), "train", None)
    items = getattr(train, "items", ())
    seen = {os.path.abspath(item) for item in items if isinstance(item, str | Path)}
    if n := sum(os.path.abspath(path) in seen for path in preds.paths):
        warn(
            f"{n:,} of {len(preds):,} pictures are among those that the model was trained on, which"
            " says nothing of new ones"
        )
