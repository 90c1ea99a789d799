from __future__ import annotations

import errno
import os

import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.data import WeightedDL
from fastai.callback.mixup import MixUp
from fastai.callback.tracker import SaveModelCallback
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.torch_core import no_random, params
from torch import nn

import quickvision as qv
from quickvision.training import features
from quickvision.training.features import why_not

BATCH = 6


@pytest.fixture
def frozen(class_folders, tiny_net, tmp_path):
    """A learner of a tiny net that is taken for a pretrained one, frozen."""
    dls = qv.from_folder(class_folders, size=32, bs=BATCH)
    return qv.cnn_learner(dls, tiny_net, path=tmp_path / "out")


def outputs(learn, dl, split):
    """What the whole model says, in evaluation mode, by plain torch."""
    with dl.dataset.set_split_idx(split), torch.no_grad():
        batches = list(dl.new(shuffle=False, drop_last=False))
        out = [learn.model.eval()(x.as_subclass(torch.Tensor)) for x, _ in batches]
        return torch.cat(out), torch.cat([y.as_subclass(torch.Tensor) for _, y in batches])


@pytest.mark.slow
def test_a_batch_that_does_not_fit_is_looked_at_in_parts(frozen, monkeypatch):
    whole = [dl.dataset.x for dl in qv.feature_learner(frozen).dls.loaders]
    fold = features.folded

    def small(body, x):
        body = fold(body, x)

        def in_little_memory(x):
            if len(x) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return body(x)

        return in_little_memory

    monkeypatch.setattr(features, "folded", small)
    parts = [dl.dataset.x for dl in qv.feature_learner(frozen).dls.loaders]
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("side", [0, 1])
def test_the_head_says_of_the_features_what_the_model_says_of_the_pictures(frozen, side):
    head = qv.feature_learner(frozen)
    seen = head.dls.loaders[side].dataset
    out, targs = outputs(frozen, frozen.dls.loaders[side], split=1)
    assert torch.equal(seen.y, targs)
    torch.testing.assert_close(head.model.eval()(seen.x[0]), out, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "arch", ["timm/test_vit", "timm/test_convnext", "timm/test_efficientnet", "squeezenet1_1"]
)
def test_convnets_and_transformers_of_both_libraries(class_folders, arch):
    dls = qv.from_folder(class_folders, size=160 if "vit" in arch else 64, bs=BATCH)
    learn = qv.cnn_learner(dls, arch, weights=None)
    learn.freeze()
    head = qv.feature_learner(learn)
    out, _ = outputs(learn, learn.dls.valid, split=1)
    said = head.model.eval()(head.dls.valid.dataset.x[0])
    torch.testing.assert_close(said, out, rtol=1e-3, atol=1e-4)
    assert head.dls.train.dataset.x.ndim == 3  # pooled: [views, n, features]


def test_training_it_trains_the_learners_own_head_and_nothing_else(frozen):
    head = qv.feature_learner(frozen)
    body = {k: v.clone() for k, v in frozen.model[0].state_dict().items()}
    last = frozen.model[1][-1].weight.clone()
    history = qv.fit_frozen(head, 3, lr_max=1e-2, verbose=False)
    assert all(torch.equal(v, body[k]) for k, v in frozen.model[0].state_dict().items())
    assert not torch.equal(last, frozen.model[1][-1].weight)
    assert params(head.model)[-1] is params(frozen.model)[-1]
    preds = qv.get_preds(frozen)
    assert history["accuracy"].iloc[-1] == pytest.approx(preds.accuracy.value)
    assert history["valid_loss"].iloc[-1] == pytest.approx(preds.losses.mean(), rel=1e-3)


def test_it_learns(frozen):
    history = qv.fit_frozen(qv.feature_learner(frozen), 20, lr_max=3e-2, verbose=False)
    assert history["accuracy"].max() > 0.8


def test_it_keeps_the_learners_settings(class_folders, tiny_net, tmp_path):
    loss = CrossEntropyLossFlat(weight=torch.tensor([1.0, 2.0, 3.0]))
    dls = qv.from_folder(class_folders, size=32, bs=BATCH)
    learn = qv.cnn_learner(dls, tiny_net, loss_func=loss, wd=0.3, moms=(0.9, 0.8, 0.9))
    head = qv.feature_learner(learn)
    assert (head.loss_func, head.wd, head.moms) == (loss, 0.3, (0.9, 0.8, 0.9))
    assert head.dls.train.bs == BATCH
    assert len(head.dls.train) == len(learn.dls.train)  # drop_last as there


def test_views_are_augmented_passes_and_a_batch_draws_from_all_of_them(frozen):
    seen = qv.feature_learner(frozen, views=2).dls.train.dataset
    assert seen.x.shape[:2] == (3, 29)
    torch.testing.assert_close(seen.x[0], qv.feature_learner(frozen).dls.train.dataset.x[0])
    assert not torch.allclose(seen.x[0], seen.x[1])
    assert not torch.allclose(seen.x[1], seen.x[2])
    drawn = torch.stack([seen.batch([7])[0][0] for _ in range(60)])
    which = [[torch.equal(one, view) for view in seen.x[:, 7]].index(True) for one in drawn]
    assert set(which) == {0, 1, 2}


