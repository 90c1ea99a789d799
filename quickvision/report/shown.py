"""What each section of the page shows: pictures, rows and charts; no text in it is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quickvision.base.errors import printable
from quickvision.data.paths import below
from quickvision.report.outcome import Heat, Outcome, shown_worst
from quickvision.report.pictures import SMALL, Thumbnails, heat
from quickvision.results.nearest import nearest
from quickvision.results.predictions import Predictions, class_report, confusion_matrix

MOST_PAIRS = 6
EACH = 4  # pictures of a class beside another
MOST_SUSPECTS = 60


@dataclass(frozen=True)
class Tile:
    """A picture with its file's name; without an address where it cannot be read."""

    name: str
    picture: str
    label: str = ""


@dataclass(frozen=True)
class Worst:
    """A picture that the model is wrong about, or was nearly.

    Attributes:
        tile: The picture; its label is the actual class.
        predicted: The class that was said.
        right: Whether it was the actual one.
        probs: Class and probability, the most probable first, the actual one always among them.
        loss: Of the model for this picture.
        why: What speaks for the answer, as a heat map; empty where it is not known.
        likes: The nearest training pictures.
    """

    tile: Tile
    predicted: str
    right: bool
    probs: Sequence[tuple[str, float]]
    loss: float
    why: str
    likes: Sequence[Tile]


@dataclass(frozen=True)
class Pair:
    """Two classes that are confused, with pictures of both."""

    one: str
    other: str
    said: str
    mistakes: Sequence[Tile]
    ones: Sequence[Tile]
    others: Sequence[Tile]


@dataclass(frozen=True)
class Suspect:
    """A label that looks wrong."""

    tile: Tile
    suggested: str
    score: float
    why: str
    path: str  # as `fixes.csv` names it; empty where no page can hold the name


@dataclass(frozen=True)
class ClassRow:
    """Figures of a class; nan where it has no pictures."""

    name: str
    n: int
    recall: float
    low: float
    high: float
    precision: float
    f1: float
    mistaken: str


def worst(outcome: Outcome, thumbnails: Thumbnails) -> list[Worst]:
    """Show the pictures of the largest loss, and what is like them in training."""
    preds, known = outcome.preds, outcome.embeddings
    places = shown_worst(preds)
    names = _names(preds, places)
    large = thumbnails(preds.paths[i] for i in places)
    likes: list[list[Tile]] = [[] for _ in places]
    if known is not None and len(places):
        found = nearest(known, names, k=3)
        root = preds.root or Path()
        small = thumbnails((root / each.path for row in found for each in row), SMALL)
        likes = [
            [
                Tile(printable(each.path), small.get(root / each.path, ""), each.label)
                for each in row
            ]
            for row in found
        ]
    why = _heat(outcome.heat)
    return [
        Worst(
            tile=Tile(printable(name), large.get(preds.paths[i], ""), preds.vocab[preds.targs[i]]),
            predicted=preds.vocab[preds.predicted[i]],
            right=bool(preds.right[i]),
            probs=_probs(preds, int(i)),
            loss=float(preds.losses[i]),
            why=why.get(int(i), ""),
            likes=like,
        )
        for i, name, like in zip(places, names, likes, strict=True)
    ]


def _probs(preds: Predictions, i: int, most: int = 3) -> list[tuple[str, float]]:
    best = np.argsort(-preds.probs[i], kind="stable")[:most].tolist()
    if preds.targs[i] not in best:
        best = [*best[: most - 1], int(preds.targs[i])]
    return [(preds.vocab[c], float(preds.probs[i, c])) for c in best]


def _heat(found: Heat | None) -> dict[int, str]:
    if found is None:
        return {}
    return {
        int(i): heat(one, float(np.abs(one).max()))
        for i, one in zip(found.index, found.maps, strict=True)
    }


