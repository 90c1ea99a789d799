"""Intervals of many shares at once."""

from __future__ import annotations

import numpy as np

Z = 1.959963984540054  # of a normal distribution, 95 % between it and minus it


def wilson(correct: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the 95 % Wilson intervals of shares, as `Accuracy.interval` does for one.

    Args:
        correct: Counts, int [c], each in [0, n].
        n: Counts that they are of, int [c].

    Returns:
        Low and high, two arrays of fractions, float64 [c]; nan where n is 0.

    Source: Wilson (1927), as `scipy.stats.binomtest(...).proportion_ci(method="wilson")`, which
    the tests compare with.
    """
    k, n = np.asarray(correct, dtype=float), np.asarray(n, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = k / n
        middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    low, high = middle - half, middle + half
    low[(k == 0) & (n > 0)], high[(k == n) & (n > 0)] = 0.0, 1.0
    return low, high
