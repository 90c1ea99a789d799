from __future__ import annotations

import json
import re
import shutil
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from fastai.vision.augment import Resize, aug_transforms
from made import BASE, Stop, copied, same, tree
from torch.nn import functional

import quickvision as qv
from quickvision.data.options import Options
from quickvision.models.options import ModelOptions
from quickvision.runs import checkpointer
from quickvision.runs.checkpoints import save_checkpoint
from quickvision.runs.options import RunConfig

pytestmark = pytest.mark.usefixtures("each_epoch_is_kept")


def own_loss(pred, targ):
    return functional.cross_entropy(pred, targ)


TINY = {
    "arch": "timm/test_resnet", "size": 32, "bs": 4, "verbose": False,
    "frozen_epochs": 1, "unfrozen_epochs": 2, "lr": 4e-3,
}  # fmt: skip
# Each option of a run, of the model and of the pictures is in one of them with another value than
# its default, and each word that it may be; a test below counts them.
SETS = {
    "rates that are found, group by group": {
        "lr": "find", "gradual": True, "unfrozen_epochs": 3, "opt": "adamw", "wd": 0.3,
        "batch_norm": "keep",
    },
    "the same, with a decay that is a gradient": {
        "lr": "find", "gradual": True, "unfrozen_epochs": 3, "opt": "adam", "seed": 7,
    },
    "blended pictures in both stages": {
        "cache_features": False, "mixup": 0.4, "opt": "sgd", "momentum": 0.8, "schedule": "cosine",
        "frozen_epochs": 2,
    },
    "pieces of pictures": {"cutmix": 1.0, "opt": "ranger", "schedule": "flat_cos"},
    "augmented views and looks": {
        "views": 1, "tta": 1, "opt": "radam", "schedule": "step", "head": "linear", "dropout": 0.3,
    },
    "on a plateau, with torch's optimiser": {
        "schedule": "plateau", "opt": "adadelta", "lr": 3.0, "unfrozen_epochs": 3,
        "head": "fastai", "hidden": (16,), "activation": "gelu", "batch_norm": "train",
    },
    "while patience runs out": {
        "patience": 2, "schedule": "constant", "lr": 1.0, "unfrozen_epochs": 4, "opt": "rmsprop",
        "cache_features": False,
    },
    "patience that runs out before heads are solved": {
        "patience": 1, "schedule": "constant", "lr": 1.0, "lr_unfrozen": "find",
        "frozen_epochs": 6, "unfrozen_epochs": 4,
    },
    "a loss that weighs": {
        "loss": "focal", "class_weights": "balanced", "opt": "lamb", "layer_groups": 2,
        "augment": "none", "levels": "file",
    },
    "a loss of one's own": {"loss": own_loss, "opt": "larc", "balance": "oversample"},
    "smoothed labels": {
        "label_smoothing": 0.1, "opt": "qhadam", "balance": "weights", "groups": r"_(\d+)\.png$",
        "lr_unfrozen": slice(1e-4, 1e-2), "augment": "light", "flip": False,
        "vocab": ["red", "green", "blue"],
    },
    "other pictures": {
        "opt": "adagrad", "class_names": {"red": "rot", "green": "grün", "blue": "blau"},
        "crop_pct": 0.9, "interpolation": "bicubic", "resize": "squish", "cache": True,
        "max_bad": 0.5, "gradual": True,
        "fixes": {"blue/blue_05.png": "grün", "green/green_00.png": None, "red/red_00.png": "rot"},
    },
    "without weights": {
        "weights": None, "lr": 1e-2, "precision": "float32", "check": False, "resize": "pad",
        "valid": [Path(c) / f"{c}_02.png" for c in ("red", "green", "blue")],
    },
    "transforms of one's own": {
        "item_tfms": Resize(36), "batch_tfms": aug_transforms(size=32), "log": "tensorboard",
        "deterministic": True, "frozen_epochs": 2, "unfrozen_epochs": 0, "plots": False,
        "report": False,
    },
    "epochs that a budget picks": {
        "batch_norm": "adapt", "budget": "10min", "interpolation": "lanczos",
    },
    "worker processes": {"num_workers": 2, "interpolation": "nearest", "frozen_epochs": 0},
}  # fmt: skip
# What is in none of them, and why.
LEFT_OUT = {
    ("compile", True): "the compiler takes a minute; each process compiles anew, and keeps nothing",
    ("precision", "bf16"): "no CPU has it",
    ("precision", "fp16"): "no CPU has it; its scaler's state is in the checkpoint (test_gpu)",
    ("log", "wandb"): "asks the net; a logger only listens, as TensorBoard's does",
}


@pytest.mark.parametrize(
    "table", [RunConfig, ModelOptions, Options], ids=lambda table: table.__name__
)
def test_no_option_is_forgotten(table):
    for one in fields(table):
        tried = [options[one.name] for options in (TINY, *SETS.values()) if one.name in options]
        left = [value for name, value in LEFT_OUT if name == one.name]
        assert [v for v in (*tried, *left) if v is not one.default and v != one.default], (
            f"{one.name}: give it a value in SETS that is not its default, or say why not"
        )
        for word in one.metadata.get("words", ()):
            assert word in (one.default, *left) or word in [
                v for v in tried if isinstance(v, str)
            ], f"{one.name}={word!r}: put it into one of SETS, or say why not"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::quickvision.DataWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", SETS)
