from __future__ import annotations

import json
import random

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.mixup import MixUp
from fastai.callback.progress import ShowGraphCallback
from fastai.data.transforms import Normalize
from fastai.losses import CrossEntropyLossFlat
from fastai.vision.augment import Resize
from made import Stop
from PIL import Image
from torch import nn
from torch.nn import functional

import quickvision as qv
from quickvision.data.transforms import Look
from quickvision.runs.build import asked_for, check_loss
from quickvision.runs.options import RunConfig


@pytest.mark.slow
def test_a_run_with_bs_auto_writes_down_what_was_found(class_folders, tmp_path, capsys):
    run = qv.train(
        class_folders, arch="timm/resnet10t", weights=None, size=32, bs="auto", lr=1e-3,
        frozen_epochs=0, unfrozen_epochs=1, out=tmp_path,
    )  # fmt: skip
    assert "batch        8 pictures, as bs='auto' finds" in capsys.readouterr().out
    assert json.loads((run.path / "config.json").read_text())["pictures"]["bs"] == 8
    assert run.learn.dls.train.bs == run.learn.dls.valid.bs == 8
    assert len(run.learn.dls.train) == 29 // 8
    again = qv.resume(run.path, verbose=False)
    assert again.learn.dls.train.bs == 8


def test_options_that_do_not_go_with_the_data(class_folders, tiny_net, tmp_path):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    learn = qv.cnn_learner(dls, tiny_net, weights=None)
    with pytest.raises(TypeError, match="size: goes with a folder; here the data is DataLoaders"):
        qv.train(dls, size=64, out=tmp_path)
    with pytest.raises(TypeError, match="a Learner has its own"):
        qv.train(learn, arch="resnet18", out=tmp_path)
    with pytest.raises(TypeError, match="expected a folder, DataLoaders or a Learner, got int"):
        qv.train(3, out=tmp_path)


@pytest.mark.filterwarnings("ignore:.*the same picture")  # all of them are
def test_train_takes_size_interpolation_and_crop_from_the_model(framed, tiny_net, tmp_path):
    quick = {"frozen_epochs": 0, "unfrozen_epochs": 1, "lr": 1e-3, "weights": None}
    quick |= {"out": tmp_path / "runs", "verbose": False, "bs": 4}
    run = qv.train(framed, arch="timm/test_resnet", **quick)
    settings = qv.model_settings("timm/test_resnet")
    assert run.learn.dls.one_batch()[0].shape[-1] == settings.input_size
    (view,) = [t.view for t in run.learn.dls.valid.after_item.fs if isinstance(t, Look)]
    assert (view.crop_pct, view.interpolation) == (settings.crop_pct, settings.interpolation)
    (resize,) = [t for t in run.learn.dls.after_item.fs if isinstance(t, Resize)]
    assert resize.resamples[0] == Image.Resampling[settings.interpolation.upper()]
    run = qv.train(framed, arch="timm/test_resnet", size=48, crop_pct=1.0, **quick)
    assert run.learn.dls.one_batch()[0].shape[-1] == 48
    (view,) = [t.view for t in run.learn.dls.valid.after_item.fs if isinstance(t, Look)]
    assert view.crop_pct == 1
    assert [t for t in run.learn.dls.valid.after_batch.fs if isinstance(t, Normalize)]


def test_options_of_the_model_and_of_the_pictures_are_told_apart():
    given = {"head": "linear", "size": 32, "pat": "x", "opt": "sgd", "lr": 0.1, "seed": 3}
    run, model, pictures = asked_for(given)
    assert run == {"lr": 0.1, "seed": 3}
    assert model == {"head": "linear", "opt": "sgd"}
    assert pictures == {"size": 32, "pat": "x"}
    with pytest.raises(TypeError, match="siez: no such option; did you mean 'size'"):
        asked_for({"siez": 32})
    with pytest.raises(TypeError, match="did you mean 'budget'"):
        asked_for({"bugdet": 32})
    with pytest.raises(TypeError, match="did you mean 'verbose'"):
        asked_for({"verbos": 32}, others=("verbose",))


def own(pred, targ):
    return functional.cross_entropy(pred, targ)


class Own(nn.Module):
    def forward(self, pred, targ):
        return own(pred, targ)


def pairs(pred, targ):
    return own(pred, targ) + (pred[0] - pred[1]).abs().mean()


QUICK = {"size": 32, "bs": 6, "lr": 4e-3, "frozen_epochs": 1, "unfrozen_epochs": 1}


