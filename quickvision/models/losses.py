"""Losses by name: smoothed labels, focal loss, classes that weigh more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from fastai.data.core import DataLoaders
from fastai.data.transforms import EncodedMultiCategorize, MultiCategorize, RegressionSetup
from fastai.losses import CrossEntropyLossFlat, FocalLossFlat

from quickvision.base.choices import fraction, one_of
from quickvision.base.errors import DataError

LOSSES = ("cross_entropy", "focal")
Loss = str | Callable[..., Any] | None


def make_loss(
    dls: DataLoaders, loss: Loss = None, *, label_smoothing: float = 0.0, class_weights: Any = None
) -> Callable[..., Any] | None:
    """Build a fastai loss, or take one that is given.

    Args:
        dls: The data: its classes, and the weights that its door has put on them.
        loss: None, "cross_entropy", "focal" (with gamma 2), or a loss, which is taken as it is.
        label_smoothing: Share of each label that is spread over all classes, from 0 to below 1.
        class_weights: "balanced", a dict from class to weight, or one weight a class.

    Returns:
        A loss; None where nothing is asked for, so that the data's own is taken.

    Raises:
        TypeError: Options that a loss of your own, or focal loss, does not take.
        ValueError: No such loss, or weights that do not fit the classes; or one is 0, with
            cross-entropy.

    With weights, fastai's focal loss takes them into its factor, too: classes of large weight count
    for more than in the paper.

    Source: Szegedy et al. (2015) for label smoothing; Lin et al., "Focal Loss" (2017); the balanced
    weights are scikit-learn's: n / (classes x pictures of the class).
    """
    fraction("label_smoothing", label_smoothing, 0.1, zero=True, one=False)
    if loss is None and not label_smoothing and class_weights is None:
        return None
    if callable(loss):
        if label_smoothing or class_weights is not None:
            raise TypeError("label_smoothing, class_weights: set in the loss that is given")
        return loss
    if loss is not None:
        one_of("loss", loss, LOSSES, hint="; or give a loss")
    if class_weights is None:  # those that balance="weights" has put on the data
        own = getattr(dls.train_ds, "loss_func", None)
        weight = getattr(getattr(own, "func", own), "weight", None)
    else:
        weight = torch.tensor(_weights(dls, class_weights), device=dls.device)
    if loss == "focal":
        if label_smoothing:
            raise TypeError("label_smoothing: goes with cross-entropy, and loss='focal' is given")
        return FocalLossFlat(weight=weight)
    if weight is not None and not weight.all():
        raise ValueError(
            f"class_weights: expected numbers above 0, got {weight.tolist()}: cross-entropy divides"
            " by the weights of a batch, and one of such pictures alone has no loss; leave these"
            " pictures out, or take loss='focal', which does not divide"
        )
    return CrossEntropyLossFlat(weight=weight, label_smoothing=label_smoothing)


def check_labels(dls: DataLoaders) -> None:
    """See that each picture has one class.

    Raises:
        DataError: The data block is one for several labels, or for numbers.
    """
    parts = getattr(dls.train_ds, "tls", [])[1:]  # behind the picture; a data set may have none
    for tfm in (tfm for part in parts for tfm in part.tfms.fs):
        if isinstance(tfm, (MultiCategorize, EncodedMultiCategorize, RegressionSetup)):
            what = "numbers" if isinstance(tfm, RegressionSetup) else "several labels"
            raise DataError(
                f"expected one class for each picture, got {what} for each, as"
                f" {type(tfm).__name__} makes of them; for these take fastai's own vision_learner"
            )


def loss_code(built: Any) -> str:
    """Write a loss that `make_loss` has built, its weights as numbers."""
    func = getattr(built, "func", built)  # a loss of torch's own is not wrapped
    weight = getattr(func, "weight", None)
    given = [] if weight is None else [f"weight=torch.tensor({weight.tolist()})"]
    if isinstance(built, FocalLossFlat):
        return f"FocalLossFlat({', '.join(given)})"
    given.append(f"label_smoothing={getattr(func, 'label_smoothing', 0.0)!r}")
    return f"CrossEntropyLossFlat({', '.join(given)})"


def _weights(dls: DataLoaders, class_weights: Any) -> np.ndarray:
    """Bring weights into the order of the vocab, float32 [c]."""
    vocab = list(map(str, dls.vocab))
    if isinstance(class_weights, str):
        if class_weights != "balanced":
            raise ValueError(
                f"class_weights: expected 'balanced' or weights, got {class_weights!r}"
            )
        targs = [int(y) for y in dls.train_ds.tls[-1]]
        counts = np.bincount(targs, minlength=len(vocab))
        return (len(targs) / len(vocab) / counts.clip(1)).astype(np.float32)
    if isinstance(class_weights, Mapping):
        named = {str(name): value for name, value in class_weights.items()}
        if set(named) != set(vocab):
            odd = sorted(set(named) ^ set(vocab))
            raise ValueError(f"class_weights: expected a weight for each class, not for {odd[:3]}")
        class_weights = [named[name] for name in vocab]
    try:
        weights = np.asarray(class_weights, dtype=np.float32)
    except (TypeError, ValueError):
        weights = np.empty(0, dtype=np.float32)
    if weights.shape != (len(vocab),) or not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(
            f"class_weights: expected {len(vocab)} numbers from 0, got {class_weights!r}"
        )
    return weights
