"""Which labels are suspicious: what the other pictures say of each, without having asked it.

Confident learning in its plainest form: ask models that have not seen a picture how probable its
label is, and look at the least probable ones first. A label that is unlikely is no proof. Half of
them may be right, and pictures of a kind that is rare in their class come first as well: this is
a list to be looked through, never one to be deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize_scalar
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import log_softmax, softmax
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch.nn import functional as F

from quickvision.base.choices import flag, whole
from quickvision.base.errors import expect, some
from quickvision.base.tables import Table
from quickvision.results.calibration import RANGE
from quickvision.results.embeddings import Embeddings
from quickvision.results.nearest import closest, unit
from quickvision.training.logistic import lowest, turn

K = 10  # neighbours that are asked
FOLDS = 5
C = 1.0  # inverse penalty of the regression, scikit-learn's own; 1 to 100 rank about alike
AXES = 256  # of the features that it is fitted on, those that differ most; more rank no better
CLOSE = 1e-4  # how small its slope is to be: probabilities are a thousandth off
ENOUGH = 2_000  # pictures that tell its temperature
COLUMNS = ("path", "label", "suggested", "score", "why")


def suspects(
    embeddings: Embeddings,
    *,
    copies: Iterable[Sequence[int]] = (),
    all: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """List the pictures whose labels are worth a second look, the most suspicious first.

    Two models are asked how probable each label is, and their answers are averaged: the share of
    the ten nearest pictures that have that label (as many as its class has others, where these are
    fewer than ten), and a logistic regression that was fitted on four fifths of the pictures
    without this one, brought to how sure it may be by a temperature. Neither sees the picture
    itself, or a copy of it.

    Args:
        embeddings: Features of a body that has not been trained on these labels.
        copies: Groups of places in `embeddings` that hold one and the same picture. Pictures of
            the very same features are found without it.
        all: List all pictures. Otherwise the table has those for which another class is as
            probable as it is for the pictures that have its label, on average, and copies that are
            labelled differently.
        seed: Of the five parts.

    Returns:
        Columns `path`, `label`, `suggested` (the most probable class), `score` (in [0, 1]: 1 less
        the probability of the label) and `why`, a sentence. Copies with different labels come
        first, side by side, with a score of 1: not all of their labels can be right. The only
        picture of a class comes last: nothing speaks for its label or against it, `score` is nan.
        The order of the pictures in `embeddings` does not matter. Empty where nothing is worth a
        look.

    Raises:
        ValueError: Features are not finite, or `copies` names a picture that is not there.

    Source: Northcutt, Jiang and Chuang, "Confident Learning" (2021), for how many to look at;
    ranked by what they call self-confidence. Neighbours as in Zhu, Dong and Liu, "Detecting
    Corrupted Labels Without Training a Model to Predict" (2022).
    """
    expect(embeddings, Embeddings, "embeddings")
    every, seed = flag("all", all), whole("seed", seed)
    if not len(embeddings):
        return Table(columns=COLUMNS)
    given, names = _by_path(embeddings), np.array(embeddings.vocab, dtype=object)
    copy = _copies(given, copies, embeddings.paths)
    asked = ask(given, copy, seed=seed)
    own, alone = asked.own, ~asked.judged
    odd, best = _at_odds(asked, copy)
    differ = best >= 0
    suggested = np.where(alone, asked.labels, asked.probs.argmax(axis=1))
    worth = differ | ((suggested != asked.labels) & asked.likely(suggested))
    suggested = np.where(differ, best, suggested)
    score = np.where(differ, 1, np.where(alone, np.nan, 1 - own.clip(0, 1)))
    last = alone & ~differ
    order = np.lexsort((np.where(alone, 0, own), np.where(differ, copy, 0), last, ~differ))
    chosen = order if every else order[worth[order]]
    table = {
        "path": [given.paths[i] for i in chosen],
        "label": names[asked.labels[chosen]],
        "suggested": names[suggested[chosen]],
        "score": score[chosen],
        "why": [
            _copied(given, i, odd[copy[i]]) if differ[i] else asked.why(i, suggested[i], names)
            for i in chosen
        ],
    }
    return Table(table, columns=COLUMNS)


@dataclass(frozen=True, eq=False)
class Asked:
    """What models that have not seen them say of n pictures.

    Attributes:
        labels: int64 [n], as they are given.
        probs: float32 [n, c], the mean of both models; rows sum to 1 where they were judged.
        regression: float32 [n, c], of the regression alone, with its temperature.
        votes: int64 [n, K], labels of the nearest pictures, the nearest first; -1 where fewer were
            asked.
        judged: bool [n], False for the only picture of a class.
    """

    labels: np.ndarray
    probs: np.ndarray
    regression: np.ndarray
    votes: np.ndarray
    judged: np.ndarray

    @property
    def own(self) -> np.ndarray:
        """How probable the given labels are, float64 [n]."""
        return self.probs[np.arange(len(self.labels)), self.labels].astype(np.float64)

    def likely(self, classes: np.ndarray) -> np.ndarray:
        """Say whether these classes are as probable as for pictures that are labelled so, bool [n].

        On average, over the pictures that were judged; a class that has none of them never is.
        """
        c, known = self.probs.shape[1], self.labels[self.judged]
        count = np.bincount(known, minlength=c)
        total = np.bincount(known, weights=self.own[self.judged], minlength=c)
        usual = np.where(count > 0, total / np.maximum(count, 1), np.inf)
        # Sums of equal numbers may differ in the last digit.
        return self.probs[np.arange(len(self.labels)), classes] >= usual[classes] - 1e-6

    def why(self, i: int, suggested: int, names: np.ndarray) -> str:
        """Say in a sentence what speaks against a picture's label, or for it."""
        label, votes = self.labels[i], self.votes[i]
        if not self.judged[i]:
            return f"the only picture of {names[label]}: there is no other to compare it with"
        k, kept = int((votes >= 0).sum()), int((votes == label).sum())
        said = int((votes == suggested).sum())
        if suggested != label and said <= kept:
            own, other = self.regression[i, [label, suggested]]
            return (
                f"a model of all other pictures says {names[suggested]} ({other:.0%}), not"
                f" {names[label]} ({own:.0%})"
            )
        near = "its nearest picture" if k == 1 else f"{said} of its {k} nearest pictures"
        start = f"{near} {'is' if said == 1 else 'are'} labelled {names[suggested]}"
        if suggested == label:
            return f"{start}, too"
        return start if k == 1 else f"{start}, {kept or 'none'} {names[label]}"


