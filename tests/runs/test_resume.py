from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch
from made import BASE, Stop, same

import quickvision as qv

pytestmark = pytest.mark.usefixtures("each_epoch_is_kept")


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


@pytest.mark.slow
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
