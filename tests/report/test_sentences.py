"""The four sentences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from quickvision.base.figures import Accuracy
from quickvision.report.sentences import how_good, how_sure, sentences, worst_pair, wrong_labels
from quickvision.results.calibration import calibration

from .conftest import answers


def stages(gained, p):
    return pd.DataFrame({"stage": ["frozen", "unfrozen"], "gained": [np.nan, gained], "p_value": p})


def test_there_are_four(outcome):
    said = sentences(outcome, calibration(outcome.preds))
    assert len(said) == 4
    assert all(text.endswith(".") and not text[0].islower() for text in said)
    assert len(sentences(replace(outcome, suspects=None), calibration(outcome.preds))) == 3


@pytest.mark.parametrize(
    ("gained", "p", "said"),
    [
        (0.031, 0.01, "the unfrozen stage brought 3.1 points of it."),
        (0.01, 0.6, "brought 1.0 point of it, which may be chance."),
        (-0.02, 0.01, "cost 2.0 points of it."),
        (0.0, 1.0, "has changed nothing about that."),
    ],
)
def test_whether_the_last_stage_helped_is_said(gained, p, said):
    text = how_good(Accuracy(145, 153), stages(gained, p))
    assert text.endswith(said)
    assert "145 of 153 pictures" in text
    assert "94.8%" in text
    assert "between 90.0% and 97.3%" in text


def test_a_run_of_one_stage_says_nothing_of_stages():
    assert how_good(Accuracy(1, 2), stages(np.nan, 1.0)).endswith("%.")
    assert how_good(Accuracy(1, 2), pd.DataFrame()).endswith("%.")


def test_the_worst_pair_has_its_share_of_the_class_and_of_the_mistakes():
    preds = answers(Path("x"), n=40, vocab=("ants", "bees"), wrong=7)
    assert worst_pair(preds) == (
        "Most often it takes ants for bees: 4 of 20 pictures (20%), and 4 of its 7 mistakes."
    )


def test_nothing_confused_and_all_confused_once_are_said():
    assert "confuses nothing" in worst_pair(answers(Path("x"), wrong=0))
    once = answers(Path("x"), wrong=3)
    assert worst_pair(once) == "No two classes are confused more than once; 3 pictures are wrong."


@pytest.mark.parametrize(
    ("n", "said"), [(0, "No label looks"), (1, "One label is doubtful"), (1200, "1,200 labels are")]
)
def test_suspicious_labels_are_counted(n, said):
    assert wrong_labels(pd.DataFrame({"path": range(n)})).startswith(said)


@pytest.mark.parametrize(
    ("power", "said"),
    [(1.0, "Its probabilities are true"), (4.0, "It is too sure"), (0.3, "It is less sure")],
)
def test_how_sure_it_is_beside_how_often_it_is_right(power, said):
    rng = np.random.default_rng(0)
    n = 4000
    high = rng.uniform(0.55, 0.95, n)
    right = rng.random(n) < high
    odds = (high / (1 - high)) ** power
    probs = np.stack([odds / (1 + odds), 1 / (1 + odds)], 1).astype(np.float32)
    preds = replace(
        answers(Path("x"), n=n, vocab=("a", "b")),
        probs=probs,
        targs=np.where(right, 0, 1),
        losses=np.zeros(n, np.float32),
    )
    assert how_sure(preds, calibration(preds)).startswith(said)


def test_right_on_average_and_wrong_in_each_half_is_said():
    n = 4000
    said = np.where(np.arange(n) % 2, 0.9, 0.6)
    right = np.where(np.arange(n) % 2, np.arange(n) % 4 == 1, True)  # 50 % and 100 %
    preds = replace(
        answers(Path("x"), n=n, vocab=("a", "b")),
        probs=np.stack([said, 1 - said], 1).astype(np.float32),
        targs=np.where(right, 0, 1),
        losses=np.zeros(n, np.float32),
    )
    assert how_sure(preds, calibration(preds)).startswith("It is sure at the wrong places")
