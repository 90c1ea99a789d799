"""Which pictures are worth seeing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from quickvision.report.outcome import rivals, shown_worst

from .conftest import answers


def test_wrong_answers_come_first_and_the_largest_loss_before_others():
    preds = answers(Path("x"))
    seen = shown_worst(preds)
    assert not preds.right[seen[:6]].any()
    assert preds.right[seen[6:]].all()
    assert (np.diff(preds.losses[seen[:6]]) <= 0).all()


def test_right_and_sure_answers_are_not_shown():
    preds = answers(Path("x"), wrong=0)
    sure = replace(preds, losses=np.full(len(preds), 0.01, np.float32))
    assert not len(shown_worst(sure))
    close = replace(preds, losses=np.where(np.arange(len(preds)) == 5, 0.6, 0.01))
    assert shown_worst(close).tolist() == [5]


def test_no_more_than_asked_for_and_a_loss_that_is_no_number_first():
    preds = answers(Path("x"), n=200, wrong=90)
    assert len(shown_worst(preds)) == 24
    losses = preds.losses.copy()
    losses[40] = np.nan
    assert shown_worst(replace(preds, losses=losses))[0] == 40


def test_the_rival_of_a_wrong_answer_is_the_label_and_of_a_right_one_the_next_class():
    preds = answers(Path("x"), n=24)
    both = rivals(preds, np.array([0, 20]))
    assert both[0].tolist() == [preds.predicted[0], preds.targs[0]]
    assert both[1].tolist() == np.argsort(-preds.probs[20])[:2].tolist()
