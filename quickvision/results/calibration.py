"""Are the probabilities true? The temperature that makes them so, and how far off they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from quickvision.base.errors import DataError, expect
from quickvision.base.tables import Table
from quickvision.results.intervals import wilson
from quickvision.results.predictions import Predictions

RANGE = (0.05, 20.0)  # in which a temperature is looked for
FOLDS = 5
DRAWS = 200  # sets of answers that are drawn, to see what chance makes of a true model


@dataclass(frozen=True)
class Calibration:
    """How true a model's probabilities are, on n pictures that it was not trained on.

    Attributes:
        temperature: What the logits are to be divided by: above 1 the model is too sure of itself;
            1 where no temperature is better on pictures that were left out in turn.
        ece: Expected calibration error as it is: a fraction, see `calibration_error`.
        ece_after: The same with the temperature, fitted on four fifths of the pictures and measured
            on the others, in turn.
        ece_chance: What a model with true probabilities shows at this n: the mean.
        ece_chance_most: And the largest in 19 of 20 cases.
        confidence: Mean probability of the predicted classes.
        accuracy: Share of right answers.
        n: Pictures.
    """

    temperature: float
    ece: float
    ece_after: float
    ece_chance: float
    ece_chance_most: float
    confidence: float
    accuracy: float
    n: int

    def __str__(self) -> str:
        off = self.confidence - self.accuracy
        how = "too sure" if off > 0 else "not sure enough"
        changed = f", {self.ece_after:.1%} with temperature {self.temperature:.2f}"
        return (
            f"{how} by {abs(off):.1%}; calibration error {self.ece:.1%}"
            f"{'' if self.temperature == 1 else changed}; a true model shows {self.ece_chance:.1%}"
            f" (up to {self.ece_chance_most:.1%}) on {self.n:,} pictures"
        )


def calibration(preds: Predictions, *, seed: int = 0) -> Calibration:
    """Measure how true the probabilities are, and find the temperature that mends them.

    Args:
        preds: One inference pass over labelled pictures that the model was not trained on.
        seed: Of the folds, and of the answers that are drawn.

    Raises:
        DataError: There are no pictures.

    Source: Guo and others (2017), "On Calibration of Modern Neural Networks". The most probable
    class stays the same.
    """
    expect(preds, Predictions, "preds")
    if not len(preds):
        raise DataError("expected labelled pictures to calibrate on, got none")
    rng = np.random.default_rng(seed)
    logits = np.log(np.maximum(preds.probs.astype(np.float64), 1e-30))
    after = np.empty_like(logits)
    for held in _folds(len(preds), rng):
        after[held] = _scaled(logits[held], _fitted(logits[~held], preds.targs[~held]))
    best, rows = _fitted(logits, preds.targs), np.arange(len(preds))
    if np.log(after[rows, preds.targs]).mean() <= logits[rows, preds.targs].mean():
        best, after = 1.0, preds.probs.astype(np.float64)  # on pictures left out it is no better
    said = _scaled(logits, best).max(axis=1)
    chance = [_error(said, rng.random(len(said)) < said) for _ in range(DRAWS)]
    return Calibration(
        temperature=best,
        ece=calibration_error(preds.probs, preds.targs),
        ece_after=calibration_error(after, preds.targs),
        ece_chance=float(np.mean(chance)),
        ece_chance_most=float(np.quantile(chance, 0.95)),
        confidence=float(preds.probs.max(axis=1).mean()),
        accuracy=preds.accuracy.value,
        n=len(preds),
    )


def calibration_error(probs: np.ndarray, targs: np.ndarray) -> float:
    """Compute the expected calibration error: how far confidence and accuracy are apart.

    Pictures are put into about n^(1/3) groups of the same size, by the probability of their
    predicted class; the mean of the groups' differences, weighted by their pictures.

    Args:
        probs: float [n, c], rows sum to 1.
        targs: int [n].

    Returns:
        A fraction; it is above 0 for a true model, too: with few pictures shares are rough.
    """
    return _error(probs.max(axis=1), probs.argmax(axis=1) == targs)


def _error(said: np.ndarray, right: np.ndarray) -> float:
    """Compute it from the probabilities of the predicted classes, and whether they were right."""
    off = np.bincount(_groups(said), weights=said - right)
    return float(np.abs(off).sum() / len(said))


def reliability(preds: Predictions) -> pd.DataFrame:
    """Tell for groups of pictures how sure the model was, and how often it was right.

    The groups are those of `calibration_error`: of about the same size, by the probability of the
    predicted class. Pictures of one probability are in one group, so there may be fewer.

    Args:
        preds: One inference pass over labelled pictures that the model was not trained on.

    Returns:
        One row a group, the least sure first: `confidence` (the mean probability of the predicted
        classes), `accuracy`, `low` and `high` (its 95 % Wilson interval), all fractions, and `n`
        (pictures).

    Raises:
        DataError: There are no pictures.
    """
    expect(preds, Predictions, "preds")
    if not len(preds):
        raise DataError("expected labelled pictures to compare with, got none")
    said = preds.probs.max(axis=1)
    _, group, n = np.unique(_groups(said), return_inverse=True, return_counts=True)
    right = np.bincount(group, weights=preds.right)
    low, high = wilson(right, n)
    confidence = np.bincount(group, weights=said) / n
    columns = {"confidence": confidence, "accuracy": right / n, "low": low, "high": high, "n": n}
    return Table(columns)


def _groups(said: np.ndarray) -> np.ndarray:
    """Put probabilities [n] into about n^(1/3) groups of the same size, int [n], lowest first."""
    groups = max(1, round(len(said) ** (1 / 3)))
    edges = np.quantile(said, np.linspace(0, 1, groups + 1)[1:-1])
    return np.searchsorted(edges, said, side="right")  # the same probability, the same group


def _fitted(logits: np.ndarray, targs: np.ndarray) -> float:
    """Find the temperature of the lowest cross-entropy; 1 where nothing is there to learn from."""
    rows = np.arange(len(targs))

    def loss(log_t: float) -> float:
        return float(-log_softmax(logits / np.exp(log_t), axis=1)[rows, targs].mean())

    if len(targs) < 2:
        return 1.0
    found = minimize_scalar(loss, bounds=tuple(np.log(RANGE)), method="bounded")
    return float(np.exp(found.x))


def _scaled(logits: np.ndarray, temperature: float) -> np.ndarray:
    return np.exp(log_softmax(logits / temperature, axis=1))


def _folds(n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield who is left out, bool [n], so that each is once."""
    fold = rng.permutation(n) % min(FOLDS, max(n, 1))
    for i in range(fold.max() + 1):
        yield fold == i