def pairs(preds: Predictions, thumbnails: Thumbnails) -> list[Pair]:
    """Show the most confused classes beside each other: the mistakes, and what was right."""
    cm = confusion_matrix(preds)
    both = np.triu(cm + cm.T, 1)
    order = np.argsort(-both, axis=None, kind="stable")[:MOST_PAIRS]
    chosen = [divmod(int(place), len(preds.vocab)) for place in order if both.flat[place]]
    groups = [(_mistakes(preds, a, b), _right(preds, a), _right(preds, b)) for a, b in chosen]
    wanted = [int(i) for three in groups for group in three for i in group]
    small = thumbnails((preds.paths[i] for i in wanted), SMALL)
    names = dict(zip(wanted, _names(preds, wanted), strict=True))

    def tiles(places: Iterable[int]) -> list[Tile]:
        return [
            Tile(
                printable(names[int(i)]),
                small.get(preds.paths[i], ""),
                preds.vocab[preds.targs[i]],
            )
            for i in places
        ]

    return [
        Pair(
            preds.vocab[a],
            preds.vocab[b],
            _counted(preds, cm, a, b),
            *(tiles(group) for group in three),
        )
        for (a, b), three in zip(chosen, groups, strict=True)
    ]


def _counted(preds: Predictions, cm: np.ndarray, a: int, b: int) -> str:
    said = [
        f"{cm[x, y]:,} of {cm[x].sum():,} {preds.vocab[x]} taken for {preds.vocab[y]}"
        for x, y in sorted(((a, b), (b, a)), key=lambda way: -cm[way])
        if cm[x, y]
    ]
    return ", ".join(said)


def _mistakes(preds: Predictions, a: int, b: int) -> np.ndarray:
    pair = (preds.targs == a) & (preds.predicted == b) | (preds.targs == b) & (preds.predicted == a)
    places = np.flatnonzero(pair)
    return places[np.argsort(-preds.losses[places], kind="stable")][:EACH]


def _right(preds: Predictions, of: int) -> np.ndarray:
    """Return right answers about a class, the surest first."""
    places = np.flatnonzero(preds.right & (preds.targs == of))
    return places[np.argsort(-preds.probs[places, of], kind="stable")][:EACH]


def classes(preds: Predictions) -> list[ClassRow]:
    """Return the figures of each class, the worst recall first, and what it is mistaken for."""
    cm = confusion_matrix(preds)
    np.fill_diagonal(cm, 0)
    rows = []
    for i, row in enumerate(class_report(preds).to_dict("records")):
        most = np.argsort(-cm[i], kind="stable")[:3]
        mistaken = ", ".join(f"{preds.vocab[j]} ({cm[i, j]:,})" for j in most if cm[i, j])
        n = int(row["support"])
        recall = row["recall"] if n else float("nan")
        rows.append(
            ClassRow(
                preds.vocab[i], n, recall, row["recall_low"], row["recall_high"],
                row["precision"], row["f1"], mistaken,
            )
        )  # fmt: skip
    return sorted(rows, key=lambda row: (np.isnan(row.recall), row.recall))


def suspects(outcome: Outcome, thumbnails: Thumbnails) -> list[Suspect]:
    """Show the labels that look most wrong."""
    if outcome.suspects is None:
        return []
    rows = outcome.suspects.head(MOST_SUSPECTS).to_dict("records")
    root = outcome.preds.root or Path()
    small = thumbnails((root / row["path"] for row in rows), SMALL)
    return [
        Suspect(
            Tile(printable(row["path"]), small.get(root / row["path"], ""), row["label"]),
            row["suggested"],
            float(row["score"]),
            row["why"],
            row["path"] if printable(row["path"]) == row["path"] else "",
        )
        for row in rows
    ]


def seconds(timing: Mapping[str, float]) -> list[tuple[str, str]]:
    """Say how long each part took."""
    return [(name, f"{spent:.1f} s") for name, spent in timing.items()]


def _names(preds: Predictions, places: Iterable[int]) -> list[str]:
    root = preds.root
    paths = [preds.paths[i] for i in places]
    return [path.as_posix() if root is None else below(path, root) for path in paths]
