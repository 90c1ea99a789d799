"""What an option may be, said once: the signature, the check and the command line read it here.

Loads no torch, so that the command line answers at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, fields
from numbers import Integral, Real
from typing import Any

from quickvision.base.errors import did_you_mean

AUGMENTS = ("none", "light", "default")
BALANCES = ("weights", "oversample")
BATCH_NORMS = ("keep", "adapt", "train")
HEADS = ("native", "linear", "fastai")
INTERPOLATIONS = ("bilinear", "bicubic", "lanczos", "nearest")
LOGS = ("tensorboard", "wandb")
OPTS = (
    "adamw", "adam", "sgd", "rmsprop", "radam", "qhadam", "larc", "lamb", "ranger", "adadelta",
    "adagrad",
)  # fmt: skip
PRECISIONS = ("auto", "float32", "bf16", "fp16")
RESIZES = ("crop", "squish", "pad")
SCHEDULES = ("one_cycle", "flat_cos", "cosine", "step", "plateau", "constant")


def option(
    default: Any,
    help: str = "",
    *,
    words: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    hint: str = "",
) -> Any:
    """Declare an option, as a field of a frozen dataclass.

    Without a `help` text it is no option of the command line. It may be one of these `words`, or a
    number from `low` to `high`; `hint` is said of a word that is none of them, nor near to one.
    """
    said = {"help": help, "words": words, "low": low, "high": high, "hint": hint}
    return field(default=default, metadata=said)


def check_fields(options: Any) -> None:
    """Check a dataclass's flags, words and whole numbers, as they are declared.

    Whole numbers of numpy become Python's. None is let pass where it is the default, and so is what
    may be an object instead of a word (its type is `Any`).

    Raises:
        ValueError: One of them is something else, or out of range.
    """
    for one in fields(options):
        name, value, said = one.name, getattr(options, one.name), one.metadata
        if value is None and one.default is None:
            continue
        if one.type == "bool":
            flag(name, value)
        elif str(one.type).startswith("str") and said.get("words"):
            none = one.default is None
            one_of(name, value, said["words"], or_none=none, hint=said["hint"])
        elif str(one.type).startswith("int") and said:
            number = whole(name, value, said["low"], high=said["high"])
            object.__setattr__(options, name, number)


def flag(name: str, value: Any) -> bool:
    """Return True or False; a ValueError is raised where it is neither."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}: expected True or False, got {value!r}")
    return value


def whole(name: str, value: Any, low: int = 0, *, high: int | None = None) -> int:
    """Return a whole number, Python's own or numpy's, as Python's.

    Raises:
        ValueError: It is none, or below `low` or above `high`.
    """
    number = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None
    if number is None or number < low:
        raise ValueError(f"{name}: expected a whole number from {low}, got {value!r}")
    if high is not None and number > high:
        raise ValueError(f"{name}: expected at most {high:,}, got {number:,}")
    return number


def fraction(name: str, value: Any, example: float, *, zero: bool, one: bool) -> float:
    """Return a fraction from 0 to 1, the ends with it where `zero` and `one` say so.

    Raises:
        ValueError: It is none.
    """
    share = float(value) if isinstance(value, Real) and not isinstance(value, bool) else -1.0
    if not 0 <= share <= 1 or (share == 0 and not zero) or (share == 1 and not one):
        ends = f"{'from' if zero else 'above'} 0 {'to' if one else 'to below'} 1"
        raise ValueError(f"{name}: expected a fraction such as {example}, {ends}, got {value!r}")
    return share


def is_among(value: Any, words: Iterable[str]) -> bool:
    """Say whether it is one of these words; anything else (an array, a table) is none."""
    return isinstance(value, str) and value in words


def one_of(
    name: str, value: Any, words: Iterable[str], *, or_none: bool = False, hint: str = ""
) -> str:
    """Return the word, where it is one of these; else a ValueError names near ones, or the hint.

    With `or_none` None may be, too: it is the caller who lets it pass.

    >>> one_of("resize", "crp", ("crop", "squish", "pad"))
    Traceback (most recent call last):
    ValueError: resize: expected 'crop', 'squish' or 'pad', got 'crp'; did you mean 'crop'?
    """
    if not is_among(value, words):
        *rest, last = [*(["None"] if or_none else []), *map(repr, words)]
        near = did_you_mean(value, words) if isinstance(value, str) else ""
        raise ValueError(
            f"{name}: expected {', '.join(rest)} or {last}, got {value!r}{near or hint}"
        )
    return value
