"""How the learning rate moves during a fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from fastai.callback.core import CancelEpochException, CancelFitException
from fastai.callback.schedule import ParamScheduler, SchedCos, combined_cos
from fastai.callback.tracker import TrackerCallback
from fastai.learner import L, Learner
from fastai.optimizer import OptimWrapper
from fastai.torch_core import even_mults

from quickvision.base.choices import SCHEDULES, one_of

DROPS = 3  # parts of a "step" fit, each at a tenth of the rate of the one before


def fit_scheduled(
    learn: Learner,
    schedule: str,
    epochs: int,
    lr: Any,
    cbs: Any = None,
    *,
    past: Sequence[float] = (),
    **kwargs: Any,
) -> None:
    """Fit, with the rates of this schedule.

    Args:
        learn: The learner; its weights change.
        schedule: One of `SCHEDULES`, which `fit_frozen` explains.
        epochs: Passes over the training pictures.
        lr: The rate, a slice or one for each layer group: the largest of the schedule.
        cbs: fastai callbacks.
        past: Validation losses of epochs that are done: the fit goes on after them, at their place
            in the schedule.
        **kwargs: Go to fastai's `fit_one_cycle`, `fit_flat_cos` or `fit`.

    Raises:
        ValueError: No such schedule.
    """
    one_of("schedule", schedule, SCHEDULES)
    if learn.opt is None:
        learn.create_opt()
    learn.opt.set_hyper("lr", lr)
    lrs = np.array([group["lr"] for group in learn.opt.hypers])
    with _starting_at(learn, len(past)):
        if schedule == "one_cycle" and "mom" in learn.opt.hypers[0]:
            learn.fit_one_cycle(epochs, lr, cbs=cbs, **kwargs)
        elif schedule == "one_cycle":  # fastai's asks Adadelta for a momentum
            scheds = {"lr": combined_cos(0.25, lrs / 25, lrs, lrs / 1e5)}
            learn.fit(epochs, cbs=[ParamScheduler(scheds), *L(cbs)], **kwargs)
        elif schedule == "flat_cos":
            learn.fit_flat_cos(epochs, lr, cbs=cbs, **kwargs)
        elif schedule == "plateau":
            learn.fit(epochs, lr, cbs=[Plateau(past), *L(cbs)], **kwargs)
        elif schedule == "constant":
            learn.fit(epochs, lr, cbs=cbs, **kwargs)
        else:
            fall = SchedCos(lrs, lrs / 1e5) if schedule == "cosine" else _steps(lrs, epochs)
            learn.fit(epochs, cbs=[ParamScheduler({"lr": fall}), *L(cbs)], **kwargs)


def fit_code(
    learn: Learner, schedule: str, epochs: int, lr: Any, cbs: Sequence[str] = (), *, groups: int
) -> str:
    """Write what `fit_scheduled` does, in plain fastai; `cbs` are code, too."""
    rate = f"slice({lr.start!r}, {lr.stop!r})" if isinstance(lr, slice) else repr(float(lr))
    rates, part = _rates_code(lr, groups), math.ceil(epochs / DROPS)
    moves = {
        "cosine": f"SchedCos({rates}, {rates} / 1e5)",
        "step": f"lambda pos: {rates} * 0.1 ** (int(pos * {epochs} + 1e-6) // {part})",
    }
    if learn.opt is None:
        learn.create_opt()
    if "mom" not in learn.opt.hypers[0]:
        moves["one_cycle"] = f"combined_cos(0.25, {rates} / 25, {rates}, {rates} / 1e5)"
    verb, given = "fit", [f"{epochs}, {rate}"]
    if schedule in moves:
        given, cbs = [str(epochs)], [f"ParamScheduler({{'lr': {moves[schedule]}}})", *cbs]
    elif schedule in ("one_cycle", "flat_cos"):
        verb = f"fit_{schedule}"
    elif schedule == "plateau":
        own = "Plateau()" if needs_plateau(learn) else "ReduceLROnPlateau()"
        cbs = [own, *cbs]
    if cbs:
        given.append(f"cbs=[{', '.join(cbs)}]")
    return f"{verb}({', '.join(given)})"


PLATEAU_CODE = """\
class Plateau(ReduceLROnPlateau):  # fastai's does nothing to torch's own optimisers
    def after_epoch(self):
        TrackerCallback.after_epoch(self)
        if not self.new_best:
            self.opt.set_hyper('lr', np.array([h['lr'] for h in self.opt.hypers]) / 10)"""


def needs_plateau(learn: Learner) -> bool:
    """Say whether a script needs `PLATEAU_CODE`, as the optimiser is torch's own."""
    if learn.opt is None:
        learn.create_opt()
    return isinstance(learn.opt, OptimWrapper)


