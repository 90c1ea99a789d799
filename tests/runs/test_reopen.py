from __future__ import annotations

import numpy as np
import pytest
from made import Stop

import quickvision as qv

QUICK = {"arch": "timm/test_resnet", "weights": None, "size": 32, "bs": 6, "verbose": False}


@pytest.fixture
def run(class_folders, tmp_path):
    return qv.train(class_folders, unfrozen_epochs=2, out=tmp_path / "runs", check=False, **QUICK)


def test_a_finished_run_is_opened_without_training(run, capsys):
    again = qv.load_run(run.path)
    np.testing.assert_allclose(again.preds.probs, run.preds.probs, atol=1e-6)
    assert len(again.history) == len(run.history)
    assert capsys.readouterr().out == ""


def test_a_run_that_was_stopped_is_not_trained_in_silence(class_folders, tmp_path):
    how = {"unfrozen_epochs": 3, "out": tmp_path / "runs", "name": "x", "check": False}
    with pytest.raises(KeyboardInterrupt):
        qv.train(class_folders, cbs=Stop("unfrozen", 1), **how, **QUICK)
    with pytest.raises(qv.RunError, match="expected a finished run, got .*x-001, which was"):
        qv.load_run(tmp_path / "runs" / "x-001")


def test_no_run(tmp_path):
    with pytest.raises(qv.RunError, match="expected the folder of a run"):
        qv.load_run(tmp_path)


def test_a_run_is_exported_last_or_best(run, tmp_path):
    import json

    state = {name: tensor.clone() for name, tensor in run.learn.model.state_dict().items()}
    last = run.export(tmp_path / "last", verbose=False)
    best = run.export(tmp_path / "best", best=True, verbose=False)
    said = [
        json.loads((p / "config.json").read_text())["quickvision"]["figures"] for p in (last, best)
    ]
    assert said[0]["accuracy"] == pytest.approx(run.accuracy.value)
    assert said[1]["accuracy"] == pytest.approx(run.best["accuracy"])
    now = run.learn.model.state_dict()
    assert all((now[name] == tensor).all() for name, tensor in state.items())
    assert (
        said[0]["split_sha256"]
        == json.loads((run.path / "config.json").read_text())["split_sha256"]
    )
