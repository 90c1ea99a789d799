"""A share of correct answers that always carries its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import binomtest


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
        low, high = binomtest(self.correct, self.n).proportion_ci(method="wilson")
        return float(low), float(high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.1%} ({100 * low:.1f}-{100 * high:.1f}, n={self.n:,})"
