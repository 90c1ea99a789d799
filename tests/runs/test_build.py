from __future__ import annotations

import json

import pytest
from fastai.data.transforms import Normalize
from PIL import Image

import quickvision as qv
from quickvision.data.transforms import CentreCrop
from quickvision.runs.build import asked_for


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
    crops = [t.crop_pct for t in run.learn.dls.valid.after_batch.fs if isinstance(t, CentreCrop)]
    assert crops == [settings.crop_pct]
    resize = run.learn.dls.after_item.fs[-2]
    assert resize.resamples[0] == Image.Resampling[settings.interpolation.upper()]
    run = qv.train(framed, arch="timm/test_resnet", size=48, crop_pct=1.0, **quick)
    assert run.learn.dls.one_batch()[0].shape[-1] == 48
    assert not [t for t in run.learn.dls.valid.after_batch.fs if isinstance(t, CentreCrop)]
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
