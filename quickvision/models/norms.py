"""Batch norms of a pretrained body: what they know of ImageNet, kept through training."""

from __future__ import annotations

from fastai.callback.core import Callback, TrainEvalCallback
from torch import nn

from quickvision.base.errors import ModelError


class KeepNorms(Callback):
    """Let the body's batch norms use the statistics that they came with, in training as well.

    The frozen stage on cached features looks through these statistics, and so does validation. A
    stage that trains on each batch's own would put other features before the head that has just
    been trained; small batches, and batches in parts, would see others again. Scale and shift
    train. fastai's `BnFreeze` does so for frozen layers alone.
    """

    run_after = TrainEvalCallback

    def before_train(self) -> None:
        """Put them into evaluation mode, once the model is in training mode."""
        whole = getattr(self.learn.model, "module", self.learn.model)  # of several processes
        for module in whole[0].modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def keeps_norms(batch_norm: str | None, *, pretrained: bool) -> bool:
    """Say whether statistics are kept: by wish, or where they come with weights.

    Raises:
        ModelError: There are none to keep.
    """
    if batch_norm == "keep" and not pretrained:
        raise ModelError(
            "batch_norm: expected 'train' without weights, got 'keep': there are no statistics to"
            " keep; leave it out, or give weights="
        )
    return pretrained and batch_norm != "train"
