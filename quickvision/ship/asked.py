"""Who is asked, and what came out: any form of a model, pictures by name, their probabilities."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quickvision.ship.load import load_model
from quickvision.ship.pictures import Named
from quickvision.ship.predictor import Predictor


@dataclass(frozen=True)
class Answers:
    """What a model says of n pictures in c classes.

    Attributes:
        probs: float32 [n, c]; nan where there is no answer.
        errors: Why there is none, by the picture's name.
    """

    probs: np.ndarray
    errors: Mapping[str, str]


def predictor_of(model: Any) -> Predictor:
    """Return what answers: for a run, a learner, a predictor or the folder of an exported model.

    Raises:
        BundleError: There is no exported model at this path.
        TypeError: It is none of these.
    """
    if isinstance(model, Predictor):
        return model
    if isinstance(model, str | os.PathLike):
        return load_model(Path(model))
    learn = getattr(model, "learn", model)  # a run has one
    if not hasattr(learn, "dls"):
        raise TypeError(
            "model: expected a run, a learner, a Predictor or the folder of an exported model, got"
            f" {type(model).__name__}"
        )
    return Predictor(learn)


def answers(ask: Predictor, root: Path, names: Sequence[str], *, bs: int, tta: bool) -> Answers:
    """Ask about the pictures of these names below a root; one that is bad stops no other.

    Raises:
        ValueError: As `Predictor.predict_many`.
    """
    rows, errors = [np.empty((0, len(ask.vocab)), dtype=np.float32)], {}
    pictures = [Named(name, root / name) for name in names]
    for chunk, opened, probs in ask.batches(pictures, bs, tta):
        rows.append(probs)
        for named, one in zip(chunk, opened, strict=True):
            if isinstance(one, Exception):
                errors[named.name] = str(one).rpartition(f"{named.picture}: ")[2]
    return Answers(np.concatenate(rows), errors)
