from __future__ import annotations

import numpy as np
import pytest

from quickvision.training.evidence import MUCH, TOP, rates_for


def test_the_more_is_left_open_the_further_the_body_may_move():
    tops = [rates_for(open_).stop for open_ in np.linspace(0, 1, 21)]
    assert tops == sorted(tops)
    assert tops[-1] == TOP
    assert tops[0] > 0


@pytest.mark.parametrize("left_open", [0.0, 0.2, MUCH, 0.9])
def test_the_first_layers_get_a_tenth(left_open):
    rates = rates_for(left_open)
    assert rates.start == pytest.approx(rates.stop / 10)


def test_half_of_what_is_much_gives_a_quarter_of_the_rate():
    assert rates_for(MUCH / 2).stop == pytest.approx(TOP / 4)


def test_each_stage_that_was_undone_leaves_a_third():
    assert [rates_for(1.0, undone).stop * 3**undone for undone in (0, 1, 2)] == pytest.approx(
        [TOP] * 3
    )
