from __future__ import annotations

import numpy as np
import pytest

from quickvision.training.evidence import FEW, MUCH, TOP, rates_for, said_of


def test_the_more_is_left_open_the_further_the_body_may_move():
    tops = [rates_for(open_, 500).stop for open_ in np.linspace(0, 1, 21)]
    assert tops == sorted(tops)
    assert tops[-1] == TOP
    assert tops[0] > 0


@pytest.mark.parametrize("left_open", [0.0, 0.2, MUCH, 0.9])
def test_the_first_layers_get_a_tenth(left_open):
    rates = rates_for(left_open, 500)
    assert rates.start == pytest.approx(rates.stop / 10)


def test_half_of_what_is_much_gives_a_quarter_of_the_rate():
    assert rates_for(MUCH / 2, 500).stop == pytest.approx(TOP / 4)


def test_each_stage_that_was_undone_leaves_a_third():
    assert [rates_for(1.0, 500, undone).stop * 3**undone for undone in (0, 1, 2)] == pytest.approx(
        [TOP] * 3
    )


def test_few_pictures_move_a_body_less():
    tops = [rates_for(1.0, n).stop for n in (6, 50, 100, FEW, 2 * FEW)]
    assert tops == pytest.approx([TOP * n / FEW for n in (6, 50, 100, FEW, FEW)])


def test_what_they_come_of_is_said():
    said = said_of(slice(1e-5, 1e-4), 0.25, 500)
    assert said.startswith("rates 1.0e-05 to 1.0e-04: ")
    assert said.endswith("with the body frozen the loss is 25% of that of guessing")
    assert said_of(slice(1e-5, 1e-4), 0.25, 60, 2).endswith(
        "only 60 pictures; a third for each stage before that was undone"
    )
