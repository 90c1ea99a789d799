from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from made import BASE, Stop, same

import quickvision as qv
from quickvision.runs import checkpointer
from quickvision.runs.checkpoints import load_checkpoint

pytestmark = pytest.mark.usefixtures("each_epoch_is_kept")


@pytest.mark.slow
def test_checkpoints_may_be_rare_and_the_end_is_the_same(
    class_folders, body, tmp_path, monkeypatch
):
    options = BASE | {"weights": body, "lr": 4e-3, "frozen_epochs": 3, "unfrozen_epochs": 3}
    monkeypatch.setattr(checkpointer, "SHARE", 1e-9)
    whole = qv.train(class_folders, out=tmp_path / "whole", **options)
    stop = Stop("unfrozen", 2)
    with pytest.raises(KeyboardInterrupt):
        qv.train(class_folders, out=tmp_path / "cut", cbs=stop, **options)
    folder = tmp_path / "cut" / "colours-001"
    assert len(load_checkpoint(folder / "checkpoints").progress.rows) == 3
    assert len(pd.read_csv(folder / "log.csv")) == 5
    same(whole, qv.resume(folder, cbs=Stop("never", 0), verbose=False))


class Scaled(Callback):
    """What fastai's mixed precision does on a GPU: a scaler of gradients that a fit begins anew."""

    order = 10

    def before_fit(self):
        self.learn.scaler = torch.amp.GradScaler("cpu", init_scale=2.0)

    def before_train(self):
        self.learn.scaler.scale(torch.ones(1))  # it makes its scale when it is first used
        self.seen = self.learn.scaler.get_scale()
        self.learn.scaler.update(new_scale=2 * self.seen)


def test_the_scale_of_half_precision_goes_on(class_folders, body, tmp_path):
    options = BASE | {"weights": body, "lr": 4e-3, "frozen_epochs": 0, "unfrozen_epochs": 4}
    with pytest.raises(KeyboardInterrupt):
        qv.train(class_folders, out=tmp_path, cbs=[Scaled(), Stop("unfrozen", 2, 1)], **options)
    scaled = Scaled()
    qv.resume(tmp_path / "colours-001", cbs=[scaled, Stop("never", 0)], verbose=False)
    assert scaled.seen == 2.0 * 2**3


def test_a_full_disk_leaves_the_checkpoint_before(stopped, monkeypatch):
    before = (stopped / "checkpoints" / "last.pt").read_bytes()

    def full(state, file):
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("quickvision.runs.checkpoints.torch.save", full)
        with pytest.raises(qv.RunError, match=r"No space left.*goes on after unfrozen epoch 1"):
            qv.resume(stopped, verbose=False)
    assert (stopped / "checkpoints" / "last.pt").read_bytes() == before
    assert not list(stopped.rglob(".*"))
    assert len(qv.resume(stopped, verbose=False).history) == 4


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written(stopped):
    (stopped / "checkpoints").chmod(0o500)
    try:
        with pytest.raises(qv.RunError, match="expected to write"):
            qv.resume(stopped, verbose=False)
    finally:
        (stopped / "checkpoints").chmod(0o700)


def test_a_folder_that_is_taken_away(class_folders, body, tmp_path):
    class Gone(Callback):
        def after_epoch(self):
            if self.learn.epoch_log.stage == "unfrozen":
                shutil.rmtree(tmp_path / "o")

    options = BASE | {"weights": body, "lr": 4e-3, "frozen_epochs": 1, "unfrozen_epochs": 2}
    with pytest.raises(qv.RunError, match="expected the run's folder .*taken away"):
        qv.train(class_folders, out=tmp_path / "o", cbs=Gone(), **options)
    assert not (tmp_path / "o").exists()
