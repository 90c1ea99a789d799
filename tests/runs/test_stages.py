from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from quickvision.results.comparison import mcnemar
from quickvision.runs.checkpoints import Stage
from quickvision.runs.stages import said, stage_table

DONE = [
    Stage("frozen", 2, 3e-3, cached=True, solved=0.1),
    Stage("unfrozen", 1, slice(1e-5, 1e-4), solved=0.1),
]
HISTORY = pd.DataFrame(
    {
        "stage": ["frozen", "frozen", "unfrozen"],
        "epoch": [1, 2, 1],
        "accuracy": [0.5, 0.6, 0.8],
        "valid_loss": [0.9, 0.8, 0.5],
    }
)
TIMING = {"features": 4.0, "frozen rates": 1.0, "frozen": 2.0, "unfrozen": 9.0, "report": 3.0}
BEFORE = np.array([True] * 12 + [False] * 8)
AFTER = np.array([True] * 10 + [False] * 2 + [True] * 6 + [False] * 2)


def test_each_stage_has_what_it_brought():
    table = stage_table(DONE, HISTORY, TIMING, BEFORE, AFTER).set_index("stage")
    assert table["seconds"].tolist() == [7.0, 9.0]
    assert table["epochs"].tolist() == [2, 1]
    assert table["lr"].tolist() == [3e-3, 1e-4]
    assert table["accuracy"].tolist() == [0.6, 0.8]
    assert table.loc["unfrozen", "gained"] == pytest.approx(0.2)
    assert table.loc["unfrozen", "p_value"] == mcnemar(BEFORE, AFTER)
    assert np.isnan(table.loc["frozen", "gained"])


def test_a_stage_alone_has_nothing_to_be_compared_with():
    table = stage_table(DONE[:1], HISTORY[:2], TIMING, None, AFTER)
    assert table["accuracy"].tolist() == [0.6]
    assert said(table) == ""


def test_it_is_said_in_a_line():
    text = said(stage_table(DONE, HISTORY, TIMING, BEFORE, AFTER))
    assert text == (
        "frozen 60.0%, unfrozen 80.0%: +20.0 points (p = 0.29, McNemar, which may be chance)"
    )


def test_a_stage_that_lost_says_the_way_back():
    text = said(stage_table(DONE, HISTORY, TIMING, AFTER, BEFORE))
    assert "-20.0 points" in text
    assert "run.learn.load('stage-1')" in text


def test_a_difference_that_is_sure_is_no_chance():
    before, after = np.zeros(20, dtype=bool), np.ones(20, dtype=bool)
    text = said(stage_table(DONE, HISTORY, TIMING, before, after))
    assert "(p < 0.01, McNemar)" in text