@pytest.mark.slow
@pytest.mark.parametrize("loss", [Own(), nn.CrossEntropyLoss()], ids=["module", "torch"])
@pytest.mark.usefixtures("each_epoch_is_kept")
def test_a_loss_of_ones_own_works_to_the_end(class_folders, tiny_net, tmp_path, loss):
    options = {**QUICK, "arch": tiny_net, "verbose": False}
    usual = qv.train(class_folders, out=tmp_path / "usual", **options)
    run = qv.train(class_folders, loss=loss, out=tmp_path / "own", **options)
    np.testing.assert_array_equal(run.preds.probs, usual.preds.probs)
    np.testing.assert_allclose(run.preds.losses, usual.preds.losses, rtol=1e-5)
    tables = [pd.read_csv(each.path / "predictions.csv") for each in (run, usual)]
    pd.testing.assert_frame_equal(*tables)
    assert "loss_func=..." in run.show_code()
    assert qv.Predictor(run.learn).predict(run.preds.paths[0]).prob == pytest.approx(
        run.preds.probs[0].max(), abs=1e-5
    )
    with pytest.raises(KeyboardInterrupt):
        qv.train(class_folders, loss=loss, out=tmp_path / "cut", cbs=Stop("unfrozen", 0), **options)
    given = {"arch": tiny_net, "loss": loss, "cbs": Stop("never", 0), "verbose": False}
    resumed = qv.resume(tmp_path / "cut" / "colours-001", **given)
    np.testing.assert_array_equal(resumed.preds.probs, run.preds.probs)
    np.testing.assert_array_equal(resumed.preds.losses, run.preds.losses)


@pytest.mark.parametrize("loss", [own, nn.CrossEntropyLoss()], ids=["f", "torch"])
@pytest.mark.parametrize("how", [{"mixup": 0.4}, {"cutmix": 1.0}, {"cbs": MixUp()}])
def test_what_cannot_be_blended_is_refused_before_anything_is_written(
    class_folders, tiny_net, tmp_path, loss, how
):
    name = "MixUp" if "cbs" in how else next(iter(how))
    with pytest.raises(TypeError, match=f"{name}: expected a loss that fastai can blend .* got"):
        qv.train(
            class_folders, arch=tiny_net, loss=loss, out=tmp_path / "o", verbose=False,
            **QUICK, **how,
        )  # fmt: skip
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("loss", [None, "focal", CrossEntropyLossFlat()], ids=str)
def test_fastais_losses_are_blended(class_folders, tiny_net, tmp_path, loss):
    learn = qv.cnn_learner(qv.from_folder(class_folders, size=32, bs=6), tiny_net, loss=loss)
    check_loss(learn, RunConfig(mixup=0.4))
    check_loss(learn, RunConfig(), cbs=MixUp())


def test_a_loss_of_pictures_together_is_refused_before_anything_is_written(
    class_folders, tiny_net, tmp_path
):
    with pytest.raises(TypeError, match="loss: expected one that says what each picture loses"):
        qv.train(
            class_folders, arch=tiny_net, loss=pairs, out=tmp_path / "o", verbose=False, **QUICK
        )
    assert not (tmp_path / "o").exists()


def test_a_loss_that_does_not_take_classes_is_refused_before_anything_is_written(
    class_folders, tiny_net, tmp_path
):
    how = {"arch": tiny_net, "loss": nn.MSELoss(), "out": tmp_path / "o", "verbose": False}
    with pytest.raises(TypeError, match=r"loss: expected one of outputs .* got MSELoss, which fa"):
        qv.train(class_folders, **how, **QUICK)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("cbs", "match"),
    [
        ([1], "cbs: expected fastai callbacks, got 1"),
        (ShowGraphCallback(), "got ShowGraphCallback; plot_history shows the same afterwards"),
        ([ShowGraphCallback], "got ShowGraphCallback"),
    ],
)
def test_callbacks_that_cannot_be_are_refused_before_anything_is_written(
    class_folders, tiny_net, tmp_path, cbs, match
):
    how = {"arch": tiny_net, "cbs": cbs, "out": tmp_path / "o", "verbose": False}
    with pytest.raises(TypeError, match=match):
        qv.train(class_folders, **how, **QUICK)
    assert not (tmp_path / "o").exists()


def test_looking_at_the_loss_leaves_the_learner_as_it_was(learn):
    learn.model.train()
    before = {name: value.clone() for name, value in learn.model.state_dict().items()}
    order, states = learn.dls.train.rng.getstate(), (random.getstate(), torch.get_rng_state())
    check_loss(learn, RunConfig())
    assert learn.model.training
    assert all(torch.equal(learn.model.state_dict()[name], value) for name, value in before.items())
    assert (learn.dls.train.rng.getstate(), random.getstate()) == (order, states[0])
    assert torch.equal(torch.get_rng_state(), states[1])
    assert all(p.grad is None for p in learn.model.parameters())


def test_a_run_is_no_data_and_how_to_train_it_further_is_said(run):
    with pytest.raises(TypeError, match=r"got Run; resume trains a run further"):
        qv.train(run)


def test_a_pattern_is_called_pat(tmp_path):
    for call in (qv.train, qv.load_data):
        with pytest.raises(TypeError, match="pattern: no such option; did you mean 'pat'"):
            call(tmp_path, pattern=r"(.+)_\d+")
