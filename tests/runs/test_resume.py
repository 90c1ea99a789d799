from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback

import quickvision as qv
from quickvision.runs import checkpointer
from quickvision.runs.checkpoints import load_checkpoint, save_checkpoint

BASE = {"arch": "timm/test_resnet", "weights": None, "size": 32, "bs": 6, "verbose": False}


@pytest.fixture(autouse=True)
def _each_epoch_is_kept(monkeypatch):
    monkeypatch.setattr(checkpointer, "SHARE", 1e9)


@pytest.fixture
def body(tmp_path):
    """Weights in a file, so that there is a frozen stage."""
    import timm

    torch.manual_seed(0)
    file = tmp_path / "body.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), file)
    return file


class Stop(Callback):
    """Raise at one batch of one epoch of a stage."""

    order = 200

    def __init__(self, stage, epoch, batch=0, error=KeyboardInterrupt):
        self.at, self.error = (stage, epoch, batch), error

    def after_batch(self):
        here = (self.learn.epoch_log.stage, self.epoch, self.iter)
        if self.training and here == self.at:
            raise self.error


def same(one, two):
    """Two runs ended with the same weights, the same log and the same predictions."""
    a, b = (run.learn.model.state_dict() for run in (one, two))
    assert all(torch.equal(a[name], b[name]) for name in a)
    logs = [pd.read_csv(run.path / "log.csv").drop(columns="seconds") for run in (one, two)]
    pd.testing.assert_frame_equal(*logs)
    pd.testing.assert_frame_equal(one.history[list(logs[0])], two.history[list(logs[0])])
    np.testing.assert_array_equal(one.preds.probs, two.preds.probs)
    assert one.summary()["accuracy"] == two.summary()["accuracy"]
    assert one.best | {"seconds": 0} == two.best | {"seconds": 0}
    files = [run.path / "checkpoints" / "best.pth" for run in (one, two)]
    a, b = (torch.load(file, weights_only=True)["model"] for file in files)
    assert all(torch.equal(a[name], b[name]) for name in a)


