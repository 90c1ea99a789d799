"""What a report is made of, whoever made it; which pictures are worth seeing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from quickvision.data.leaks import Finding
from quickvision.data.rgb import Levels
from quickvision.data.view import View
from quickvision.results.embeddings import Embeddings
from quickvision.results.predictions import Predictions, worth_seeing
from quickvision.training.lr_find import LRFind

MOST_WORST = 24  # pictures that are shown with what is like them
HARMLESS = 0.1  # loss of a right answer (90 %), below which nothing is to be seen


@dataclass(frozen=True, eq=False, repr=False)
class Heat:
    """Why the model answered so, for some of the validation pictures.

    Attributes:
        index: int64 [m], places in the predictions.
        maps: float32 [m, h, w]: positive where a picture speaks for the predicted class rather than
            for the actual one (where that was predicted, the next most probable one), negative
            where it is the other way round.
    """

    index: np.ndarray
    maps: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Data:
    """What is known of a run's pictures, and how they are looked at.

    Attributes:
        n_train: Pictures that were trained on.
        uneven: Whether classes are of such uneven sizes that accuracy misleads.
        understood: Where labels and split come from, line by line.
        findings: What `check` says; None where nobody looked.
        skipped: What was left out: columns `path` and `reason`.
        fixed: What was decided about labels before: path, action and label of each picture.
        view: What validation looks at; None of transforms that are not our own.
        levels: What is black and white in pictures of more than 8 bits.
    """

    n_train: int
    uneven: bool = False
    understood: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] | None = None
    skipped: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["path", "reason"]))
    fixed: tuple[tuple[str, str, str], ...] = ()
    view: View | None = None
    levels: Levels | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Outcome:
    """A finished run, as a report tells of it.

    Attributes:
        name: Of the run.
        arch: Name of the architecture.
        preds: The one inference pass over the validation pictures.
        data: The pictures.
        history: A row an epoch, over all stages.
        stages: A row a stage, as `Run.stages`.
        lr_finds: What the rate finder saw, by stage.
        timing: Seconds by name.
        embeddings: What the pretrained body says of all pictures; None where it is not known.
        suspects: Labels that look wrong, as `suspects` lists them; None where it is not known.
        heat: Why the model answered so; None where it is not known.
        settings: What was asked for, by name, as text.
        versions: Of the packages, by name.
        command: The call that repeats it.
        code: The plain fastai script that does the same; may be empty.
    """

    name: str
    arch: str
    preds: Predictions
    data: Data
    history: pd.DataFrame
    stages: pd.DataFrame
    lr_finds: Mapping[str, LRFind] = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)
    embeddings: Embeddings | None = None
    suspects: pd.DataFrame | None = None
    heat: Heat | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    code: str = ""


def shown_worst(preds: Predictions) -> np.ndarray:
    """Return the worst answers that a report shows, int64 [m]: wrong ones, then close ones."""
    return worth_seeing(preds, MOST_WORST, least=HARMLESS)


def rivals(preds: Predictions, index: np.ndarray) -> np.ndarray:
    """Return the predicted class of some pictures, and the one beside it, int64 [m, 2].

    That is the actual class; where it was predicted, the next most probable one.
    """
    second = np.argsort(-preds.probs[index], axis=1, kind="stable")[:, 1]
    beside = np.where(preds.right[index], second, preds.targs[index])
    return np.stack([preds.predicted[index], beside], axis=1)
