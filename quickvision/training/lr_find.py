"""Find a learning rate, and say why this one; the learner is left as it was."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from fastai.callback.core import CancelFitException
from fastai.callback.schedule import LRFinder, ParamScheduler, valley
from fastai.learner import L, Learner
from fastai.torch_core import get_random_states, set_random_states

from quickvision.base.errors import expect
from quickvision.training.guards import Targets, as_it_was, count_batches, own_gradients

FROZEN_LR = 2e-3  # fastai's `fine_tune(base_lr=)`


@dataclass(frozen=True, eq=False)
class LRFind:
    """What a rate finder saw, and the rate it picked.

    `float(found)` is the rate, so it can be passed on as `lr_max=`.

    Attributes:
        lr: The pick.
        reason: Why this one, in words.
        lr_range: Where the loss fell for longest, its first and last rate: rates that can be used.
            The pick twice where the curve says nothing.
        lrs: Rates tried, float64 [steps], rising.
        losses: Smoothed training loss at each rate, float64 [steps].
    """

    lr: float
    reason: str
    lrs: np.ndarray = field(repr=False)
    losses: np.ndarray = field(repr=False)
    lr_range: tuple[float, float] = (math.nan, math.nan)

    def __float__(self) -> float:
        return self.lr


def find_lr(
    learn: Learner,
    *,
    start_lr: float = 1e-6,
    end_lr: float = 1.0,
    num_it: int | None = None,
    default: float = FROZEN_LR,
    cbs: Any = None,
) -> LRFind:
    """Find a learning rate: a mock training in which the rate rises at every step.

    The learner is left as it was: weights, gradients, batch-norm statistics, modes, optimiser,
    recorder, random states and the order of its pictures, also where the search is broken off.
    Nothing goes to disk.

    Args:
        learn: The learner, frozen or not: what would train is what is tried.
        start_lr: First rate.
        end_lr: Last rate; the search stops before it where the loss explodes (four times its best).
        num_it: Steps at most, 20 or more. By default one epoch, but between 30 and 100 steps: a
            hundred steps on a few hundred pictures would cost more than the training itself.
        default: Rate that is taken where the curve says nothing.
        cbs: fastai callbacks for the search.

    Returns:
        The pick, the reason, and the curve.

    Raises:
        DataError: The training loader has no batch, or a label that is no class.
        ValueError: `num_it` is too small, or the rates do not rise.

    Source: Smith, "Cyclical Learning Rates" (2017); the pick is fastai's `valley`.
    """
    expect(learn, Learner, "learn")
    if not 0 < start_lr < end_lr:
        raise ValueError(f"expected 0 < start_lr < end_lr, got {start_lr} and {end_lr}")
    if num_it is not None and num_it < 20:
        raise ValueError(f"num_it: expected 20 steps or more (fewer show no curve), got {num_it}")
    batches = count_batches(learn)
    steps = num_it or search_steps(batches)
    finder = _Finder(start_lr, end_lr, steps)
    gradients = own_gradients(learn.model)
    left = _left_as_it_was(learn)
    with gradients, left, learn.no_bar(), learn.no_logging(), as_it_was(learn):
        learn.fit(math.ceil(steps / batches), cbs=[*L(cbs), Targets(), finder])
        lrs = np.array(learn.recorder.lrs, dtype=float)
        losses = np.array([float(loss) for loss in learn.recorder.losses])
    return _pick(lrs, losses, default)


def search_steps(batches: int) -> int:
    """Return the steps of a search by default: one epoch, but between 30 and 100 steps.

    Picks on ants and bees (8 seeds, cached features): 1.0e-3 to 2.5e-3 in 30 steps, 0.9e-3 to
    1.5e-3 in 100; unfrozen 4e-5 to 1.6e-4 in 30 (3 seeds), 2.5e-4 in 100. The head was within 2.4
    points after 4 epochs for every rate from 2.5e-4 to 3e-2.
    """
    return min(100, max(30, batches))


def _pick(lrs: np.ndarray, losses: np.ndarray, default: float) -> LRFind:
    """Pick from the curve's useful part: past the first noisy tenth, before it explodes."""
    finite = np.isfinite(losses)
    end = len(losses) if finite.all() else int(finite.argmin())
    lrs, losses = lrs[:end], losses[:end]
    useful = slice(len(lrs) // 10, None)
    if len(losses[useful]) < 10:
        why = f"the loss exploded after {len(losses)} steps: the default {default:.1e} is taken"
        return LRFind(default, why, lrs, losses, (default, default))
    if losses[useful].min() > 0.98 * losses[useful][0]:
        why = f"the loss never fell by 2 %: the default {default:.1e} is taken"
        return LRFind(default, why, lrs, losses, (default, default))
    lr, _ = valley(lrs[useful].tolist(), torch.tensor(losses[useful]), len(lrs))
    first, last = _longest_fall(losses[useful])
    fall = (float(lrs[useful][first]), float(lrs[useful][last]))
    why = f"from the middle of the range where the loss falls, {fall[0]:.1e} to {fall[1]:.1e}"
    return LRFind(lr, why, lrs, losses, fall)


def _longest_fall(losses: np.ndarray) -> tuple[int, int]:
    """Find the longest falling subsequence, as fastai's `valley` does: its first and last place."""
    n = len(losses)
    length, start = np.ones(n, dtype=int), np.arange(n)
    for i in range(1, n):
        before = np.flatnonzero(losses[:i] > losses[i])
        if len(before):
            best = before[::-1][length[before[::-1]].argmax()]  # the latest of equals
            length[i], start[i] = length[best] + 1, start[best]
    end = int(length.argmax())
    return int(start[end]), end


class _Finder(LRFinder):
    """fastai's rate finder, less the checkpoint that it writes into the learner's folder."""

    name = "lr_finder"

    def before_fit(self) -> None:
        ParamScheduler.before_fit(self)
        self.best_loss = float("inf")

    def after_batch(self) -> None:
        # fastai's own compares from the first step on. After a fit the first batches' losses are
        # small and uneven, and it stops on that noise, before the rate has done anything.
        ParamScheduler.after_batch(self)
        quiet = self.train_iter <= self.num_it // 4
        if not quiet and self.smooth_loss > 4 * self.best_loss:
            raise CancelFitException
        if self.train_iter >= max(5, self.num_it // 10):
            self.best_loss = min(self.best_loss, self.smooth_loss)
        if self.train_iter >= self.num_it:
            raise CancelFitException

    def after_fit(self) -> None:
        self.learn.opt.zero_grad()


@contextmanager
def _left_as_it_was(learn: Learner) -> Iterator[None]:
    """Put back weights, buffers, optimiser and random states, whatever happens inside."""
    weights = {name: value.clone() for name, value in learn.model.state_dict().items()}
    opt, opt_state = learn.opt, copy.deepcopy(learn.opt.state_dict()) if learn.opt else None
    rng, order = get_random_states(), learn.dls.train.rng.getstate()
    try:
        yield
    finally:
        learn.model.load_state_dict(weights)
        if opt is not None:
            opt.clear_state()
            opt.load_state_dict(opt_state)
        set_random_states(**rng)
        learn.dls.train.rng.setstate(order)
