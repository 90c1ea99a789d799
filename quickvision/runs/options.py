"""How a run trains: the options of `quickvision.train`, checked before anything is read."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, SupportsFloat

from quickvision.base.choices import LOGS, SCHEDULES, check_fields, option
from quickvision.base.errors import RunError
from quickvision.base.figures import to_seconds

MAX_SEED = 2**63 - 1  # of torch
Rate = float | slice | str


@dataclass(frozen=True)
class RunConfig:
    """How a run trains: the options of `quickvision.train`, which explains them.

    Each is declared here and nowhere else: `train`'s signature, `config.json` and the command line
    are made of these fields.

    Raises:
        RunError: The logger is not installed.
        TypeError: Options that do not go together.
        ValueError: One of them is out of range.
    """

    frozen_epochs: int = option(4, "Epochs of the head alone.", low=0)
    unfrozen_epochs: int = option(2, "Epochs of all layers.", low=0)
    lr: Rate = option("find", "'find', or the rate of the frozen stage.")
    lr_unfrozen: Rate | None = None
    schedule: str = option("one_cycle", "How the learning rate moves.", words=SCHEDULES)
    gradual: bool = option(False, "Unfreeze the layer groups one after the other.")
    patience: int | None = option(None, "Stop after so many epochs without progress, as 3.", low=1)
    mixup: float = option(0.0, "Blend two pictures, for example 0.4.", low=0)
    cutmix: float = option(0.0, "Paste in a piece of another, for example 1.0.", low=0)
    tta: int = option(0, "Average predictions over N augmented copies.", low=0)
    budget: str | float | None = option(None, "Time to aim at, as 10min: picks the epochs.")
    cache_features: bool = option(True, "Compute features once to train the head.")
    views: int = option(0, "Extra augmented passes to cache features from.", low=0)
    log: str | None = option(
        None,
        "Logger beside log.csv.",
        words=LOGS,
        hint="; for others there are fastai's callbacks and cbs=",
    )
    plots: bool = option(True, "Draw plots into the run's folder.")
    report: bool = option(True, "Write report.html, the page to read.")
    deterministic: bool = option(False, "The same bits each time on a GPU; slower.")
    seed: int = option(42, "Seed of split, head and augmentation.", low=0, high=MAX_SEED)

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.frozen_epochs + self.unfrozen_epochs:
            raise ValueError("expected epochs to train, got 0 frozen and 0 unfrozen ones")
        for name in ("lr", "lr_unfrozen"):
            rate = getattr(self, name)
            if isinstance(rate, SupportsFloat):  # what find_lr found is a number too
                with suppress(TypeError):  # but an array is none
                    object.__setattr__(self, name, rate := float(rate))
            if not (_is_good(rate) or (rate is None and name == "lr_unfrozen")):
                raise ValueError(
                    f"{name}: expected 'find', a rate such as 1e-3 or a slice of two, got {rate!r}"
                )
        for name in ("mixup", "cutmix"):
            alpha = getattr(self, name)
            if not isinstance(alpha, int | float) or not (alpha == 0 or 1e-3 <= alpha <= 1e3):
                raise ValueError(f"{name}: expected a strength such as 0.4, or 0, got {alpha!r}")
        if self.mixup and self.cutmix:
            raise TypeError("expected mixup or cutmix, got both")
        if self.gradual and not self.unfrozen_epochs:
            raise TypeError("gradual: goes with unfrozen epochs, got none")
        if self.views and not self.cache_features:
            raise TypeError("views: goes with cached features, got cache_features=False")
        if self.log is not None:
            found = find_spec(self.log)
            if found is None or found.origin is None:  # a folder of this name is no package
                raise RunError(
                    f"log: expected {self.log} to be installed, got nothing: pip install {self.log}"
                )
        if self.budget is not None:
            to_seconds(self.budget)

    @property
    def second_lr(self) -> Rate:
        """Rate of the unfrozen stage: as given, or as `lr` is, or half of it."""
        if self.lr_unfrozen is not None:
            return self.lr_unfrozen
        return self.lr if isinstance(self.lr, str | slice) else self.lr / 2

    def from_scratch(self) -> RunConfig:
        """Turn it into what is done without weights: all epochs with all layers, at one rate."""
        epochs = self.frozen_epochs + self.unfrozen_epochs
        lr = self.lr if self.lr_unfrozen is None else self.lr_unfrozen
        return replace(self, frozen_epochs=0, unfrozen_epochs=epochs, lr_unfrozen=lr)


def _is_good(rate: Any) -> bool:
    """Say whether it is a rate, rates, or the wish to search for one."""
    if isinstance(rate, str):
        return rate == "find"
    if isinstance(rate, slice):
        return _is_rate(rate.stop) and (rate.start is None or _is_rate(rate.start))
    return _is_rate(rate)


def _is_rate(rate: Any) -> bool:
    return isinstance(rate, int | float) and 0 < rate < math.inf