def test_a_killed_run_ends_as_if_it_had_not_been(name, picture, body, tmp_path):
    for colour, n in (("red", 3), ("green", 5), ("blue", 6)):
        for i in range(n):
            picture(tmp_path / "colours" / colour / f"{colour}_{i:02d}.png", colour, i, side=24)
    options = {"weights": body, **TINY, **SETS[name]}
    with copied(tmp_path / "killed") as killed:
        whole = qv.train(tmp_path / "colours", out=tmp_path / "whole", **options)
    lacking = json.loads((whole.path / "config.json").read_text())["lacking"]
    again = {key: options[key] for key in (text.rpartition(".")[2] for text in lacking)}
    folders = list(killed.values())[:-1]  # the last one is complete
    assert len(folders) > len(whole.history)
    first = options["lr"] != "find"  # before the first checkpoint: a run from its start
    for folder in folders[first :: 5 if "budget" in options else 1]:
        same(whole, qv.resume(folder, verbose=False, **again))


@pytest.mark.slow
@pytest.mark.parametrize("at", [("frozen", 1), ("unfrozen", 0), ("top 2 groups", 0)], ids=str)
def test_a_run_that_ctrl_c_stops_in_an_epoch_ends_so_too(class_folders, body, tmp_path, at):
    options = {**BASE, "weights": body, "frozen_epochs": 2, "unfrozen_epochs": 2, "lr": 4e-3}
    options["gradual"] = "top" in at[0]
    whole = qv.train(class_folders, out=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        qv.train(class_folders, out=tmp_path / "cut", cbs=Stop(*at, 1), **options)
    cut = qv.resume(tmp_path / "cut" / "colours-001", cbs=Stop("never", 0), verbose=False)
    same(whole, cut)


@pytest.mark.parametrize("n", [2, 4, 5])
def test_a_kill_between_the_best_weights_and_the_checkpoint_changes_nothing(
    once_stopped, class_folders, body, tmp_path, monkeypatch, n
):
    """`best.pth` is of an epoch then that is trained again: on the CPU to the same bits."""
    options = {**BASE, "weights": body, "lr": 4e-3, "frozen_epochs": 2, "unfrozen_epochs": 2}
    calls = []

    def killed(folder, checkpoint):
        calls.append(1)
        if len(calls) == n:
            raise KeyboardInterrupt
        return save_checkpoint(folder, checkpoint)

    monkeypatch.setattr(checkpointer, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        qv.train(class_folders, out=tmp_path / "cut", **options)
    cut = qv.resume(tmp_path / "cut" / "colours-001", verbose=False)
    copy = shutil.copytree(once_stopped / "runs" / "colours-001", tmp_path / "copy")
    settings = copy / "config.json"
    settings.write_text(settings.read_text().replace(str(once_stopped), str(tmp_path)))
    same(qv.resume(copy, verbose=False), cut)


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
    before = tree(stopped)
    new = picture(class_folders / "red" / "new.png", "red", seed=99)
    with pytest.raises(qv.RunError, match=r"1 new ones \(red/new.png\) and 0 gone"):
        qv.resume(stopped, verbose=False)
    new.unlink()
    (class_folders / "red" / "red_00.png").rename(class_folders.parent / "red_00.png")
    with pytest.raises(qv.RunError, match=r"0 new ones \(\) and 1 gone \(red/red_00.png\)"):
        qv.resume(stopped, verbose=False)
    assert {name: file for name, file in tree(stopped).items() if name != "lock"} == {
        name: file for name, file in before.items() if name != "lock"
    }


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


def test_it_says_where_it_goes_on(stopped, capsys):
    qv.resume(stopped)
    said = capsys.readouterr().out
    assert re.search(r"resumed +.*colours-001, after unfrozen epoch 1\n", said)
    assert "unfrozen 2/2" in said
    assert "frozen 1/2" not in said.replace("unfrozen", "")


def test_a_run_from_before_keeps_its_order_of_classes(tmp_path, picture, monkeypatch):
    """Numbers were sorted as text once: its weights know 10 as the second class."""
    from quickvision.data import loaders
    from quickvision.runs import config
    from quickvision.runs.folder import check_same

    for i in (0, 2, 10):
        for n in range(6):
            picture(tmp_path / "d" / str(i) / f"{n}.png", "red", seed=10 * i + n)
    how = {"arch": "timm/test_resnet", "weights": None, "size": 32, "verbose": False}
    how |= {"frozen_epochs": 0, "unfrozen_epochs": 2, "lr": 1e-3, "out": tmp_path / "runs"}
    with monkeypatch.context() as patch:
        patch.setattr(loaders, "in_order", sorted)
        with pytest.raises(KeyboardInterrupt):
            qv.train(tmp_path / "d", cbs=Stop("unfrozen", 1), **how)
    run = tmp_path / "runs" / "d-001"
    assert config.read_config(run).sides.vocab == ("0", "10", "2")
    gone_on = qv.resume(run, cbs=[], verbose=False)
    assert list(gone_on.learn.dls.vocab) == ["0", "10", "2"]
    dls = qv.from_folder(tmp_path / "d", size=32)
    assert list(dls.vocab) == ["0", "2", "10"]
    with pytest.raises(qv.RunError, match=r"in the order of .*vocab=\['0', '10', '2'\]"):
        check_same(run, config.read_config(run).sides, dls)
