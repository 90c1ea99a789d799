"""Batch norms of a pretrained body: what they know of ImageNet, kept through training."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from fastai.callback.core import Callback, TrainEvalCallback
from torch import nn

from quickvision.base.errors import ModelError


class KeepNorms(Callback):
    """Let the body's batch norms use the statistics that they came with, in training as well.

    The frozen stage on cached features looks through these statistics, and so does validation. A
    stage that trains on each batch's own would put other features before the head that has just
    been trained; small batches, and batches in parts, would see others again. Scale and shift
    train. fastai's `BnFreeze` does so for frozen layers alone.

    Args:
        adapt: Whether `train` first takes the statistics of the training pictures; None lets
            training pictures that are left out decide.
    """

    run_after = TrainEvalCallback

    def __init__(self, adapt: bool | None = None) -> None:
        self.adapt = adapt

    def before_train(self) -> None:
        """Put them into evaluation mode, once the model is in training mode."""
        whole = getattr(self.learn.model, "module", self.learn.model)  # of several processes
        for norm in norms_of(whole[0]):
            norm.eval()


def norms_of(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """List the batch norms that have statistics."""
    norms = (m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))
    return [norm for norm in norms if norm.track_running_stats]


def adapt_norms(body: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Replace the statistics of batch norms by their means over these batches, in place.

    Args:
        body: In evaluation mode; each norm has its own mode and momentum again afterwards.
        batches: Pictures, of several each.
    """
    norms = norms_of(body)
    before = [(norm.momentum, norm.training) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    try:
        for batch in batches:
            body(batch)
    finally:
        for norm, (momentum, mode) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.train(mode)


def keeps_norms(batch_norm: str | None, *, pretrained: bool) -> bool:
    """Say whether statistics are kept: by wish, or where they come with weights.

    Raises:
        ModelError: There are none to keep.
    """
    if batch_norm in ("keep", "adapt") and not pretrained:
        raise ModelError(
            f"batch_norm: expected 'train' without weights, got {batch_norm!r}: there are no"
            " statistics to keep; leave it out, or give weights="
        )
    return pretrained and batch_norm != "train"
