"""The steps that change weights: fit with the body frozen, fit with it unfrozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from fastai.learner import L, Learner

from quickvision.errors import RunError
from quickvision.lr_find import FROZEN_LR, LRFind, count_batches
from quickvision.progress import Bar, EpochLog

UNFROZEN_LR = slice(
    1e-5, 1e-3
)  # fine_tune halves the base and divides it by 100 for the first layers

Rate = float | slice | Sequence[float] | LRFind


def fit_frozen(
    learn: Learner,
    epochs: int = 4,
    *,
    lr_max: Rate = FROZEN_LR,
    verbose: bool = True,
    **kwargs: Any,
) -> pd.DataFrame:
    """Train the head while the body stays frozen: `learn.freeze()`, then `fit_one_cycle`.

    Args:
        learn: The learner; its weights change.
        epochs: Passes over the training pictures, at least 1.
        lr_max: Rate at the top of the cycle.
        verbose: Say a line an epoch.
        **kwargs: Go to fastai's `fit_one_cycle` (`cbs`, `wd`, `pct_start`, ...).

    Returns:
        One row an epoch, with columns `stage`, `epoch` (from 1), `train_loss`, `valid_loss`, the
        metrics, `lr` (the head's largest in that epoch) and `seconds`.

    Raises:
        DataError: The training loader has no batch.
        RunError: The loss is no number any more, or a callback let no epoch finish.
        ValueError: `epochs` is below 1, or a rate is not above 0.
    """
    learn.freeze()
    return _fit(learn, "frozen", epochs, lr_max, verbose, kwargs)


def fit_unfrozen(
    learn: Learner,
    epochs: int = 2,
    *,
    lr_max: Rate = UNFROZEN_LR,
    verbose: bool = True,
    **kwargs: Any,
) -> pd.DataFrame:
    """Train all layers: `learn.unfreeze()`, then `fit_one_cycle` with rates that grow to the head.

    Args:
        learn: The learner; its weights change.
        epochs: Passes over the training pictures, at least 1.
        lr_max: Rates at the top of the cycle: `slice(first, last)` spreads them over the layer
            groups by equal factors; `slice(last)` gives all but the head a tenth; a number is one
            rate for all; what `find_lr` found is the head's, and the first layers get a hundredth.
        verbose: Say a line an epoch.
        **kwargs: Go to fastai's `fit_one_cycle`.

    Returns:
        As `fit_frozen`.

    Raises:
        DataError: As `fit_frozen`.
        RunError: As `fit_frozen`.
        ValueError: As `fit_frozen`.
    """
    learn.unfreeze()
    rate = spread(lr_max.lr) if isinstance(lr_max, LRFind) else lr_max
    return _fit(learn, "unfrozen", epochs, rate, verbose, kwargs)


def spread(lr: float) -> slice:
    """Give the head this rate and the first layers a hundredth, as fastai's `fine_tune` does."""
    return slice(lr / 100, lr)


def _fit(
    learn: Learner,
    stage: str,
    epochs: int,
    lr_max: Rate,
    verbose: bool,
    kwargs: dict[str, Any],
) -> pd.DataFrame:
    if not isinstance(epochs, int) or epochs < 1:
        raise ValueError(f"epochs: expected a whole number from 1, got {epochs!r}")
    rate = lr_max if isinstance(lr_max, slice | list | tuple) else float(cast(float, lr_max))
    rates = [rate.start, rate.stop] if isinstance(rate, slice) else np.atleast_1d(rate)
    if not all(lr is None or lr > 0 for lr in rates):
        raise ValueError(f"lr_max: expected rates above 0, got {lr_max!r}")
    count_batches(learn)
    log = EpochLog(stage, verbose=verbose)
    cbs = [*L(kwargs.pop("cbs", None)), log, *([Bar(stage)] if verbose else [])]
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(epochs, rate, cbs=cbs, **kwargs)
    if not log.rows:
        raise RunError(f"expected a finished epoch, got none: a callback stopped the {stage} stage")
    return pd.DataFrame(log.rows)
