"""Stop at the first loss that is no number, before it spoils the weights."""

from __future__ import annotations

import torch
from fastai.callback.core import Callback
from fastai.callback.fp16 import AMPMode, MixedPrecision

from quickvision.base.errors import RunError
from quickvision.base.processes import mean

SKIPPED = 20  # losses in a row that fp16's scaler may meet on its way to a scale that fits


class Finite(Callback):
    """Raise at the first training batch whose loss is nan or infinite; the weights are still good.

    In fp16 the gradient scaler skips such steps on its way down, so that 20 in a row are let pass.

    Args:
        stage: What is trained, in a word.

    Raises:
        RunError: The loss is no number.
    """

    order = 61

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def before_fit(self) -> None:
        """Begin to count."""
        scaled = any(
            isinstance(cb, MixedPrecision) and cb.amp_mode == AMPMode.FP16 for cb in self.learn.cbs
        )
        self.seen, self.most = 0, SKIPPED if scaled else 0

    def after_loss(self) -> None:
        """Look at the loss, which fastai's recorder brings to the CPU anyway."""
        if not self.training:
            return
        loss = mean(self.learn.loss.detach().mean())  # all processes stop, or none
        self.seen = 0 if torch.isfinite(loss) else self.seen + 1
        if self.seen > self.most:
            rate = float(max(hypers["lr"] for hypers in self.opt.hypers))
            raise RunError(
                f"expected a loss that is a number, got {loss.item()} in {self.stage} epoch"
                f" {self.epoch + 1}, batch {self.iter + 1}, at a rate of {rate:.1e}; try a tenth of"
                " that rate, and see with quickvision.check whether pictures are damaged"
            )
