"""The end of a run: the report is the last thing, and nothing is lost over it."""

from __future__ import annotations

import pytest

import quickvision as qv
from quickvision.report import page
from quickvision.report.outcome import shown_worst
from quickvision.runs.kept import NAME

QUICK = {"arch": "timm/test_resnet", "size": 32, "bs": 6, "unfrozen_epochs": 1, "verbose": False}
WRITTEN = {"report.html", "report.md", "suspects.csv", "features.npz", "heatmaps.npz", NAME}


@pytest.mark.drawn
@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
def test_every_run_writes_its_report(class_folders, body, tmp_path):
    (class_folders / "red" / "bad.png").write_text("x")
    run = qv.train(class_folders, weights=body, out=tmp_path / "runs", **QUICK)
    shown = set() if len(shown_worst(run.preds)) else {"heatmaps.npz"}
    assert {p.name for p in run.path.iterdir()} >= WRITTEN - shown
    text = (run.path / "report.html").read_text()
    for said in (
        run.arch,
        "bad.png",
        "qv.train(",
        "What the check found",
        "unfrozen",
        str(len(run.preds)),
    ):
        assert said in text
    assert run.summary()["report"] == str(run.path / "report.html")


def test_report_false_leaves_all_of_it_out(class_folders, body, tmp_path):
    run = qv.train(class_folders, weights=body, out=tmp_path / "runs", report=False, **QUICK)
    assert not {p.name for p in run.path.iterdir()} & (WRITTEN - {NAME})
    with pytest.raises(qv.RunError, match="expected a run with a report and cached features"):
        run.suspects()
    assert run.report().is_file()  # with what there is


@pytest.mark.drawn
def test_a_report_that_fails_takes_nothing_else_with_it(class_folders, tmp_path, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("made up")

    monkeypatch.setattr(page, "as_html", fail)
    with pytest.warns(
        qv.DataWarning, match="the report was not written: ZeroDivisionError.*load_run"
    ):
        run = qv.train(class_folders, weights=None, out=tmp_path / "runs", check=False, **QUICK)
    assert (run.path / "predictions.csv").is_file()
    monkeypatch.undo()
    assert qv.load_run(run.path).report().is_file()


@pytest.mark.drawn
@pytest.mark.parametrize(
    "options",
    [
        {"mixup": 0.4}, {"tta": 2}, {"frozen_epochs": 0}, {"unfrozen_epochs": 0},
        {"head": "fastai"}, {"resize": "pad"}, {"size": (32, 40)}, {"lr": 1e-3},
        {"check": False}, {"metrics": [], "plots": False},
    ],
)  # fmt: skip
def test_reports_of_all_kinds_of_runs(class_folders, body, tmp_path, options):
    how = {**QUICK, "frozen_epochs": 1, **options}
    run = qv.train(class_folders, weights=body, out=tmp_path / "runs", **how)
    text = (run.path / "report.html").read_text()
    assert text.count("<section") == 9
    assert ('class="heat' in text) == bool(len(list(run.path.glob("heatmaps.npz"))))
