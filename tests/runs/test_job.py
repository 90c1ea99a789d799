from __future__ import annotations

import pytest
import torch
from fastai.callback.mixup import MixUp

import quickvision as qv


def test_the_ordinary_frozen_stage_is_fastais(class_folders, tiny_net, tmp_path, capsys):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    learn = qv.cnn_learner(dls, tiny_net, head="fastai", batch_norm="train")
    body = learn.model[0][1].running_mean.clone()
    options = {"frozen_epochs": 1, "unfrozen_epochs": 0, "lr": 1e-3, "out": tmp_path / "o"}
    run = qv.train(learn, cache_features=False, **options)
    assert run.history["cached"].tolist() == [False]
    assert not torch.equal(body, learn.model[0][1].running_mean)  # fastai trains batch norms
    assert "features" not in run.timing
    assert "because of" not in capsys.readouterr().out
    with pytest.raises(TypeError, match="views: goes with cached features"):
        qv.train(learn, cache_features=False, views=1, **options)


def test_where_features_cannot_be_kept_it_says_why_and_goes_on(
    class_folders, tiny_net, tmp_path, capsys
):
    learn = qv.cnn_learner(qv.from_folder(class_folders, size=32, bs=6), tiny_net)
    options = {"frozen_epochs": 1, "unfrozen_epochs": 0, "lr": 1e-3, "out": tmp_path / "o"}
    run = qv.train(learn, cbs=MixUp(), **options)
    assert run.history["cached"].tolist() == [False]
    assert "because of the callback MixUp" in capsys.readouterr().out


def test_after_a_stage_on_features_the_learners_recorder_has_it(class_folders, tiny_net, tmp_path):
    learn = qv.cnn_learner(qv.from_folder(class_folders, size=32, bs=6), tiny_net)
    options = {"frozen_epochs": 2, "unfrozen_epochs": 0, "lr": 1e-3, "out": tmp_path / "o"}
    run = qv.train(learn, verbose=False, views=1, **options)
    recorder = run.learn.recorder
    assert len(recorder.values) == 2
    assert len(recorder.losses) == 2 * len(learn.dls.train)
    assert max(recorder.hps["lr"]) == pytest.approx(1e-3, rel=0.1)
    assert recorder.learn is learn


@pytest.mark.slow
def test_a_budget_picks_the_epochs(class_folders, tiny_net, tmp_path, capsys):
    options = {"lr": 1e-3, "out": tmp_path / "o", "verbose": False}
    dls = qv.from_folder(class_folders, size=32, bs=6)
    long = qv.train(dls, arch=tiny_net, budget="10min", **options)
    assert long.history["stage"].value_counts().to_dict() == {"unfrozen": 10, "frozen": 4}
    short = qv.train(dls, arch=tiny_net, budget=0.01, **{**options, "verbose": True})
    assert "too short: this is the least" in capsys.readouterr().out
    assert short.history["stage"].tolist() == ["frozen"] * 4
    none = qv.train(dls, arch=tiny_net, budget="10min", unfrozen_epochs=0, **options)
    assert set(none.history["stage"]) == {"frozen"}
    with pytest.raises(ValueError, match="budget: expected a time"):
        qv.train(dls, arch=tiny_net, budget="soon", **options)
