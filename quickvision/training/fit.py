"""The steps that change weights: fit with the body frozen, unfrozen, or a group at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import pandas as pd
from fastai.callback.core import Callback
from fastai.callback.progress import ShowGraphCallback
from fastai.learner import L, Learner

from quickvision.base.choices import SCHEDULES, one_of, whole
from quickvision.base.errors import RunError, expect
from quickvision.base.progress import line, say
from quickvision.models.optimisers import is_like_adam
from quickvision.training.evidence import rates_for
from quickvision.training.guards import Finite, InParts, Targets, count_batches, forget_frozen
from quickvision.training.lr_find import FROZEN_LR, LRFind, find_lr
from quickvision.training.records import Bar, EpochLog
from quickvision.training.schedules import Patience, fit_scheduled
from quickvision.training.settle import Settle
from quickvision.training.solve import Solved

# fine_tune halves the base and divides it by 100 for the first layers
UNFROZEN_LR = slice(1e-5, 1e-3)

Rate = float | slice | Sequence[float] | LRFind | Solved
Rows = Sequence[Mapping[str, Any]]


def fit_frozen(
    learn: Learner,
    epochs: int = 4,
    *,
    lr_max: Rate = FROZEN_LR,
    schedule: str = "one_cycle",
    patience: int | None = None,
    past: Rows = (),
    verbose: bool = True,
    **kwargs: Any,
) -> pd.DataFrame:
    """Train the head while the body stays frozen: `learn.freeze()`, then fastai's fit.

    No frozen parameter changes by a bit, whatever was trained or searched before. The norm layers
    of the body are not frozen: fastai's optimisers train them on purpose (`Learner(train_bn=True)`;
    `train_bn=False` freezes them, too), and batch norms follow the pictures either way.

    Args:
        learn: The learner; its weights change.
        epochs: Passes over the training pictures, at least 1.
        lr_max: Rate at the top of the cycle.
        schedule: "one_cycle" (up in a quarter of the time, then down to nothing), "flat_cos" (flat,
            the last quarter down), "cosine" (down from the start), "step" (a tenth after each third
            of the epochs), "plateau" (a tenth where the validation loss has not fallen) or
            "constant".
        patience: Stop after this many epochs without a lower validation loss. It fights one-cycle,
            whose rate and loss are high in the middle and whose last epochs do most of the work:
            give it with another schedule.
        past: Rows of epochs that are done, as dicts of what this returns. The fit goes on after
            them, at their place in the schedule; weights, optimiser and random states are the
            caller's to put back, as `quickvision.resume` does.
        verbose: Say a line an epoch.
        **kwargs: Go to fastai's fit (`cbs`, `wd`, `pct_start`, ...).

    Returns:
        One row an epoch, with columns `stage`, `epoch` (from 1), `train_loss`, `valid_loss`, the
        metrics, `lr` (the head's largest in that epoch) and `seconds`.

    Raises:
        DataError: The training loader has no batch, or a label that is no class.
        RunError: The loss is no number any more, or a callback let no epoch finish.
        ValueError: `epochs` or `patience` is below 1, a rate is not above 0, or there is no such
            schedule.
    """
    expect(learn, Learner, "learn")
    learn.freeze()
    return _fit(learn, "frozen", epochs, lr_max, schedule, patience, past, verbose, kwargs)


def fit_unfrozen(
    learn: Learner,
    epochs: int = 2,
    *,
    lr_max: Rate = UNFROZEN_LR,
    schedule: str = "one_cycle",
    patience: int | None = None,
    gradual: bool = False,
    stage: str = "unfrozen",
    past: Rows = (),
    verbose: bool = True,
    **kwargs: Any,
) -> pd.DataFrame:
    """Train all layers: `learn.unfreeze()`, then fastai's fit with rates that grow to the head.

    Args:
        learn: The learner; its weights change.
        epochs: Passes over the training pictures, at least 1.
        lr_max: Rates at the top of the cycle: `slice(first, last)` spreads them over the layer
            groups by equal factors; `slice(last)` gives all but the head a tenth; a number is one
            rate for all; what `find_lr` found is the head's, and the first layers get a hundredth.
            What `solve_head` returned gives rates by how much the frozen features leave open, and
            at the end body and head are brought together, which is what `train` does: the body
            goes a quarter of its way back (all of it, where left-out training pictures say that it
            has lost), and the head is solved again.
        schedule: As in `fit_frozen`; each step of `gradual` is a cycle of its own.
        patience: As in `fit_frozen`.
        gradual: Unfreeze group by group: first train the head and the last group of the body, then
            one group more, and so on, with about as many epochs each. The stage is "top 2 groups"
            in the table then, and `stage` at the end.
        stage: What the table and the lines call it.
        past: As in `fit_frozen`.
        verbose: Say a line an epoch.
        **kwargs: Go to fastai's fit.

    Returns:
        As `fit_frozen`.

    Raises:
        DataError: As `fit_frozen`.
        RunError: As `fit_frozen`.
        ValueError: As `fit_frozen`; or there are fewer epochs than groups to unfreeze.
    """
    expect(learn, Learner, "learn")
    rate = spread(lr_max.lr) if isinstance(lr_max, LRFind) else lr_max
    if isinstance(lr_max, Solved):
        if is_like_adam(learn.opt_func):
            rate = rates_for(lr_max.left_open, len(learn.dls.train_ds))
        else:
            rate = spread(find_lr(learn, default=UNFROZEN_LR.stop).lr)
        kwargs["cbs"] = [*L(kwargs.get("cbs")), Settle.after(learn, lr_max)]
    if not gradual:
        learn.unfreeze()
        return _fit(learn, stage, epochs, rate, schedule, patience, past, verbose, kwargs)
    tables, seen = [], [row["stage"] for row in past]
    for open_groups, part in gradual_steps(learn, epochs):
        whole = open_groups == count_groups(learn)
        step = stage if whole else f"top {open_groups} groups"
        mine = [row for row in past if row["stage"] == step]
        if mine and seen[-1] != step:  # a later step has begun
            tables.append(pd.DataFrame(mine))
            continue
        learn.freeze_to(-open_groups)
        options = dict(kwargs)
        tables.append(_fit(learn, step, part, rate, schedule, patience, mine, verbose, options))
    return pd.concat(tables, ignore_index=True)


def gradual_steps(learn: Learner, epochs: int) -> list[tuple[int, int]]:
    """Share epochs out over the steps of gradual unfreezing; the last ones get what is over.

    Returns:
        For each step how many groups train, the head with them, and for how many epochs.

    Raises:
        ValueError: There are fewer epochs than steps.

    Source: Howard and Ruder, "Universal Language Model Fine-tuning" (2018).
    """
    steps = max(1, count_groups(learn) - 1)
    if not isinstance(epochs, int) or epochs < steps:
        raise ValueError(
            f"gradual: expected an epoch for each of {steps} steps, from 2 layer groups to"
            f" {steps + 1}, got {epochs!r} unfrozen epochs"
        )
    return [(step + 2, (epochs + step) // steps) for step in range(steps)]


def count_groups(learn: Learner) -> int:
    """Count a learner's layer groups, the head with them."""
    if learn.opt is None:
        learn.create_opt()
    return len(learn.opt.param_lists)


def spread(lr: float) -> slice:
    """Give the head this rate and the first layers a hundredth, as fastai's `fine_tune` does."""
    return slice(lr / 100, lr)


def check_callbacks(learn: Learner, cbs: Any = None) -> None:
    """See that callbacks are some, and can do without fastai's progress bar.

    Raises:
        TypeError: One is no callback, or draws into that bar.
    """
    for cb in (*L(cbs), *learn.cbs):
        kind = cb if isinstance(cb, type) else type(cb)  # fastai takes both
        if not issubclass(kind, Callback):
            raise TypeError(f"cbs: expected fastai callbacks, got {cb!r}")
        if issubclass(kind, ShowGraphCallback):
            raise TypeError(
                "cbs: expected callbacks that need no progress bar of fastai's, got"
                " ShowGraphCallback; plot_history shows the same afterwards"
            )


def _fit(
    learn: Learner,
    stage: str,
    epochs: int,
    lr_max: Rate,
    schedule: str,
    patience: int | None,
    past: Rows,
    verbose: bool,
    kwargs: dict[str, Any],
) -> pd.DataFrame:
    whole("epochs", epochs, 1)
    one_of("schedule", schedule, SCHEDULES)
    check_callbacks(learn, kwargs.get("cbs"))
    if patience is not None:
        whole("patience", patience, 1)
    several = isinstance(lr_max, slice | list | tuple | np.ndarray)
    rate: Any = lr_max if several else float(cast(float, lr_max))
    rates = [rate.start, rate.stop] if isinstance(rate, slice) else np.atleast_1d(rate)
    if isinstance(rate, slice) and rate.stop is None:
        raise ValueError(f"lr_max: expected a slice that ends with a rate, got {lr_max!r}")
    groups = count_groups(learn)
    if len(rates) not in (1, 2 if isinstance(rate, slice) else groups):
        raise ValueError(f"lr_max: expected a rate for each of {groups} groups, got {lr_max!r}")
    if not all(lr is None or lr > 0 for lr in rates):
        raise ValueError(f"lr_max: expected rates above 0, got {lr_max!r}")
    count_batches(learn)
    forget_frozen(learn)
    log = EpochLog(stage, verbose=verbose, past=past)
    cbs = [
        *L(kwargs.pop("cbs", None)),
        Targets(),
        Finite(stage),
        log,
        *([Bar(stage)] if verbose else []),
    ]
    if not any(isinstance(cb, InParts) for cb in cbs):
        cbs.append(InParts(partial(say, verbose=verbose)))
    losses = [row["valid_loss"] for row in past]
    if patience is not None:
        cbs.append(Patience(patience, losses))
    with learn.no_bar(), learn.no_logging():
        fit_scheduled(learn, schedule, epochs, rate, cbs, past=losses, **kwargs)
    if not log.rows:
        raise RunError(f"expected a finished epoch, got none: a callback stopped the {stage} stage")
    if patience is not None and len(log.rows) < epochs:
        say(
            line(stage, f"stopped: no lower validation loss for {patience} epochs"), verbose=verbose
        )
    return pd.DataFrame(log.rows)