def _rates_code(lr: Any, groups: int) -> str:
    """Write one rate for each layer group, as fastai spreads a slice."""
    if not isinstance(lr, slice):
        return f"np.full({groups}, {float(lr)!r})"
    rates = np.array([lr.stop / 10] * (groups - 1) + [lr.stop], dtype=float)
    if lr.start is not None:
        rates = np.atleast_1d(even_mults(lr.start, lr.stop, groups))
    return f"np.array({rates.tolist()})"


@contextmanager
def _starting_at(learn: Learner, start: int) -> Iterator[None]:
    """Let a fit begin at a later epoch.

    fastai's `start_epoch` goes through the earlier ones without training: callbacks that look at
    an epoch's losses fail there (pinned), and `fit_flat_cos` does not have it. So the learner's own
    `_do_fit` is replaced for the length of the fit. Callbacks count again from the rows that are
    done: none has a state to be written down.
    """
    if not start:
        yield
        return

    def later(learn: Learner) -> None:
        for epoch in range(start, learn.n_epoch):
            learn.epoch, learn.train_iter = epoch, epoch * len(learn.dls.train)
            learn._with_events(learn._do_epoch, "epoch", CancelEpochException)

    learn._do_fit = partial(later, learn)
    try:
        yield
    finally:
        del learn._do_fit


def _steps(lrs: np.ndarray, epochs: int) -> Callable[[float], np.ndarray]:
    """Drop at the start of an epoch, so that a short fit drops less often."""
    part = math.ceil(epochs / DROPS)
    return lambda pos: lrs * 0.1 ** (int(pos * epochs + 1e-6) // part)


class _Waiting(TrackerCallback):
    """Look at the validation losses of the epochs before, and then at that of each epoch."""

    best: float

    def __init__(self, past: Sequence[float] = ()) -> None:
        super().__init__(monitor="valid_loss")
        self.past = past

    def before_fit(self) -> None:
        """Go through the epochs before."""
        super().before_fit()
        for loss in self.past:
            self.see(loss)

    def after_epoch(self) -> None:
        """Look at the epoch's loss."""
        self.see(self.recorder.values[-1][self.idx])

    def see(self, loss: float) -> None:
        """Look at a loss."""


class Plateau(_Waiting):
    """Train at a tenth of the rates once the validation loss has not fallen in an epoch.

    fastai's `ReduceLROnPlateau` writes into a copy of the rates where the optimiser is torch's own
    (`OptimWrapper`), so that nothing happens.
    """

    order = TrackerCallback.order + 2

    def see(self, loss: float) -> None:
        """Lower the rates, unless the loss has fallen."""
        if loss < self.best:
            self.best = loss
        else:
            self.opt.set_hyper("lr", np.array([h["lr"] for h in self.opt.hypers]) / 10)


class Patience(_Waiting):
    """Stop after so many epochs, at least 1, without a lower validation loss.

    fastai's `EarlyStoppingCallback`, less its print.
    """

    order = TrackerCallback.order + 3

    def __init__(self, patience: int, past: Sequence[float] = ()) -> None:
        super().__init__(past)
        self.patience = patience

    def before_fit(self) -> None:
        """Count through the epochs before."""
        self.waited = 0
        super().before_fit()

    def see(self, loss: float) -> None:
        """Count, or stop."""
        if loss < self.best:  # never so where it is no number: that is waited for
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        if self.waited >= self.patience:
            raise CancelFitException