CASES = {
    "in cached features": ({}, ("frozen", 1)),
    "in the first epoch of all": ({}, ("frozen", 0)),
    "in the unfrozen stage": ({}, ("unfrozen", 1)),
    "in its first epoch": ({}, ("unfrozen", 0)),
    "in the pictures of a frozen stage": ({"cache_features": False}, ("frozen", 1)),
    "in augmented views": ({"views": 1, "tta": 1}, ("frozen", 1)),
    "in a step of gradual unfreezing": ({"gradual": True, "unfrozen_epochs": 4}, ("unfrozen", 1)),
    "in blended pictures": ({"mixup": 0.4, "opt": "sgd"}, ("unfrozen", 1)),
    "with rates that were found": ({"lr": "find"}, ("unfrozen", 1)),
    "on a plateau, with torch's optimiser": (
        {"schedule": "plateau", "opt": "adadelta", "lr": 3.0, "unfrozen_epochs": 5},
        ("unfrozen", 3),
    ),
    "while patience runs out": (
        {"patience": 2, "schedule": "constant", "lr": 1.0, "unfrozen_epochs": 6},
        ("unfrozen", 1),
    ),
    "flat, then down": ({"schedule": "flat_cos", "unfrozen_epochs": 3}, ("unfrozen", 2)),
    "in worker processes": ({"num_workers": 2, "frozen_epochs": 0}, ("unfrozen", 1)),
    "without weights": ({"weights": None, "lr": 1e-2}, ("unfrozen", 3)),
    "with classes repeated": ({"balance": "oversample"}, ("unfrozen", 1)),
    "with classes drawn by weight": ({"balance": "weights"}, ("unfrozen", 1)),
    "with files held out": (
        {"valid": [Path(c) / f"{c}_{i}.png" for c in ("red", "green", "blue") for i in (11,)]},
        ("unfrozen", 1),
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::quickvision.DataWarning", "ignore::UserWarning")
@pytest.mark.parametrize(("options", "at"), CASES.values(), ids=CASES)
def test_a_stopped_run_ends_as_if_it_had_not_been(class_folders, body, tmp_path, options, at):
    for file in sorted((class_folders / "red").iterdir())[:10]:
        file.unlink()
    options = {"weights": body, "frozen_epochs": 2, "unfrozen_epochs": 2, "lr": 4e-3, **options}
    whole = qv.train(class_folders, out=tmp_path / "whole", **BASE | options)
    with pytest.raises(KeyboardInterrupt):
        qv.train(class_folders, out=tmp_path / "cut", cbs=Stop(*at, 1), **BASE | options)
    cut = qv.resume(tmp_path / "cut" / "colours-001", cbs=Stop("never", 0), verbose=False)
    same(whole, cut)


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
    assert len(load_checkpoint(folder / "checkpoints")["rows"]) == 3
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


@pytest.fixture
def stopped(class_folders, body, tmp_path):
    """The folder of a run that was stopped in its second unfrozen epoch; it had no callbacks."""
    options = BASE | {"weights": body, "lr": 4e-3, "frozen_epochs": 2, "unfrozen_epochs": 2}
    with pytest.MonkeyPatch.context() as patch:
        from quickvision.training.trials import Watch

        def stop(self):
            if self.learn.epoch_log.stage == "unfrozen" and self.epoch == 1:
                raise KeyboardInterrupt

        patch.setattr(Watch, "after_batch", stop)
        with pytest.raises(KeyboardInterrupt):
            qv.train(class_folders, out=tmp_path / "runs", **options)
    return tmp_path / "runs" / "colours-001"


def test_the_folder_has_all_that_is_needed_to_go_on(stopped):
    assert sorted(path.name for path in stopped.iterdir()) == [
        "checkpoints", "config.json", "lock", "log.csv", "split.csv",
    ]  # fmt: skip
    found = json.loads((stopped / "config.json").read_text())
    assert found["arch"] == "timm/test_resnet"
    assert found["train"]["lr"] == 4e-3
    assert Path(found["data"]).is_absolute()
    assert Path(found["weights"]).is_absolute()
    assert {"python", "torch", "fastai"} <= set(found["versions"])
    assert pd.read_csv(stopped / "log.csv")["stage"].tolist() == ["frozen", "frozen", "unfrozen"]
    assert len(qv.resume(stopped, verbose=False).history) == 4
    assert (stopped / "predictions.npz").exists()


def test_what_can_be_used_after_ctrl_c(stopped, class_folders):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    learn = qv.cnn_learner(dls, "timm/test_resnet", weights=None, path=stopped)
    learn.model_dir = "checkpoints"
    learn.load("best")


def test_a_loss_that_is_no_number_leaves_the_best_epoch(class_folders, body, tmp_path, capsys):
    options = BASE | {"weights": body, "lr": 4e-3, "frozen_epochs": 2, "unfrozen_epochs": 1}
    options |= {"lr_unfrozen": 1e30, "schedule": "constant", "verbose": True}
    with pytest.raises(qv.RunError, match="expected a loss that is a number"):
        qv.train(class_folders, out=tmp_path / "o", **options)
    assert re.search(r"kept +the best so far, frozen epoch \d: .*best.pth", capsys.readouterr().out)
    assert (tmp_path / "o" / "colours-001" / "checkpoints" / "best.pth").exists()


def test_a_finished_run_is_looked_at_again(stopped):
    first = qv.resume(stopped, verbose=False)
    saved = (stopped / "checkpoints" / "last.pt").stat().st_mtime_ns
    again = qv.resume(stopped, verbose=False)
    same(first, again)
    assert (stopped / "checkpoints" / "last.pt").stat().st_mtime_ns == saved
    again.learn.load("stage-1")
    assert "fit" in again.show_code()


def test_it_goes_on_in_another_folder_with_the_pictures_elsewhere(
    stopped, class_folders, tmp_path, monkeypatch
):
    shutil.move(class_folders, tmp_path / "moved")
    shutil.move(stopped, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(qv.DataError, match="expected a folder of pictures"):
        qv.resume("run", verbose=False)
    assert len(qv.resume("run", data="moved", verbose=False).history) == 4


def test_pictures_that_came_or_went_are_named(stopped, class_folders, picture):
    new = picture(class_folders / "red" / "new.png", "red", seed=99)
    with pytest.raises(qv.RunError, match=r"1 new ones \(red/new.png\) and 0 gone"):
        qv.resume(stopped, verbose=False)
    new.unlink()
    (class_folders / "red" / "red_00.png").rename(class_folders.parent / "red_00.png")
    with pytest.raises(qv.RunError, match=r"0 new ones \(\) and 1 gone \(red/red_00.png\)"):
        qv.resume(stopped, verbose=False)


def test_what_no_file_can_hold_is_to_be_given_again(class_folders, tiny_net, tmp_path):
    from fastai.metrics import accuracy, error_rate

    options = {"size": 32, "bs": 6, "lr": 4e-3, "frozen_epochs": 0, "unfrozen_epochs": 2}
    given = {"arch": tiny_net, "metrics": [accuracy, error_rate]}
    stop, never = Stop("unfrozen", 1), Stop("never", 0)
    out = tmp_path / "o"
    with pytest.raises(KeyboardInterrupt):
        qv.train(class_folders, cbs=stop, out=out, verbose=False, **given, **options)
    folder = out / "colours-001"
    with pytest.raises(qv.RunError, match=r"expected arch, cbs, metrics as the run was given"):
        qv.resume(folder)

    def other(pretrained=False):
        body = tiny_net()
        body[0] = torch.nn.Conv2d(3, 8, 5, 2, 2)
        return body

    again = {"cbs": never, "metrics": given["metrics"], "verbose": False}
    with pytest.raises(qv.RunError, match="expected the run's model, got another"):
        qv.resume(folder, arch=other, **again)
    with pytest.raises(TypeError, match="bs: the run goes on as it began"):
        qv.resume(folder, cbs=never, bs=3, **given)
    assert len(qv.resume(folder, cbs=never, verbose=False, **given).history) == 2


def test_loaders_and_learners_are_given_again(class_folders, tiny_net, tmp_path):
    def learn(seed):
        torch.manual_seed(seed)
        dls = qv.from_folder(class_folders, size=32, bs=6)
        return qv.cnn_learner(dls, tiny_net, weights="default")

    options = {"lr": 4e-3, "frozen_epochs": 1, "unfrozen_epochs": 2, "verbose": False}
    whole = qv.train(learn(1), out=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        qv.train(learn(1), out=tmp_path / "cut", cbs=Stop("unfrozen", 1), **options)
    folder = tmp_path / "cut" / "colours-001"
    never = Stop("never", 0)
    with pytest.raises(qv.RunError, match="expected data as the run was given"):
        qv.resume(folder, cbs=never)
    same(whole, qv.resume(folder, data=learn(2), cbs=never, verbose=False))


def test_two_at_once_are_refused(stopped):
    from quickvision.runs.folder import locked

    with locked(stopped), pytest.raises(qv.RunError, match=rf"another .*pid {os.getpid()}"):
        qv.resume(stopped)
    assert len(qv.resume(stopped, verbose=False).history) == 4  # what is left is no lock


def test_a_folder_that_is_no_run(tmp_path, stopped):
    with pytest.raises(qv.RunError, match=r"the folder of a run, got .*newest .*colours-001"):
        qv.resume(stopped.parent)
    with pytest.raises(qv.RunError, match="expected the folder of a run"):
        qv.resume(tmp_path / "gone")
    (stopped / "config.json").write_text("{")
    with pytest.raises(qv.RunError, match=r"expected a run's settings in .*config.json"):
        qv.resume(stopped)


def flip(file):
    """Change one byte of the first tensor."""
    data = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as parts:
        info = max(parts.infolist(), key=lambda part: part.file_size)
    data[info.header_offset + 200] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(file.read_bytes()[:5000]),
        lambda file: file.write_bytes(b""),
        flip,
        lambda file: torch.save(torch.nn.Linear(2, 2), file),
        lambda file: torch.save([1], file),
    ],
    ids=["cut short", "empty", "one bit", "code", "no checkpoint"],
)
def test_a_damaged_checkpoint_is_said_and_the_one_before_it_offered(stopped, damage):
    last = stopped / "checkpoints" / "last.pt"
    damage(last)
    spoilt = last.read_bytes()
    with pytest.raises(qv.RunError, match=r"last.pt.*the one before it, before.pt, is whole"):
        qv.resume(stopped, verbose=False)
    assert last.read_bytes() == spoilt
    assert len(qv.resume(stopped, before=True, verbose=False).history) == 4


def test_code_in_a_checkpoint_never_runs(stopped, tmp_path):
    class Bad:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    for name in ("last.pt", "before.pt"):
        torch.save({"rows": Bad()}, stopped / "checkpoints" / name)
    with pytest.raises(qv.RunError, match="expected a checkpoint of tensors and plain values"):
        qv.resume(stopped, verbose=False)
    assert not (tmp_path / "owned").exists()


def test_a_kill_between_two_renames_costs_an_epoch(tmp_path):
    save_checkpoint(tmp_path, {"rows": [1]})
    save_checkpoint(tmp_path, {"rows": [1, 2]})
    (tmp_path / "last.pt").unlink()
    assert load_checkpoint(tmp_path) == {"rows": [1]}
    (tmp_path / "before.pt").unlink()
    assert load_checkpoint(tmp_path) is None


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


def test_it_says_where_it_goes_on(stopped, capsys):
    qv.resume(stopped)
    said = capsys.readouterr().out
    assert re.search(r"resumed +.*colours-001, after unfrozen epoch 1\n", said)
    assert "unfrozen 2/2" in said
    assert "frozen 1/2" not in said.replace("unfrozen", "")
