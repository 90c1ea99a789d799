"""The best epoch of a training, kept beside the last."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastai.callback.core import Callback
from torch import nn


class Best(Callback):
    """Remember the weights of the best epoch, over as many fits as it is given to.

    Best is the highest accuracy (or lowest `error_rate`), and with several of these, or neither,
    the lowest validation loss. It is picked on the validation pictures, so its accuracy there
    flatters it.

    Args:
        model: The whole model, whose weights are kept; a fit may be of its head alone.

    Attributes:
        row: What `EpochLog` said of the best epoch; None before the first.
        weights: State dict of `model` after it, copied.
    """

    order = 62  # after EpochLog, whose rows it reads, and before whatever stops a fit

    def __init__(self, model: nn.Module) -> None:
        self.whole = model
        self.row: dict[str, Any] | None = None
        self.weights: dict[str, Any] = {}

    def after_epoch(self) -> None:
        """Compare."""
        rows = self.learn.epoch_log.rows
        if rows and (self.row is None or _rank(rows[-1]) > _rank(self.row)):
            self.row = rows[-1]
            self.weights = {k: v.detach().clone() for k, v in self.whole.state_dict().items()}


def _rank(row: dict[str, Any]) -> tuple[float, float]:
    """Put accuracy first, then the loss; what is no number is worst."""
    right = row.get("accuracy", -row.get("error_rate", 0.0))
    loss = row["valid_loss"]
    return -np.inf if np.isnan(right) else right, -np.inf if np.isnan(loss) else -loss
