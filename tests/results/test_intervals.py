from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quickvision.base.figures import Accuracy
from quickvision.results.intervals import wilson

counts = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(st.lists(counts, min_size=1, max_size=20))
def test_they_are_those_of_each_share_alone(pairs):
    correct, n = (np.array(part) for part in zip(*pairs, strict=True))
    ends = np.array([Accuracy(*pair).interval for pair in pairs])
    np.testing.assert_allclose(np.stack(wilson(correct, n), axis=1), ends, atol=1e-12)


def test_of_nothing_there_is_none():
    low, high = wilson(np.array([0, 3, 0]), np.array([0, 3, 3]))
    assert np.isnan([low[0], high[0]]).all()
    assert high[1] == 1
    assert low[2] == 0
