"""Whether two models differ, seen from the pictures that only one of them gets right."""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """Test whether two models are equally often right, on the same pictures.

    Args:
        one: Whether the one is right, bool [n].
        other: Whether the other is right, bool [n], in the same order.

    Returns:
        The p-value, two-sided: how often equally good models would differ by as much. 1 where no
        picture tells them apart.

    Raises:
        ValueError: They are not about the same number of pictures.

    Source: McNemar (1947), in its exact form: the pictures that only one of them gets right are
    coin tosses where both are equally good.

    >>> mcnemar(np.array([True] * 8 + [False] * 2), np.array([False] * 8 + [False] * 2))
    0.0078125
    """
    one, other = np.asarray(one, dtype=bool), np.asarray(other, dtype=bool)
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"expected the same pictures, got {one.shape} and {other.shape}")
    only_one, only_other = int((one & ~other).sum()), int((~one & other).sum())
    if not only_one + only_other:
        return 1.0
    return float(binomtest(only_one, only_one + only_other).pvalue)
