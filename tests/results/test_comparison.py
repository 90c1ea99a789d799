from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from quickvision.results.comparison import mcnemar


def pairs(both, one, other, neither):
    a = np.repeat([True, True, False, False], [both, one, other, neither])
    b = np.repeat([True, False, True, False], [both, one, other, neither])
    return a, b


@pytest.mark.parametrize(("one", "other"), [(5, 5), (9, 2), (2, 9), (30, 12), (1, 0)])
def test_it_is_the_exact_two_sided_coin_toss_of_the_discordant_pictures(one, other):
    expected = min(1.0, 2 * binom.cdf(min(one, other), one + other, 0.5))
    assert mcnemar(*pairs(40, one, other, 3)) == pytest.approx(expected)


def test_pictures_that_both_get_right_or_wrong_say_nothing():
    assert mcnemar(*pairs(1000, 7, 1, 500)) == mcnemar(*pairs(0, 7, 1, 0))
    assert mcnemar(*pairs(10, 0, 0, 3)) == 1.0


def test_different_pictures_are_refused():
    with pytest.raises(ValueError, match="expected the same pictures"):
        mcnemar(np.zeros(3, dtype=bool), np.zeros(4, dtype=bool))
