"""How long a training will take: a few pictures timed, the rest multiplied."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from fastai.learner import Learner
from fastai.torch_core import no_random, to_device

from quickvision.models.compute import autocast, device_of, half_precision
from quickvision.training.lr_find import count_batches
from quickvision.training.targets import check_targets

PROBE = 8  # pictures that are timed
HEAD_STEP = 2e-3  # seconds that a step of a head on cached features takes, on two cores
REPORT = 3.0  # seconds that tables and plots take
MOST = 10  # unfrozen epochs that a budget is spent on at most
UNITS = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Pace:
    """Seconds that a picture takes.

    Attributes:
        load: Reading it, with the transforms of validation.
        augment: What the transforms of training add.
        forward: One pass through the model.
        step: Forward and backward, all layers training; the optimiser is too little to count.
    """

    load: float
    augment: float
    forward: float
    step: float


@dataclass(frozen=True)
class Plan:
    """What a training is going to do, and how long each part takes at a pace.

    Attributes:
        pace: Seconds a picture.
        n_train: Pictures in an epoch.
        n_valid: Pictures that are validated after each.
        bs: Pictures in a step.
        cached: The frozen stage trains on cached features.
        views: Augmented feature passes beside the plain one.
        looks: Passes over the validation pictures at the end.
        searched: Steps of the rate finders: of the frozen stage, and of the unfrozen one.
        why: Why no pace could be measured; empty where it was.
    """

    pace: Pace
    n_train: int
    n_valid: int
    bs: int
    cached: bool
    views: int = 0
    looks: int = 1
    searched: tuple[int, int] = (0, 0)
    why: str = ""

    @property
    def look(self) -> float:
        """Seconds of one pass over the validation pictures."""
        return self.n_valid * (self.pace.load + self.pace.forward)

    @property
    def unfrozen_epoch(self) -> float:
        """Seconds of an epoch with all layers training."""
        return self.n_train * (self.pace.load + self.pace.augment + self.pace.step) + self.look

    def frozen(self, epochs: int) -> float:
        """Seconds of the frozen stage, its rate finder with it."""
        if not epochs:
            return 0.0
        p, search = self.pace, self.searched[0]
        steps = epochs * self.n_train / self.bs + search
        if self.cached:
            passes = self.n_train * (1 + self.views) * (p.load + p.forward) + self.look
            return passes + self.n_train * self.views * p.augment + HEAD_STEP * steps
        return steps * self.bs * (p.load + p.augment + p.forward) + epochs * self.look

    def unfrozen(self, epochs: int) -> float:
        """Seconds of the unfrozen stage, its rate finder with it."""
        if not epochs:
            return 0.0
        search = self.searched[1] * self.bs * (self.unfrozen_epoch - self.look) / self.n_train
        return search + epochs * self.unfrozen_epoch

    def total(self, frozen_epochs: int, unfrozen_epochs: int) -> float:
        """Seconds of everything, the report with it."""
        seen = self.looks * self.look
        return self.frozen(frozen_epochs) + self.unfrozen(unfrozen_epochs) + seen + REPORT

    def fit(self, budget: float, frozen_epochs: int) -> tuple[int, int]:
        """Pick the epochs that fit: frozen ones first, then unfrozen ones, ten at most.

        On cached features a frozen epoch costs next to nothing, and none is taken away.

        Args:
            budget: Seconds.
            frozen_epochs: Frozen epochs that are wanted; 0 where there is nothing to freeze.

        Returns:
            Frozen and unfrozen epochs, one of either at least.
        """
        while not self.cached and frozen_epochs > 1 and self.total(frozen_epochs, 0) > budget:
            frozen_epochs -= 1
        unfrozen = self.left_over(budget - self.frozen(frozen_epochs))
        return frozen_epochs, unfrozen if frozen_epochs else max(unfrozen, 1)

    def left_over(self, budget: float) -> int:
        """Pick the unfrozen epochs, ten at most, that fit with the report into these seconds."""
        fitting = [n for n in range(1, MOST + 1) if self.total(0, n) <= budget]
        return max(fitting, default=0)


def measure_pace(learn: Learner) -> Pace:
    """Time a few training pictures through loader and model; the learner is left as it was.

    Raises:
        DataError: The training loader has no batch.
    """
    count_batches(learn)
    dl, device = learn.dls.train, device_of(learn)
    n = min(PROBE if device.type == "cpu" else min(4 * PROBE, dl.bs), len(dl.dataset))
    if hasattr(learn.loss_func, "to"):
        learn.loss_func.to(device)  # as fastai does before it fits
    mode = learn.model.training
    grads = [p.requires_grad for p in learn.model.parameters()]
    split = dl.after_batch.split_idx
    with no_random(reproducible=False):
        try:
            spread = range(0, len(dl.dataset), max(1, len(dl.dataset) // n))[:n]
            items, load = _timed(lambda: [dl.do_item(i) for i in spread], device, warm=False)
            batch = to_device(dl.do_batch(items), device)
            plain, as_valid = _timed(lambda: _transformed(dl, batch, 1), device)
            _, as_train = _timed(lambda: _transformed(dl, batch, 0), device)
            inputs = getattr(learn.dls, "n_inp", 1)
            x, y = plain[:inputs], plain[inputs:]
            # In evaluation mode, so that no batch norm sees these pictures.
            learn.model.to(device).eval().requires_grad_(True)
            with torch.no_grad(), autocast(device, half_precision(learn)):
                _, forward = _timed(lambda: learn.model.forward(*x), device)
            _, step = _timed(lambda: _loss(learn, x, y).backward(), device)
        finally:
            dl.after_batch.split_idx = split
            learn.model.train(mode)
            for p, rg in zip(learn.model.parameters(), grads, strict=True):
                p.requires_grad_(rg)
                p.grad = None
    workers = max(1, dl.fake_l.num_workers)
    seconds = (load / workers + as_valid, as_train - as_valid, forward, step)
    return Pace(*(max(0.0, value) / n for value in seconds))


def _loss(learn: Learner, x: tuple[Any, ...], y: tuple[Any, ...]) -> torch.Tensor:
    with autocast(device_of(learn), half_precision(learn)):
        # forward: not what compile() made of it, which would compile for this batch alone
        pred = learn.model.forward(*x)
        if len(y) == 1:
            check_targets(pred, y[0])
        return learn.loss_func(pred, *y)


def _transformed(dl: Any, batch: Any, split: int) -> Any:
    dl.after_batch.split_idx = split
    out = dl.after_batch(tuple(part.clone() for part in batch))
    return tuple(part.as_subclass(torch.Tensor) for part in out)


def _timed(
    work: Callable[[], Any], device: torch.device, *, warm: bool = True
) -> tuple[Any, float]:
    for _ in range(1 + warm):
        start = time.perf_counter()
        out = work()
        if device.type != "cpu":
            torch.accelerator.synchronize()
    return out, time.perf_counter() - start


def to_seconds(budget: str | float) -> float:
    """Read a time such as "10min", "90s", "1.5h" or a number of seconds.

    Raises:
        ValueError: It is none of these, or not above 0.
    """
    text = str(budget).strip().lower()
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|sec|min|m|h)?", text)
    seconds = float(found[1]) * UNITS[found[2] or "s"] if found else 0.0
    if isinstance(budget, bool) or seconds <= 0:
        raise ValueError(f"budget: expected a time such as '10min' or seconds, got {budget!r}")
    return seconds


def spoken(seconds: float) -> str:
    """Say a time roughly: "50 s", "4 min", "1.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


@contextmanager
def clocked(timing: dict[str, float], stage: str) -> Iterator[None]:
    """Add the seconds that the block takes to a stage's."""
    start = time.perf_counter()
    yield
    timing[stage] = timing.get(stage, 0.0) + time.perf_counter() - start