def test_the_learner_is_left_as_it_was(frozen):
    frozen.model.train()
    before = {k: v.clone() for k, v in frozen.model.state_dict().items()}
    pytorch = torch.get_rng_state()
    dls, split = frozen.dls, frozen.dls.train.dataset.split_idx
    qv.feature_learner(frozen)
    assert frozen.model.training
    assert frozen.dls is dls
    assert dls.train.dataset.split_idx == split
    assert all(torch.equal(v, before[k]) for k, v in frozen.model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), pytorch)


def test_large_features_lie_in_a_file_that_has_no_name(frozen, tmp_path, monkeypatch):
    monkeypatch.setenv("QUICKVISION_CACHE", str(tmp_path / "cache"))
    small = qv.feature_learner(frozen).dls.train.dataset.x
    monkeypatch.setattr(features, "LARGE", 0)
    head = qv.feature_learner(frozen)
    assert torch.equal(head.dls.train.dataset.x, small)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    qv.fit_frozen(head, 1, verbose=False)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="room is not asked for here")
def test_a_full_disk_is_said_before_anything_is_computed(frozen, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(features, "LARGE", 0)
    monkeypatch.setattr(os, "posix_fallocate", full)
    split = frozen.dls.train.dataset.split_idx
    with pytest.raises(qv.RunError, match=r"No space left.*cache_features=False") as caught:
        qv.feature_learner(frozen)
    assert caught.tb  # a notebook keeps it, and so all that was going on
    assert frozen.dls.train.dataset.split_idx == split


class Own(Callback):
    """A callback of the user's."""


def test_what_needs_pictures_is_said(frozen, tiny_net):
    assert why_not(frozen) == ""
    assert why_not(frozen, Own()) == ""
    assert "MixUp" in why_not(frozen, [MixUp()])
    assert "SaveModelCallback" in why_not(frozen, [SaveModelCallback()])
    frozen.add_cb(Own())
    assert "Own" in why_not(frozen)
    with pytest.raises(qv.ModelError, match=r"whose features can be kept, got the callback Own"):
        qv.feature_learner(frozen)


def test_a_model_that_cannot_be_cut(frozen, tiny_net):
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = tiny_net()

        def forward(self, x):
            return self.net(x)

    options = {"loss_func": CrossEntropyLossFlat()}
    assert "not a body followed by a head" in why_not(Learner(frozen.dls, Whole(), **options))
    assert "last layer group" in why_not(Learner(frozen.dls, tiny_net(), **options))


def test_a_loader_that_draws_in_its_own_way(frozen):
    train = frozen.dls.train
    weighted = train.new(cls=WeightedDL, wgts=[1.0] * len(train.dataset))
    frozen.dls = DataLoaders(weighted, frozen.dls.valid)
    assert "WeightedDL" in why_not(frozen)


@pytest.mark.parametrize("views", [-1, 1.5, "2"])
def test_views_that_make_no_sense(frozen, views):
    with pytest.raises(ValueError, match="views: expected a whole number from 0"):
        qv.feature_learner(frozen, views=views)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")  # it has a placeholder
def test_real_photos_and_weights_reach_what_a_logistic_regression_does(real_data):
    from sklearn.linear_model import LogisticRegression

    weights = real_data / "weights" / "mobilenet_v2_imagenet.pth"
    dls = qv.from_folder(real_data / "data" / "hymenoptera", bs=16)
    learn = qv.cnn_learner(dls, "mobilenet_v2", weights=weights)
    head = qv.feature_learner(learn)
    train, valid = (dl.dataset for dl in head.dls.loaders)
    outside = LogisticRegression(C=0.01, max_iter=1000).fit(train.x[0], train.y)
    expected = outside.score(valid.x[0], valid.y)
    with no_random(1):
        found = qv.find_lr(head, num_it=100)
        history = qv.fit_frozen(head, 4, lr_max=found, verbose=False)
    assert expected > 0.92
    low, high = qv.Accuracy(round(expected * len(valid)), len(valid)).interval
    assert low <= history["accuracy"].iloc[-1] <= high


class Doubled(nn.Sequential):
    """A head that is more than a chain."""

    def forward(self, x):
        return 2 * super().forward(x)


def test_a_head_that_is_more_than_a_chain_stays_whole(class_folders, tiny_net):
    head = Doubled(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3))
    dls = qv.from_folder(class_folders, size=32, bs=BATCH)
    learn = qv.cnn_learner(dls, tiny_net, head=head)
    cached = qv.feature_learner(learn)
    assert cached.dls.train.dataset.x.ndim == 5  # not pooled: the pooling belongs to the head
    out, _ = outputs(learn, learn.dls.valid, split=1)
    said = cached.model.eval()(cached.dls.valid.dataset.x[0])
    torch.testing.assert_close(said, out, rtol=1e-3, atol=1e-4)


def test_fastai_predicts_with_the_head_alone(frozen):
    head = qv.feature_learner(frozen)
    with head.no_bar(), head.no_logging():
        probs, targs = head.get_preds()
    preds = qv.get_preds(frozen)
    torch.testing.assert_close(probs, torch.tensor(preds.probs), rtol=1e-3, atol=1e-4)
    assert targs.tolist() == preds.targs.tolist()
