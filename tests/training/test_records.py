from __future__ import annotations

import time

import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.tracker import SaveModelCallback
from fastai.learner import Learner
from fastai.metrics import accuracy
from fastai.optimizer import OptimWrapper

import quickvision as qv
from quickvision.base.errors import RunError
from quickvision.training.records import Bar, BestEpoch, _rank, logged


def test_accuracy_comes_first_then_the_loss():
    rows = [
        {"accuracy": 0.9, "valid_loss": 0.5},
        {"accuracy": 0.9, "valid_loss": 0.4},
        {"accuracy": 0.8, "valid_loss": 0.1},
        {"accuracy": float("nan"), "valid_loss": float("nan")},
    ]
    assert sorted(rows, key=_rank)[-1] == rows[1]
    assert sorted(rows, key=_rank)[0] == rows[3]
    assert _rank({"error_rate": 0.1, "valid_loss": 1}) > _rank({"error_rate": 0.2, "valid_loss": 0})
    assert _rank({"valid_loss": 1}) > _rank({"valid_loss": 2})


class Ruin(Callback):
    """From an epoch on, zero the weights before they are validated: one class for everything."""

    def __init__(self, after: int) -> None:
        self.left = after

    def before_validate(self):
        self.left -= 1
        if self.left < 0:
            for weights in self.learn.model.parameters():
                weights.data.zero_()


def test_the_weights_of_the_best_epoch_are_kept_whatever_comes_after(learn):
    best, ruin = BestEpoch(learn), Ruin(after=3)
    history = [qv.fit_unfrozen(learn, 3, lr_max=3e-3, cbs=[best, ruin], verbose=False)]
    history.append(qv.fit_unfrozen(learn, 2, lr_max=3e-3, cbs=[best, ruin], verbose=False))
    ruined = qv.get_preds(learn).accuracy.value
    table = pd.concat(history)
    learn.model.load_state_dict(best.weights)
    assert qv.get_preds(learn).accuracy.value == pytest.approx(table["accuracy"].max())
    assert best.row["stage"] == "unfrozen"
    assert ruined < table["accuracy"].max()


def test_a_run_keeps_the_best_of_both_stages(class_folders, tiny_net, tmp_path, recwarn):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    run = qv.train(
        dls, arch=tiny_net, frozen_epochs=6, unfrozen_epochs=1, lr=5e-3, lr_unfrozen=1e-3,
        schedule="constant", cbs=Ruin(after=6), out=tmp_path, verbose=False,
    )  # fmt: skip
    assert run.best["accuracy"] == run.history["accuracy"].max()
    best, last = run.history["accuracy"].max(), run.history["accuracy"].iloc[-1]
    assert best > last
    assert f"{run.best['stage']} {run.best['epoch']}, " in run.summary()["best epoch"]
    run.learn.load("best")
    assert not [seen for seen in recwarn if "optimizer state" in str(seen.message)]
    assert qv.get_preds(run.learn).accuracy.value == pytest.approx(best)
    state = torch.load(run.path / "checkpoints" / "best.pth", weights_only=True)
    assert set(state) == {"model", "opt"}
    assert set(state["model"]) == set(run.learn.model.state_dict())
    qv.fit_unfrozen(run.learn, 1, verbose=False)


def test_a_built_optimiser_stays_as_it_is(class_folders, tiny_net):
    learn = qv.cnn_learner(qv.from_folder(class_folders, size=32, bs=6), tiny_net, weights=None)
    built = OptimWrapper(opt=torch.optim.SGD(learn.model.parameters(), lr=0.1, momentum=0.9))
    other = Learner(learn.dls, learn.model, opt_func=built, metrics=accuracy)
    best = BestEpoch(other)
    qv.fit_unfrozen(other, 1, cbs=best, verbose=False)
    assert set(best.to_save()) == set(learn.model.state_dict())


@pytest.mark.parametrize("how", [{"patience": 1}, {"schedule": "plateau"}])
def test_trackers_beside_it_are_not_warned_of(class_folders, tiny_net, tmp_path, recwarn, how):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    stages = {"frozen_epochs": 0, "unfrozen_epochs": 2, "lr_unfrozen": 1e-3}
    theirs = SaveModelCallback(fname="mine")
    qv.train(dls, arch=tiny_net, cbs=theirs, out=tmp_path, verbose=False, **stages, **how)
    assert not [seen for seen in recwarn if "shadowing" in str(seen.message)]


@pytest.fixture
def trained(class_folders, tiny_net, tmp_path):
    def train(**options):
        dls = qv.from_folder(class_folders, size=32, bs=6)
        return qv.train(
            dls, arch=tiny_net, frozen_epochs=2, unfrozen_epochs=1, lr=1e-3, out=tmp_path / "runs",
            verbose=False, **options,
        )  # fmt: skip

    return train


@pytest.mark.parametrize("cached", [True, False])
def test_tensorboard_has_what_the_csv_has(trained, cached):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = trained(log="tensorboard", cache_features=cached)
    log = pd.read_csv(run.path / "log.csv")
    for stage, rows in log.groupby("stage"):
        events = EventAccumulator(str(run.path / "tensorboard" / stage))
        events.Reload()
        losses = [point.value for point in events.Scalars("valid_loss")]
        assert losses == pytest.approx(rows["valid_loss"].tolist(), rel=1e-5)
        accuracies = [point.value for point in events.Scalars("accuracy")]
        assert accuracies == pytest.approx(rows["accuracy"].tolist(), rel=1e-5)
        assert {"train_loss", "lr_0"} <= set(events.Tags()["scalars"])
    assert log["cached"].tolist() == [cached, cached, False]


@pytest.fixture
def offline(monkeypatch):
    """Weights & Biases without a net; it reads its settings once in a process."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("WANDB_SILENT", "true")


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_a_run_of_weights_and_biases_is_opened_and_closed(trained, capfd):
    import wandb

    run = trained(log="wandb")
    assert wandb.run is None
    (folder,) = (run.path / "wandb").glob("offline-run-*")
    (file,) = folder.glob("*.wandb")
    for _ in range(100):  # a process of its own writes it
        if b"valid_loss" in (written := file.read_bytes()):
            break
        time.sleep(0.1)
    assert b"valid_loss" in written
    assert b"accuracy" in written
    assert b"split_sha256" in written, "the settings"
    assert len(run.history) == 3
    assert "could not" not in capfd.readouterr().out.lower()


def test_a_logger_that_is_not_installed_is_named_before_anything_is_done(
    trained, monkeypatch, tmp_path
):
    monkeypatch.setattr("quickvision.runs.options.find_spec", lambda name: None)
    with pytest.raises(RunError, match="pip install wandb"):
        trained(log="wandb")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("log", ["tensorbord", "comet", 3, True])
def test_no_such_logger(trained, log, tmp_path):
    with pytest.raises(ValueError, match="log: expected None, 'tensorboard' or 'wandb', got"):
        trained(log=log)
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("offline")
def test_a_run_of_weights_and_biases_that_is_open_stays_open(tmp_path):
    import wandb

    open_run = wandb.init(mode="disabled", dir=tmp_path)
    try:
        with logged("wandb", tmp_path):
            assert wandb.run is open_run
        assert wandb.run is open_run
    finally:
        wandb.finish()
    assert wandb.run is None


def test_without_a_terminal_there_is_no_bar(learn, capsys):
    qv.fit_unfrozen(learn, 1, lr_max=1e-3, cbs=Bar("unfrozen"), verbose=False)
    assert capsys.readouterr() == ("", "")
