from __future__ import annotations

import shutil

import pytest
import torch
from made import BASE

import quickvision as qv
from quickvision.runs import checkpointer


def write_body(file):
    import timm

    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet").state_dict(), file)
    return file


@pytest.fixture
def body(tmp_path):
    """Weights in a file, so that there is a frozen stage."""
    return write_body(tmp_path / "body.pth")


@pytest.fixture
def each_epoch_is_kept(monkeypatch):
    """Write a checkpoint after every epoch, however short it is."""
    monkeypatch.setattr(checkpointer, "SHARE", 1e9)


@pytest.fixture(scope="session")
def once_stopped(tmp_path_factory, write_colours):
    """A folder with pictures and the run that was stopped in its second unfrozen epoch."""
    root = tmp_path_factory.mktemp("stopped")
    data, body = write_colours(root / "colours"), write_body(root / "body.pth")
    options = BASE | {"weights": body, "lr": 4e-3, "frozen_epochs": 2, "unfrozen_epochs": 2}

    def stop(self):
        if self.learn.epoch_log.stage == "unfrozen" and self.epoch == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpointer, "SHARE", 1e9)
        patch.setattr(checkpointer.Checkpointer, "after_batch", stop, raising=False)
        with pytest.raises(KeyboardInterrupt):
            qv.train(data, out=root / "runs", **options)
    return root


@pytest.fixture
def stopped(once_stopped, each_epoch_is_kept, class_folders, body, tmp_path):
    """A copy of that run for this test, of the pictures in `class_folders`; it had no callbacks."""
    shutil.copytree(once_stopped / "runs", tmp_path / "runs")
    settings = tmp_path / "runs" / "colours-001" / "config.json"
    settings.write_text(settings.read_text().replace(str(once_stopped), str(tmp_path)))
    return settings.parent


@pytest.fixture(scope="session")
def run(tmp_path_factory, write_colours, tiny_net):
    """A whole run of both stages with their searches, for tests that only look at it."""
    root = tmp_path_factory.mktemp("whole")
    torch.manual_seed(0)
    dls = qv.from_folder(write_colours(root / "colours"), size=32, bs=6)
    learn = qv.cnn_learner(dls, tiny_net, weights="default")
    return qv.train(
        learn, frozen_epochs=2, unfrozen_epochs=1, out=root / "runs", name="net", verbose=False
    )
