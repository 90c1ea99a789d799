from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made import Stop

import quickvision as qv

QUICK = {"arch": "timm/test_resnet", "weights": None, "size": 32, "bs": 6, "verbose": False}


@pytest.fixture
def run(class_folders, tmp_path):
    return qv.train(class_folders, unfrozen_epochs=2, out=tmp_path / "runs", check=False, **QUICK)


def test_a_finished_run_is_opened_without_pictures_and_model(run, capsys, monkeypatch):
    def never(*_, **__):
        raise AssertionError("built")

    monkeypatch.setattr("quickvision.runs.again.build", never)
    again = qv.load_run(run.path)
    np.testing.assert_array_equal(again.preds.probs, run.preds.probs)
    assert again.preds.paths == run.preds.paths
    pd.testing.assert_frame_equal(again.history, run.history)
    pd.testing.assert_frame_equal(again.stages, run.stages)
    pd.testing.assert_frame_equal(again.top_losses(), run.top_losses())
    assert again.show_code() == run.show_code()
    assert str(again) == str(run)
    assert again.report().is_file()
    for plot in (again.plot_confusion, again.plot_history, again.plot_top_losses):
        assert plot().get_figure() is not None
    assert capsys.readouterr().out == ""


def test_its_learner_is_built_when_it_is_asked_for_with_its_weights(run, capsys):
    again = qv.load_run(run.path)
    preds = qv.get_preds(again.learn)
    np.testing.assert_allclose(preds.probs, run.preds.probs, atol=1e-6)
    assert again.learn.path == run.path
    again.learn.load("best")
    assert capsys.readouterr().out == ""


def test_pictures_that_have_moved_are_found_where_they_are_now(run, class_folders, tmp_path):
    moved = class_folders.rename(tmp_path / "moved")
    assert not qv.load_run(run.path).preds.paths[0].exists()
    again = qv.load_run(run.path, data=moved)
    assert all(path.is_file() for path in again.preds.paths)
    assert len(qv.get_preds(again.learn)) == len(run.preds)


def test_a_table_that_has_moved_takes_its_pictures_along(class_folders, tmp_path):
    names = [p.relative_to(class_folders).as_posix() for p in sorted(class_folders.rglob("*.png"))]
    rows = pd.DataFrame({"file": names, "label": [name.split("/")[0] for name in names]})
    rows.to_csv(class_folders / "labels.csv", index=False)
    how = {**QUICK, "unfrozen_epochs": 1, "check": False, "out": tmp_path / "runs"}
    run = qv.train(class_folders / "labels.csv", **how)
    moved = class_folders.rename(tmp_path / "moved")
    again = qv.load_run(run.path, data=moved / "labels.csv")
    assert all(path.is_file() for path in again.preds.paths)


def test_a_run_of_an_older_version_is_built_as_ever(run):
    (run.path / "run.json").unlink()
    again = qv.load_run(run.path)
    np.testing.assert_allclose(again.preds.probs, run.preds.probs, atol=1e-6)
    assert (run.path / "run.json").is_file()


def test_a_run_that_is_trained_further_is_none_until_it_is_finished(run, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("quickvision.runs.job.fit_unfrozen", stop)
        with pytest.raises(KeyboardInterrupt):
            qv.resume(run.path, more_epochs=1, verbose=False)
    with pytest.raises(qv.RunError, match="expected a finished run"):
        qv.load_run(run.path)


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


def test_a_summary_does_not_look_for_doubtful_labels(class_folders, body, tmp_path, monkeypatch):
    """Among many pictures that takes seconds, and nothing of it is in the summary."""
    how = {**QUICK, "weights": body, "unfrozen_epochs": 0, "check": False}
    made = qv.train(class_folders, out=tmp_path / "runs", **how)
    again, asked = qv.load_run(made.path), []
    monkeypatch.setattr("quickvision.runs.run.doubtful", lambda *given: asked.append(given))
    assert "accuracy" in str(again)
    assert not asked
    again.outcome()
    assert len(asked) == 1
