"""What every door takes, checked before anything is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Size = int | tuple[int, int]


@dataclass(frozen=True)
class Options:
    """The options of all doors, with their defaults; see `quickvision.from_folder`."""

    valid: Any = 0.2
    groups: Any = None
    class_names: str | Path | Sequence[str] | Mapping[Any, str] | None = None
    size: Size = 224
    resize: str = "crop"
    bs: int = 64
    seed: int = 42
    item_tfms: Any = None
    batch_tfms: Any = None
    balance: str | None = None
    check: bool = True
    max_bad: float = 0.05
    cache: bool | str | Path = False
    num_workers: int | None = None

    def __post_init__(self) -> None:
        number = isinstance(self.valid, int | float)
        if (number and not 0 < self.valid < 1) or isinstance(self.valid, bool):
            raise ValueError(f"valid: expected a fraction such as 0.2 (20 %), got {self.valid}")
        sides = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        if len(sides) != 2 or not all(isinstance(s, int) and s > 0 for s in sides):
            raise ValueError(f"size: expected pixels, as 224 or (224, 320), got {self.size!r}")
        if not isinstance(self.bs, int) or self.bs < 2:
            raise ValueError(f"bs: expected at least 2 (batch norm needs two), got {self.bs!r}")
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed: expected a whole number from 0, got {self.seed!r}")
        if self.num_workers is not None and self.num_workers < 0:
            raise ValueError(f"num_workers: expected 0 or more, got {self.num_workers}")
        if self.resize not in ("crop", "squish", "pad"):
            raise ValueError(f"resize: expected 'crop', 'squish' or 'pad', got {self.resize!r}")
        if self.resize != "crop" and self.item_tfms is not None:
            raise ValueError("resize: goes with the item_tfms of our own, and item_tfms= is given")
        if self.balance not in (None, "weights", "oversample"):
            got = repr(self.balance)
            raise ValueError(f"balance: expected None, 'weights' or 'oversample', got {got}")
        if not 0 <= self.max_bad <= 1:
            raise ValueError(f"max_bad: expected a fraction such as 0.05, got {self.max_bad!r}")
