"""`submit`: a model's answers as the table that a competition wants, whole or not at all."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from quickvision.base.choices import one_of, whole
from quickvision.base.errors import DataError, as_path, did_you_mean, some
from quickvision.base.files import read_rows, write_whole
from quickvision.base.progress import line, say
from quickvision.data.labels import HEADERS, composed
from quickvision.data.paths import find_files, no_pictures
from quickvision.data.paths import folder as existing
from quickvision.ship.asked import Answers, answers, predictor_of
from quickvision.ship.sheets import ID, IDS, LABEL, Classes, Sheet, as_sample, plain


def submit(
    model: Any,
    folder: str | Path,
    path: str | Path,
    *,
    like: str | Path | None = None,
    id_col: str | None = None,
    label_col: str | None = None,
    ids: str | None = None,
    first: int | None = None,
    class_names: str | Path | Sequence[str] | Mapping[Any, str] | None = None,
    positive: str | None = None,
    probs: bool = False,
    bs: int = 64,
    tta: bool = False,
    verbose: bool = True,
) -> Path:
    """Answer for a folder of pictures, and write the table that is handed in.

    Args:
        model: A run, a learner, a `Predictor`, or the folder of an exported model.
        folder: The pictures, searched with all folders in it.
        path: The CSV file to write; an earlier one is replaced.
        like: The sample that the competition gives, with a header: its ids, in its order and its
            spelling (with suffix or folder or without), and its columns. A column of labels gets
            labels; columns that are called like the model's classes get their probabilities.
        id_col: Column of the ids: the sample's, by default its first; without a sample what to
            call it, "id".
        label_col: Column of the labels: the sample's, by default the only other one; without a
            sample what to call it, "label".
        ids: Without a sample, what is written for `00012.jpg`: "name" (by default), "stem"
            (`00012`), or "number" (12).
        first: Write numbers in place of class names: what the first class is counted as, 0 or 1.
            They are counted in the order of the model's `vocab`, or in that of `class_names`.
        class_names: What the classes were named by, as `from_csv` took it: numbers or codes are
            written instead of names. A CSV file or a list with one name a row (say `first`, too), a
            file with two columns, code and name, or a dict from code to name.
        positive: Write the probability of this class in place of labels, as for two classes.
        probs: Without a sample, write a column for each class, with its probability.
        bs: Pictures in a batch.
        tta: Take the mean of the picture and its mirror image (test-time augmentation).
        verbose: Say what was written.

    Returns:
        The file: UTF-8, commas, a row for each picture; in the sample's order, else by number where
        all names are numbers, else by name.

    Raises:
        DataError: A picture without an id, an id without a picture, an id twice, a picture that
            cannot be read, or columns that are not understood: nothing is written then.
        RunError: It cannot be written.
        ValueError: Options that do not go together.
    """
    ask, root, target = predictor_of(model), existing(folder), as_path(path, "path")
    files = find_files(root)
    if not files.names:
        raise no_pictures(root, files)
    _check_options(like, ids, first, positive, probs, label_col)
    written = _written(ask.vocab, first, class_names)
    at = -1 if positive is None else ask.class_index(positive)
    classes = Classes(ask.vocab, written, at)
    if like is None:
        named = [id_col or "id", label_col or "label"]
        sheet = plain(files.names, named, ids or "name", classes, probs=probs)
    else:
        sample = as_path(like, "like")
        if target.exists() and sample.exists() and os.path.samefile(target, sample):
            raise ValueError(f"path: expected another file than the sample, got {path}")
        sheet = as_sample(sample, root, files.names, id_col, label_col, classes)
    said = answers(ask, root, sheet.pictures, bs=bs, tta=tta)
    if said.errors:
        shown = some([f"{name} ({why})" for name, why in said.errors.items()])
        raise DataError(
            f"expected pictures in {root} that can be read, got {len(said.errors):,} of"
            f" {len(sheet.pictures):,} that cannot: {shown}; mend them: each id needs an answer"
        )
    write_whole(target, lambda part: _write(part, sheet, said, classes))
    _say_what_was_written(target, sheet, classes, verbose=verbose)
    return target


def _check_options(
    like: Any, ids: Any, first: Any, positive: Any, probs: bool, label_col: Any
) -> None:
    if ids is not None:
        one_of("ids", ids, IDS)
    if first is not None:
        whole("first", first)
    alone = {"ids": ids is not None, "probs": probs}
    for name in (name for name, given in alone.items() if given and like is not None):
        raise ValueError(f"{name}: goes without like, whose columns say it")
    labels = {"first": first is not None, "label_col": label_col is not None}
    for name in (name for name, given in labels.items() if given and probs):
        raise ValueError(f"{name}: goes with labels, got probs=True")
    if positive is not None and (probs or first is not None):
        raise ValueError(f"positive: goes without {'probs' if probs else 'first'}")


def _written(vocab: Sequence[str], first: int | None, class_names: Any) -> Sequence[str]:
    """Say what stands for each class: its name, its number or its code.

    Raises:
        DataError: A class has no code.
        ValueError: It is not said what names are counted from.
    """
    if class_names is None:
        return vocab if first is None else [str(first + i) for i in range(len(vocab))]
    if isinstance(class_names, Mapping):
        rows = [[str(code), str(name)] for code, name in class_names.items()]
    elif isinstance(class_names, str | Path):
        rows = read_rows(as_path(class_names, "class_names"))
    else:
        rows = [[str(name)] for name in class_names]
    known = {composed(name) for name in vocab}
    if min(map(len, rows), default=1) < 2:
        names = [", ".join(row) for row in rows]
        if names and names[0].casefold() in HEADERS and composed(names[0]) not in known:
            names = names[1:]
        if first is None:
            raise ValueError(
                "first: expected 0 or 1, what the first of class_names is counted as, got None"
            )
        rows = [[str(first + i), name] for i, name in enumerate(names)]
    elif first is not None:
        raise ValueError("first: goes with class_names that have no codes of their own")
    if not known & {composed(row[1]) for row in rows} and known & {composed(r[0]) for r in rows}:
        rows = [[row[1], row[0]] for row in rows]  # from name to code
    codes = {composed(row[1]): row[0] for row in rows}
    if lost := [name for name in vocab if composed(name) not in codes]:
        near = did_you_mean(lost[0], codes)
        raise DataError(
            f"class_names: expected the model's {len(vocab):,} classes, got none of"
            f" {some(lost)}{near}"
        )
    return [codes[composed(name)] for name in vocab]


def _write(part: Path, sheet: Sheet, said: Answers, classes: Classes) -> None:
    best = said.probs.argmax(axis=1)
    with open(part, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(sheet.header)
        for text, label, probs in zip(sheet.ids, best, said.probs, strict=True):
            cells = {ID: text, LABEL: classes.written[label]}
            writer.writerow(
                cells[kind] if kind in cells else f"{probs[kind]:.7g}" for kind in sheet.holds
            )


def _say_what_was_written(target: Path, sheet: Sheet, classes: Classes, *, verbose: bool) -> None:
    """Say what stands for what: a number that is one off looks like any other."""
    kinds = [kind for kind in sheet.holds if kind != ID]
    if kinds != [LABEL]:
        what = f"the probability of {some([classes.vocab[kind] for kind in kinds])}"
    elif classes.named:
        what = "names of classes"
    else:
        pairs = zip(classes.vocab, classes.written, strict=True)
        what = some([f"{number} for {name}" for name, number in pairs])
    say(
        line("written", f"{target}: {len(sheet.ids):,} rows of {some(sheet.header)}; {what}"),
        verbose=verbose,
    )
