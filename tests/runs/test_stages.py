from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from quickvision.results.comparison import mcnemar
from quickvision.runs.progress import Stage
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
    table = stage_table(DONE, HISTORY, TIMING, {"frozen": BEFORE}, AFTER).set_index("stage")
    assert table["seconds"].tolist() == [7.0, 9.0]
    assert table["epochs"].tolist() == [2, 1]
    assert table["lr"].tolist() == [3e-3, 1e-4]
    assert table["accuracy"].tolist() == [0.6, 0.8]
    assert table.loc["unfrozen", "gained"] == pytest.approx(0.2)
    assert table.loc["unfrozen", "p_value"] == mcnemar(BEFORE, AFTER)
    assert np.isnan(table.loc["frozen", "gained"])


def test_a_stage_alone_has_nothing_to_be_compared_with():
    table = stage_table(DONE[:1], HISTORY[:2], TIMING, {}, AFTER)
    assert table["accuracy"].tolist() == [0.6]
    assert said(table) == ""


def test_further_stages_are_compared_with_the_one_before():
    done = [*DONE, Stage("unfrozen-2", 1, 1e-4), Stage("unfrozen-3", 1, 1e-4)]
    more = pd.DataFrame({"stage": ["unfrozen-2", "unfrozen-3"], "valid_loss": [0.4, 0.3]})
    more = pd.concat([HISTORY, more.assign(epoch=1, accuracy=0.7)])
    right = {"frozen": BEFORE, "unfrozen": AFTER, "unfrozen-2": ~AFTER}
    table = stage_table(done, more, TIMING, right, AFTER).set_index("stage")
    assert table["accuracy"].tolist() == [0.6, 0.8, pytest.approx(0.2), 0.8]
    assert table["gained"].tolist()[1:] == pytest.approx([0.2, -0.6, 0.6])
    assert table.loc["unfrozen-2", "p_value"] == mcnemar(AFTER, ~AFTER)
    assert table["epochs"].tolist() == [2, 1, 1, 1]
    end = stage_table(done[:3], more, TIMING, right, ~AFTER)
    assert said(end).startswith("unfrozen 80.0%, unfrozen-2 20.0%: -60.0 points")
    assert said(end).endswith("run.learn.load('stage-2') goes back to the unfrozen stage's end")


def test_it_is_said_in_a_line():
    text = said(stage_table(DONE, HISTORY, TIMING, {"frozen": BEFORE}, AFTER))
    assert text == (
        "frozen 60.0%, unfrozen 80.0%: +20.0 points (p = 0.29, McNemar, which may be chance)"
    )


def test_a_stage_that_lost_says_the_way_back():
    text = said(stage_table(DONE, HISTORY, TIMING, {"frozen": AFTER}, BEFORE))
    assert "-20.0 points" in text
    assert "run.learn.load('stage-1')" in text


def test_a_difference_that_is_sure_is_no_chance():
    before, after = np.zeros(20, dtype=bool), np.ones(20, dtype=bool)
    text = said(stage_table(DONE, HISTORY, TIMING, {"frozen": before}, after))
    assert "(p < 0.01, McNemar)" in text
