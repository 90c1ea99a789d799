"""The best epoch of a training, kept beside the last."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastai.callback.core import Callback
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper


class BestEpoch(Callback):
    """Remember the weights of the best epoch, over as many fits as it is given to.

    Best is the highest accuracy (or lowest `error_rate`), and with several of these, or neither,
    the lowest validation loss. It is picked on the validation pictures, so its accuracy there
    flatters it.

    Args:
        learn: The learner of the whole model, whose weights are kept; a fit may be of its head.

    Attributes:
        row: What `EpochLog` said of the best epoch; None before the first.
        weights: State dict of the model after it, copied.
    """

    # Not called Best: `learn.best` would be what fastai's trackers call an attribute of theirs.
    order = 62  # after EpochLog, whose rows it reads, and before whatever stops a fit

    def __init__(self, learn: Learner) -> None:
        self.whole = learn.model
        self.beginning = _new_opt(learn)
        self.row: dict[str, Any] | None = None
        self.weights: dict[str, Any] = {}

    def after_epoch(self) -> None:
        """Compare."""
        rows = self.learn.epoch_log.rows
        if rows and (self.row is None or _rank(rows[-1]) > _rank(self.row)):
            self.row = rows[-1]
            self.weights = {k: v.detach().clone() for k, v in self.whole.state_dict().items()}

    def to_save(self) -> dict[str, Any]:
        """What `learn.load` reads: the weights, and an optimiser that begins anew."""
        if self.beginning is None:
            return self.weights
        return {"model": self.weights, "opt": self.beginning}


def _new_opt(learn: Learner) -> dict[str, Any] | None:
    """Return the state of an optimiser that has done nothing; without one `learn.load` warns."""
    if isinstance(learn.opt_func, OptimWrapper):  # a built one: it would be cleared
        return None
    held = learn.opt
    try:
        learn.create_opt()
        state: dict[str, Any] = learn.opt.state_dict()
        return state
    finally:
        learn.opt = held


def _rank(row: dict[str, Any]) -> tuple[float, float]:
    """Put accuracy first, then the loss; what is no number is worst."""
    right = row.get("accuracy", -row.get("error_rate", 0.0))
    loss = row["valid_loss"]
    return -np.inf if np.isnan(right) else right, -np.inf if np.isnan(loss) else -loss
