"""What every door takes, checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from quickvision.base.errors import did_you_mean

Size = int | tuple[int, int]
MOST = 16_384  # pixels of a side
INTERPOLATIONS = ("bilinear", "bicubic", "lanczos", "nearest")


@dataclass(frozen=True)
class Options:
    """The options of all doors, with their defaults; see `quickvision.from_folder`."""

    valid: Any = 0.2
    groups: Any = None
    class_names: str | Path | Sequence[str] | Mapping[Any, str] | None = None
    size: Size = 224
    resize: str = "crop"
    interpolation: str = "bilinear"
    crop_pct: float = 1.0
    bs: int = 64
    seed: int = 42
    item_tfms: Any = None
    batch_tfms: Any = None
    balance: str | None = None
    check: bool = True
    max_bad: float = 0.05
    cache: bool | str | Path = "auto"
    num_workers: int | None = None

    def __post_init__(self) -> None:
        numbers = {"size": self.size, "bs": self.bs, "seed": self.seed}
        for name, value in numbers.items():  # numpy's whole numbers are whole numbers
            object.__setattr__(self, name, _whole(value))
        if isinstance(self.valid, Real):
            fraction = float(self.valid)
            object.__setattr__(self, "valid", fraction)
            if not 0 < fraction < 1:
                raise ValueError(f"valid: expected a fraction such as 0.2 (20 %), got {fraction:g}")
        elif not (callable(self.valid) or isinstance(self.valid, str | Path | Iterable)):
            raise TypeError(
                "valid: expected a fraction, a folder, a column, files, a function or a split.csv,"
                f" got {self.valid!r}"
            )
        sides = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        if len(sides) != 2 or not all(isinstance(s, int) and 1 < s <= MOST for s in sides):
            raise ValueError(
                f"size: expected 2 to {MOST:,} pixels, as 224 or (224, 320), got {self.size!r}"
            )
        if not isinstance(self.bs, int) or self.bs < 2:
            raise ValueError(f"bs: expected at least 2 (batch norm needs two), got {self.bs!r}")
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**63:
            raise ValueError(f"seed: expected a whole number from 0, got {self.seed!r}")
        workers = self.num_workers
        if workers is not None and not (isinstance(workers, int) and workers >= 0):
            raise ValueError(f"num_workers: expected a whole number, 0 or more, got {workers!r}")
        if not is_among(self.resize, ("crop", "squish", "pad")):
            raise ValueError(f"resize: expected 'crop', 'squish' or 'pad', got {self.resize!r}")
        if self.resize != "crop" and self.item_tfms is not None:
            raise ValueError("resize: goes with the item_tfms of our own, and item_tfms= is given")
        if not is_among(self.interpolation, INTERPOLATIONS):
            near = did_you_mean(str(self.interpolation), INTERPOLATIONS)
            known = ", ".join(map(repr, INTERPOLATIONS))
            raise ValueError(f"interpolation: expected {known}, got {self.interpolation!r}{near}")
        if not isinstance(self.crop_pct, Real) or not 0 < self.crop_pct <= 1:
            raise ValueError(f"crop_pct: expected a fraction such as 0.875, got {self.crop_pct!r}")
        if self.balance is not None and not is_among(self.balance, ("weights", "oversample")):
            got = repr(self.balance)
            raise ValueError(f"balance: expected None, 'weights' or 'oversample', got {got}")
        if not isinstance(self.max_bad, int | float) or not 0 <= self.max_bad <= 1:
            raise ValueError(f"max_bad: expected a fraction such as 0.05, got {self.max_bad!r}")
        if not isinstance(self.check, bool):
            raise ValueError(f"check: expected True or False, got {self.check!r}")
        named = isinstance(self.cache, str) and self.cache.strip()
        if not (isinstance(self.cache, bool | Path) or named):
            raise ValueError(f"cache: expected 'auto', True, False or a folder, got {self.cache!r}")

        for name, given in (("item_tfms", self.item_tfms), ("batch_tfms", self.batch_tfms)):
            several = given if isinstance(given, list | tuple) else [given]
            if given is not None and not all(map(callable, several)):
                raise TypeError(f"{name}: expected fastai transforms, in a list, got {given!r}")
        kinds = (str, Path, Sequence, Mapping)
        if self.class_names is not None and not isinstance(self.class_names, kinds):
            got = repr(self.class_names)
            raise TypeError(f"class_names: expected a file, a list or a dict, got {got}")

    @property
    def side(self) -> int:
        """The longer side of the training pictures, in pixels."""
        return max(self.size) if isinstance(self.size, tuple) else self.size


def ask(options: Mapping[str, Any]) -> Options:
    """Read a door's options.

    Raises:
        TypeError: One of them is unknown.
        ValueError: One of them is out of range.
    """
    known = [field.name for field in fields(Options)]
    if unknown := [name for name in options if name not in known]:
        hint = did_you_mean(unknown[0], known)
        raise TypeError(f"{unknown[0]}: no such option{hint or f'; there are {known}'}")
    return Options(**options)


def is_among(value: Any, choices: Iterable[str]) -> bool:
    """Say whether it is one of these words; anything else (an array, a table) is none."""
    return isinstance(value, str) and value in choices


def too_many(bad: int, total: int, max_bad: float) -> bool:
    """Say whether so many bad files stop training; a single one does so only where none may be."""
    return bad > max(max_bad * total, 1 if max_bad else 0)


def _whole(value: Any) -> Any:
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, list | tuple):
        return tuple(_whole(side) for side in value)
    return value
