"""A run's result in a few named lines: what is not said elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from quickvision.base.figures import Accuracy
from quickvision.report.outcome import Data
from quickvision.runs.summary import summary_of


def said(outcome, **changes):
    how = {"best": {}, "tta": 0, "baseline": None, "path": "runs/x", "page": None, **changes}
    return summary_of(outcome, **how)


def test_only_what_there_is_is_said(run):
    lines = said(run.outcome())
    assert "report" not in lines
    assert "macro-F1" not in lines
    assert "left out" not in lines
    assert next(iter(lines)) == "accuracy"


def test_all_of_it(run):
    out = pd.DataFrame({"path": ["a"], "reason": ["bad"]})
    outcome = replace(run.outcome(), data=Data(12, uneven=True, skipped=out))
    lines = said(outcome, tta=3, baseline=Accuracy(3, 7), page="runs/x/report.html")
    assert lines["accuracy"].endswith("with 3 augmented looks")
    assert lines["macro-F1"].endswith("each class counting the same")
    assert lines["baseline"] == str(Accuracy(3, 7))
    assert lines["left out"].startswith("1 picture,")
    assert lines["pictures"] == "12 to train, 7 to validate"
    assert lines["report"] == "runs/x/report.html"


def test_the_best_epoch_is_said_where_it_was_better_than_the_last(run):
    best = {"stage": "frozen", "epoch": 1, "accuracy": 1.0, "valid_loss": 0.5}
    outcome = run.outcome()
    worse = replace(outcome, history=outcome.history.assign(accuracy=0.7))
    assert said(worse, best=best)["best epoch"].startswith("frozen 1, 100.0%")
    equal = replace(outcome, history=outcome.history.assign(accuracy=1.0))
    assert "best epoch" not in said(equal, best=best)


def test_the_files_that_were_wrong_are_named(run):
    preds = run.preds
    none = replace(run.outcome(), preds=replace(preds, targs=preds.predicted))
    assert "wrong" not in said(none)
    others = replace(preds, targs=(preds.predicted + 1) % 3)
    lines = said(replace(none, preds=others))
    name = preds.paths[0].parent.name
    assert f"{name}/" in lines["wrong"]
    assert lines["wrong"].endswith(" and 4 more: run.wrong() lists all")