def ask(given: Embeddings, copy: np.ndarray, *, seed: int = 0) -> Asked:
    """Ask both models of each picture; pictures of one number in `copy`, int [n], are one.

    A picture that is there several times has one voice among the others', one a label.
    """
    x, labels, classes = unit(given), given.labels, len(given.vocab)
    n = len(labels)
    voices = np.sort(np.unique(copy * classes + labels, return_index=True)[1])
    others = np.bincount(labels[voices], minlength=classes)[labels] - 1
    k = np.minimum(K, others)
    places, _ = closest(x, np.arange(n), voices, K, copy)
    votes = np.where(np.arange(K) < k[:, None], labels[places], -1)
    logs = regression(x, labels, classes, copy, voices, seed)
    known = np.flatnonzero(k)
    known = known[:: len(known) // ENOUGH + 1]
    sure = softmax(logs / _temperature(logs[known], labels[known]), axis=1)
    rows, at = np.nonzero(votes >= 0)
    probs = sure.copy()
    probs[k > 0] /= 2
    np.add.at(probs, (rows, votes[rows, at]), (0.5 / k[rows]).astype(np.float32))
    return Asked(labels, probs, sure, votes, k > 0)


def regression(
    x: np.ndarray,
    labels: np.ndarray,
    classes: int,
    copy: np.ndarray,
    voices: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Ask regressions that were fitted without them: logarithms of probabilities, float32 [n, c].

    Args:
        x: Features at length 1, float32 [n, f].
        labels: int64 [n].
        classes: How many.
        copy: What is one picture has one number, int [n]; it is left out with its copies.
        voices: Rows that are fitted on, int [v].
        seed: Of the parts that are left out in turn.
    """
    out = np.full((len(x), classes), -np.log(classes), dtype=np.float32)
    part, y = parts(labels, copy, seed), torch.from_numpy(labels)
    # The threads of SciPy's BLAS and torch's wait for each other.
    with threadpool_limits(1, user_api="blas"):
        z = turn(torch.from_numpy(x))[2][:, -AXES:]
        for i in range(FOLDS):
            rows, held = voices[part[voices] != i], np.flatnonzero(part == i)
            if not len(rows) or not len(held):
                continue
            # From how common each class is, which takes half of the steps.
            common = y[rows].bincount(minlength=classes).clamp(min=0.01) / len(rows)
            start = torch.zeros(classes, z.shape[1]), common.log()
            penalty = 1 / (C * len(rows))
            weight, bias = lowest(
                z[rows], y[rows], classes, F.cross_entropy, penalty, start, close=CLOSE
            )
            out[held] = torch.addmm(bias, z[held], weight.T).log_softmax(dim=1).numpy()
    return out


def _temperature(logs: np.ndarray, labels: np.ndarray) -> float:
    """Find what brings the regression to how sure it may be: its mean with votes needs that.

    Held back as it is, it says 10 % of classes that are right in 80 of 100 cases.
    """
    if not len(logs):
        return 1.0
    logs, rows = logs.astype(np.float64), np.arange(len(logs))

    def loss(log_t: float) -> float:
        return float(-log_softmax(logs / np.exp(log_t), axis=1)[rows, labels].mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(RANGE)), method="bounded")
    return float(np.exp(found.x))


def parts(labels: np.ndarray, copy: np.ndarray, seed: int) -> np.ndarray:
    """Share the pictures out over the parts, int [n]: each class evenly, copies to one part."""
    first, of = np.unique(copy, return_index=True, return_inverse=True)[1:]
    chance = np.random.default_rng(seed).random(len(first))
    order = np.lexsort((chance, labels[first]))
    part = np.empty(len(first), dtype=np.int64)
    part[order] = np.arange(len(first)) % FOLDS
    return part[of]


def _by_path(embeddings: Embeddings) -> Embeddings:
    """Put the pictures in the order of their names, so that nothing hangs on any other."""
    order = sorted(range(len(embeddings)), key=embeddings.paths.__getitem__)
    paths = tuple(embeddings.paths[i] for i in order)
    columns = {name: getattr(embeddings, name)[order] for name in ("x", "labels", "valid")}
    return replace(embeddings, paths=paths, **columns)


def _copies(given: Embeddings, groups: Iterable[Sequence[int]], paths: Sequence[str]) -> np.ndarray:
    """Number what is one picture, int64 [n].

    Args:
        given: The pictures.
        groups: Groups of places in `paths`.
        paths: The pictures in the caller's order.
    """
    n = len(given)
    joined = [[int(i) for i in group] for group in groups]
    if wrong := [i for group in joined for i in group if not 0 <= i < n]:
        raise ValueError(
            f"copies: expected places of {n:,} pictures, from 0 to {n - 1}, got {some(wrong)}"
        )
    row = given.rows(paths)
    joined = [[int(row[i]) for i in group] for group in joined]
    alike: dict[bytes, list[int]] = {}
    for i, features in enumerate(given.x):
        if features.any():  # of no length, they say nothing
            alike.setdefault(features.tobytes(), []).append(i)
    if len(alike) > 1:  # or nothing tells the pictures apart
        joined += alike.values()
    pairs = [pair for group in joined for pair in pairwise(group)]
    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _at_odds(asked: Asked, copy: np.ndarray) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Find copies that are labelled differently: their rows by number, and their best label [n].

    The best one is the most probable of theirs; -1 for a picture that has no such copies.
    """
    order = np.argsort(copy, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(copy[order])) + 1)
    best, found = np.full(len(copy), -1), {}
    for rows in groups:
        labels = np.unique(asked.labels[rows])
        if len(labels) > 1:
            best[rows] = labels[asked.probs[np.ix_(rows, labels)].sum(axis=0).argmax()]
            found[int(copy[rows[0]])] = rows
    return found, best


def _copied(given: Embeddings, i: int, rows: np.ndarray) -> str:
    """Say which copies of a picture are labelled otherwise."""
    others = [
        f"{given.vocab[given.labels[j]]}: {given.paths[j]}"
        for j in rows
        if given.labels[j] != given.labels[i]
    ]
    return f"the same picture is also labelled {some(others)}"
