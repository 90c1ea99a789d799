"""How a run trains, checked before anything is read."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, SupportsFloat

from quickvision.training.records import check_log
from quickvision.training.trials import to_seconds
from quickvision.training.schedules import check_schedule
from quickvision.training.fit import check_patience

MAX_SEED = 2**63 - 1  # of torch
Rate = float | slice | str


@dataclass(frozen=True)
class RunConfig:
    """How a run trains: the options of `quickvision.train`, which explains them.

    Raises:
        TypeError: Options that do not go together.
        ValueError: One of them is out of range.
    """

    frozen_epochs: int = 4
    unfrozen_epochs: int = 2
    lr: Rate = "find"
    lr_unfrozen: Rate | None = None
    schedule: str = "one_cycle"
    gradual: bool = False
    patience: int | None = None
    mixup: float = 0.0
    cutmix: float = 0.0
    tta: int = 0
    budget: str | float | None = None
    cache_features: bool = True
    views: int = 0
    log: str | None = None
    deterministic: bool = False
    seed: int = 42

    def __post_init__(self) -> None:
        for name in ("gradual", "cache_features", "deterministic"):
            flag = getattr(self, name)
            if not isinstance(flag, bool):
                raise ValueError(f"{name}: expected True or False, got {flag!r}")
        whole = {"frozen_epochs": self.frozen_epochs, "unfrozen_epochs": self.unfrozen_epochs}
        more = {"views": self.views, "tta": self.tta, "seed": self.seed}
        for name, value in {**whole, **more}.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"{name}: expected a whole number from 0, got {value!r}")
        if not any(whole.values()):
            raise ValueError("expected epochs to train, got 0 frozen and 0 unfrozen ones")
        if self.seed > MAX_SEED:
            raise ValueError(f"seed: expected at most {MAX_SEED:,}, got {self.seed:,}")
        for name, rate in (("lr", self.lr), ("lr_unfrozen", self.lr_unfrozen)):
            if isinstance(rate, SupportsFloat):  # what find_lr found is a number too
                with suppress(TypeError):  # but an array is none
                    object.__setattr__(self, name, rate := float(rate))
            good = _is_rate(rate) or (rate is None and name == "lr_unfrozen")
            if isinstance(rate, str):
                good = rate == "find"
            if isinstance(rate, slice):
                good = _is_rate(rate.stop) and (rate.start is None or _is_rate(rate.start))
            if not good:
                raise ValueError(
                    f"{name}: expected 'find', a rate such as 1e-3 or a slice of two, got {rate!r}"
                )
        for name, alpha in (("mixup", self.mixup), ("cutmix", self.cutmix)):
            if not isinstance(alpha, int | float) or not (alpha == 0 or 1e-3 <= alpha <= 1e3):
                raise ValueError(f"{name}: expected a strength such as 0.4, or 0, got {alpha!r}")
        if self.mixup and self.cutmix:
            raise TypeError("mixup and cutmix: expected one of them, got both")
        if self.gradual and not self.unfrozen_epochs:
            raise TypeError("gradual: goes with unfrozen epochs, got none")
        if self.views and not self.cache_features:
            raise TypeError("views: goes with cached features, and cache_features=False is given")
        check_schedule(self.schedule)
        check_patience(self.patience)
        check_log(self.log)
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


def _is_rate(rate: Any) -> bool:
    return isinstance(rate, int | float) and 0 < rate < math.inf
