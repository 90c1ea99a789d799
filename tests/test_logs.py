from __future__ import annotations

import pandas as pd
import pytest

import quickvision as qv
from quickvision.base.errors import RunError
from quickvision.training import records as logs


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


@pytest.mark.slow
def test_a_run_of_weights_and_biases_is_opened_and_closed(trained, monkeypatch, capfd):
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = trained(log="wandb")
    assert wandb.run is None
    (folder,) = (run.path / "wandb").glob("offline-run-*")
    (file,) = folder.glob("*.wandb")
    written = file.read_bytes()
    assert b"valid_loss" in written
    assert b"accuracy" in written
    assert b"split_sha256" in written, "the settings"
    assert len(run.history) == 3
    assert "could not" not in capfd.readouterr().out.lower()


def test_a_logger_that_is_not_installed_is_named_before_anything_is_done(
    trained, monkeypatch, tmp_path
):
    monkeypatch.setattr(logs, "find_spec", lambda name: None)
    with pytest.raises(RunError, match="pip install wandb"):
        trained(log="wandb")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("log", ["tensorbord", "comet", 3, True])
def test_no_such_logger(trained, log, tmp_path):
    with pytest.raises(ValueError, match="log: expected 'tensorboard' or 'wandb', got"):
        trained(log=log)
    assert not (tmp_path / "runs").exists()
