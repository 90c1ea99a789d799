"""What every door takes, checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from quickvision.base.choices import (
    AUGMENTS,
    BALANCES,
    INTERPOLATIONS,
    RESIZES,
    check_fields,
    fraction,
    option,
)
from quickvision.base.errors import did_you_mean

Size = int | tuple[int, int]
MOST = 16_384  # pixels of a side
OTHER_WORDS = {"pattern": "; did you mean 'pat', of load_data and train?"}
HELD_OUT = 0.2  # fraction of each class, where nothing says who is held out


@dataclass(frozen=True)
class Options:
    """The options of all doors, with their defaults; see `quickvision.from_folder`."""

    valid: Any = option(None, "What to hold out: 0.2, a folder, or a split.csv.")
    groups: Any = option(None, r"Keep together: a pattern as '^(\d+)_', or a column.")
    class_names: str | Path | Sequence[str] | Mapping[Any, str] | None = option(
        None, "CSV file with names for classes that are numbers."
    )
    fixes: Any = option(None, "The fixes.csv that you saved from a report.")
    size: Size = option(224, "Pixels of a side.", low=2)
    resize: str = option("crop", "How pictures are brought to that size.", words=RESIZES)
    interpolation: str = option("bilinear", words=INTERPOLATIONS)
    crop_pct: float = 1.0
    bs: int | None = option(None, "Pictures in a batch.", low=2)
    seed: int = option(42, "Seed of split, head and augmentation.", low=0, high=2**63 - 1)
    item_tfms: Any = None
    batch_tfms: Any = None
    augment: str = option("default", "How pictures are changed in training.", words=AUGMENTS)
    flip: bool = option(True, "Mirror half of the training pictures.")
    vocab: Sequence[str] | None = None
    levels: tuple[float, float] | str | None = None
    balance: str | None = option(
        None, "Uneven classes: weight the loss or repeat pictures.", words=BALANCES
    )
    check: bool = option(True, "Read every file first.")
    max_bad: float = option(0.05, "Fraction of bad files that is allowed.", low=0, high=1)
    cache: bool | str | Path = option("auto", "Keep resized copies on disk.")
    num_workers: int | None = option(None, "Processes that read pictures.", low=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", _whole(self.size))
        check_fields(self)
        if isinstance(self.valid, Real):
            held_out = float(self.valid)
            object.__setattr__(self, "valid", held_out)
            if not 0 < held_out < 1:
                raise ValueError(f"valid: expected a fraction such as 0.2 (20 %), got {held_out:g}")
        elif not (
            self.valid is None
            or callable(self.valid)
            or isinstance(self.valid, str | Path | Iterable)
        ):
            raise TypeError(
                "valid: expected a fraction, a folder, a column, files, a function or a split.csv,"
                f" got {self.valid!r}"
            )
        sides = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        if len(sides) != 2 or not all(isinstance(s, int) and 1 < s <= MOST for s in sides):
            raise ValueError(
                f"size: expected 2 to {MOST:,} pixels, as 224 or (224, 320), got {self.size!r}"
            )
        if self.resize != "crop" and self.item_tfms is not None:
            raise ValueError("resize: goes with the item_tfms of our own, and item_tfms= is given")
        changed = {"augment": self.augment != "default", "flip": not self.flip}
        for name in (name for name, other in changed.items() if other):
            if self.batch_tfms is not None:
                raise ValueError(
                    f"{name}: goes with the batch_tfms of our own, and batch_tfms= is given"
                )
        fraction("crop_pct", self.crop_pct, 0.875, zero=False, one=True)
        fraction("max_bad", self.max_bad, 0.05, zero=True, one=True)
        folder = isinstance(self.cache, str) and self.cache.strip()
        if not (isinstance(self.cache, bool | Path) or folder):
            raise ValueError(f"cache: expected 'auto', True, False or a folder, got {self.cache!r}")
        for name, given in (("item_tfms", self.item_tfms), ("batch_tfms", self.batch_tfms)):
            several = given if isinstance(given, list | tuple) else [given]
            if given is not None and not all(map(callable, several)):
                raise TypeError(f"{name}: expected fastai transforms, in a list, got {given!r}")
        levels = self.levels
        if not (levels is None or levels == "file"):
            pair = isinstance(levels, list | tuple) and len(levels) == 2
            if not pair or not all(isinstance(v, Real) for v in levels) or levels[0] >= levels[1]:  # type: ignore[operator]
                raise ValueError(
                    "levels: expected the values that are black and white, as (0, 4095), 'file'"
                    f" or None, got {levels!r}"
                )
            object.__setattr__(self, "levels", (float(levels[0]), float(levels[1])))
        vocab = self.vocab
        if vocab is not None:
            if isinstance(vocab, str) or not all(isinstance(label, str) for label in vocab):
                raise TypeError(f"vocab: expected the names of the classes, got {vocab!r}")
            object.__setattr__(self, "vocab", list(vocab))
        named, kinds = self.class_names, (str, Path, Sequence, Mapping)
        series = hasattr(named, "to_dict") and not hasattr(named, "columns")  # pandas loads slowly
        if not (named is None or isinstance(named, kinds) or series):
            raise TypeError(f"class_names: expected a file, a list or a dict, got {named!r}")
        _check_fixes(self.fixes)

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
        hint = did_you_mean(unknown[0], known) or OTHER_WORDS.get(unknown[0], "")
        raise TypeError(f"{unknown[0]}: no such option{hint or f'; there are {known}'}")
    return Options(**options)


def too_many(bad: int, total: int, max_bad: float) -> bool:
    """Say whether so many bad files stop training; a single one does so only where none may be."""
    return bad > max(max_bad * total, 1 if max_bad else 0)


def _check_fixes(given: Any) -> None:
    table = hasattr(given, "iloc") and hasattr(given, "columns")  # pandas loads slowly
    if not (given is None or table or isinstance(given, str | Path | Mapping)):
        raise TypeError(
            "fixes: expected a fixes.csv, a DataFrame with the columns path, action and label, or a"
            f" dict from path to class, got {given!r:.60}"
        )


def _whole(value: Any) -> Any:
    if isinstance(value, Integral) and not isinstance(value, bool):  # numpy's are whole, too
        return int(value)
    if isinstance(value, list | tuple):
        return tuple(_whole(side) for side in value)
    return value
