"""Figures that are read and said: accuracy with its interval, uneven classes, times."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Accuracy:
    """Correct answers out of n, with a 95 % Wilson interval.

    The interval says how far the figure may be off because n is small. It knows nothing of a
    lucky seed, or of a model picked because it did best on these very pictures.

    Attributes:
        correct: Correct answers, in [0, n].
        n: Answers counted, at least 1.

    Raises:
        ValueError: `n` is below 1, or `correct` is not in [0, n].

    Source: Wilson (1927), as `scipy.stats.binomtest(...).proportion_ci(method="wilson")`.

    >>> print(Accuracy(145, 153))
    94.8% (90.0-97.3, n=153)
    """

    correct: int
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.n or self.n < 1:
            raise ValueError(f"expected 0 <= correct <= n and n >= 1, got {self.correct}, {self.n}")

    @property
    def value(self) -> float:
        """The accuracy, a fraction."""
        return self.correct / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval: two fractions, low and high."""
        from scipy.stats import binomtest  # slow to load, and the command line reads this file

        low, high = binomtest(self.correct, self.n).proportion_ci(method="wilson")
        return float(low), float(high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.1%} ({100 * low:.1f}-{100 * high:.1f}, n={self.n:,})"


UNITS = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600}


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


UNEVEN = 5  # times that the largest class is larger than the smallest, where accuracy misleads


def imbalance(counts: Mapping[Any, int]) -> float:
    """Return how many times the smallest class the largest is; 1 where there is none."""
    return max(counts.values()) / max(min(counts.values()), 1) if counts else 1.0


def is_uneven(dls: Any) -> bool:
    """Say whether `DataLoaders` of our doors train on classes of uneven sizes; False of others.

    Accuracy then says little of the small classes: macro-F1 is shown beside it.
    """
    import pandas as pd  # slow to load, and the command line reads this file

    split = getattr(dls, "split", None)
    if not isinstance(split, pd.DataFrame):
        return False
    return imbalance(Counter(split["label"][~split["valid"]])) > UNEVEN
