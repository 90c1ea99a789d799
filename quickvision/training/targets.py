"""Labels that are no class: said before a GPU ends the process over them."""

from __future__ import annotations

from typing import Any

import torch
from fastai.callback.core import Callback

from quickvision.base.errors import DataError

IGNORED = -100  # what torch's losses leave out


def check_targets(pred: Any, targets: Any) -> None:
    """See that each label is the index of a class, where classes are what is predicted.

    Args:
        pred: What the model said, [n, c]; anything else is not looked at.
        targets: int64 [n]; anything else is not looked at.

    Raises:
        DataError: One is outside [0, c).
    """
    tensors = isinstance(pred, torch.Tensor) and isinstance(targets, torch.Tensor)
    if not tensors or pred.ndim != 2 or targets.ndim != 1 or targets.is_floating_point():
        return
    c, seen = pred.shape[1], targets[targets != IGNORED]
    strange = seen[(seen < 0) | (seen >= c)]
    if len(strange):
        raise DataError(
            f"expected labels from 0 to {c - 1}, one for each of {c} classes, got"
            f" {int(strange[0])}; see how the loaders label their pictures"
        )


class Targets(Callback):
    """Look at the labels of the first epoch, on both sides, before the loss is computed.

    Raises:
        DataError: One is none of the classes.
    """

    def before_fit(self) -> None:
        """Begin to look."""
        self.looked = False

    def after_pred(self) -> None:
        """Look."""
        if not self.looked and len(self.learn.yb) == 1:
            check_targets(self.learn.pred, self.learn.yb[0])

    def after_epoch(self) -> None:
        """All have been seen."""
        self.looked = True
