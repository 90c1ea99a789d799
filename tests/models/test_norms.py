from __future__ import annotations

import pickle

import pytest
import torch
from fastai.data.core import DataLoaders
from torch import nn

import quickvision as qv
from quickvision.base.errors import ModelError
from quickvision.models.norms import KeepNorms, keeps_norms


@pytest.fixture
def dls(class_folders) -> DataLoaders:
    return qv.from_folder(class_folders, size=32, bs=6)


def statistics(learn):
    norms = [m for m in learn.model.modules() if isinstance(m, nn.BatchNorm2d)]
    return [t.clone() for norm in norms for t in (norm.running_mean, norm.running_var)]


def weights_of(learn):
    norms = [m for m in learn.model[0].modules() if isinstance(m, nn.BatchNorm2d)]
    return [norm.weight.detach().clone() for norm in norms]


def test_statistics_stay_and_scale_and_shift_train(dls, tiny_net, tmp_path):
    learn = qv.cnn_learner(dls, tiny_net, path=tmp_path)
    before, scales = statistics(learn), weights_of(learn)
    qv.fit_unfrozen(learn, 1, lr_max=1e-2, verbose=False)
    assert all(torch.equal(a, b) for a, b in zip(before, statistics(learn), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(scales, weights_of(learn), strict=True))


def test_plain_fit_of_fastai_keeps_them_too(dls, tiny_net, tmp_path):
    learn = qv.cnn_learner(dls, tiny_net, path=tmp_path)
    before = statistics(learn)
    learn.unfreeze()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 1e-3)
    assert all(torch.equal(a, b) for a, b in zip(before, statistics(learn), strict=True))


@pytest.mark.parametrize("options", [{"batch_norm": "train"}, {"weights": None}])
def test_or_they_train(dls, tiny_net, tmp_path, options):
    learn = qv.cnn_learner(dls, tiny_net, path=tmp_path, **options)
    before = statistics(learn)
    qv.fit_unfrozen(learn, 1, verbose=False)
    assert not any(torch.equal(a, b) for a, b in zip(before, statistics(learn), strict=True))


def test_norms_of_fastais_head_train(dls, tiny_net, tmp_path):
    learn = qv.cnn_learner(dls, tiny_net, head="fastai", path=tmp_path)
    norm = next(m for m in learn.model[1] if isinstance(m, nn.BatchNorm1d))
    before = norm.running_mean.clone()
    qv.fit_unfrozen(learn, 1, verbose=False)
    assert not torch.equal(before, norm.running_mean)


def test_without_weights_there_is_nothing_to_keep(dls, tiny_net):
    with pytest.raises(ModelError, match="no statistics to keep"):
        qv.cnn_learner(dls, tiny_net, weights=None, batch_norm="keep")


@pytest.mark.parametrize(
    ("asked", "pretrained", "kept"),
    [(None, True, True), (None, False, False), ("keep", True, True), ("train", True, False)],
)
def test_kept_where_they_came_with_weights(asked, pretrained, kept):
    assert keeps_norms(asked, pretrained=pretrained) is kept


def test_a_misspelled_way_is_named(dls, tiny_net):
    with pytest.raises(ValueError, match="batch_norm: expected None, 'keep', 'adapt' or 'train'"):
        qv.cnn_learner(dls, tiny_net, batch_norm="kept")


def test_the_callback_can_be_pickled():
    assert isinstance(pickle.loads(pickle.dumps(KeepNorms())), KeepNorms)


def test_a_seed_makes_the_same_head_and_leaves_random_states(dls, tiny_net):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    heads = [qv.cnn_learner(dls, tiny_net, seed=seed).model[1].state_dict() for seed in (1, 1, 2)]
    assert torch.equal(torch.rand(1), expected)
    one, same, other = (next(iter(head.values())) for head in heads)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
