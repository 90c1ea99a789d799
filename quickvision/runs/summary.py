"""A run's result in a few named lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quickvision.base.errors import some
from quickvision.base.figures import Accuracy, spoken
from quickvision.base.progress import Lines
from quickvision.report.outcome import Outcome
from quickvision.results.predictions import macro_f1, most_confused, wrong
from quickvision.runs.stages import said


def summary_of(
    outcome: Outcome,
    *,
    best: Mapping[str, Any],
    tta: int,
    baseline: Accuracy | None,
    path: Path,
    page: Path | None,
) -> Lines:
    """Say what came out.

    Args:
        outcome: Of the run.
        best: The best epoch's row of its history.
        tta: Augmented looks at each picture.
        baseline: Of another run on the same pictures.
        path: The run's folder.
        page: Its report, if there is one.
    """
    preds, data, n_skipped = outcome.preds, outcome.data, len(outcome.data.skipped)
    sides = f"{data.n_train:,} to train, {len(preds):,} to validate"
    stages = outcome.history.groupby("stage", sort=False)[["epoch", "cached"]].max()
    epochs = " + ".join(
        f"{row.epoch} {stage}{' (on cached features)' if row.cached else ''}"
        for stage, row in stages.iterrows()
    )
    total = sum(outcome.timing.values())
    slow = [
        f"{name} {spoken(s) if s >= 10 else f'{s:.1f} s'}"
        for name, s in outcome.timing.items()
        if s > total / 20
    ]
    pairs = most_confused(preds).to_dict("records")
    confused = [f"{row['actual']} taken for {row['predicted']} ({row['count']})" for row in pairs]
    looks = f", with {tta} augmented looks" if tta else ""
    fair = f"{macro_f1(preds):.1%}, each class counting the same" if data.uneven else ""
    lines = {
        "accuracy": f"{preds.accuracy}{looks}",
        "macro-F1": fair,
        "stages": said(outcome.stages),
        "best epoch": _best(best, outcome),
        "baseline": str(baseline) if baseline else "",
        "model": f"{outcome.arch}, {epochs} epoch{'' if stages['epoch'].sum() == 1 else 's'}",
        "time": f"{spoken(total)}: {', '.join(slow)}",
        **(data.understood or {"pictures": sides}),
        "confused": some(confused) or "nothing",
        "wrong": _wrong(outcome),
        "left out": f"{n_skipped:,} picture{'' if n_skipped == 1 else 's'}, see run.skipped"
        if n_skipped
        else "",
        "written to": str(path),
        "report": str(page or ""),
    }
    return Lines({name: text for name, text in lines.items() if text})


def _wrong(outcome: Outcome) -> str:
    """Name the first files that were wrong, in the order of their loss."""
    table = wrong(outcome.preds)
    if table.empty:
        return ""
    files = [f"{row['path']} (called {row['predicted']})" for row in table.to_dict("records")]
    return f"{some(files)}{': run.wrong() lists all' if len(files) > 3 else ''}"


def _best(best: Mapping[str, Any], outcome: Outcome) -> str:
    """Name the best epoch, where it was better than the last."""
    last = outcome.history.iloc[-1]
    if not best or (best["stage"], best["epoch"]) == (last["stage"], last["epoch"]):
        return ""
    said = f"valid_loss {best['valid_loss']:.3f}"
    if "accuracy" in best:
        if best["accuracy"] <= last["accuracy"]:
            return ""
        n = len(outcome.preds)
        said = str(Accuracy(round(best["accuracy"] * n), n))
    return f"{best['stage']} {best['epoch']}, {said}: run.learn.load('best') goes back to it"
