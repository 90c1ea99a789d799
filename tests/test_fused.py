from __future__ import annotations

import pytest
import torch
from fastai.data.core import DataLoader, DataLoaders
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.optimizer import Adam
from fastai.torch_core import params
from torch import nn

import quickvision as qv
from quickvision.models.optimisers import FusedAdam


def trained(opt_func):
    """Train a small net frozen and unfrozen, the same each time but for the optimiser."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    x = torch.randn(48, 3, 12, 12)
    rows = list(zip(x, (x.mean((1, 2, 3)) > 0).long(), strict=True))
    learn = Learner(
        DataLoaders(DataLoader(rows, bs=16), DataLoader(rows, bs=16)),
        nn.Sequential(body, head),
        loss_func=CrossEntropyLossFlat(),
        opt_func=opt_func,
        splitter=lambda m: [params(m[0]), params(m[1])],
        wd=0.3,
    )
    with learn.no_bar(), learn.no_logging():
        learn.freeze()
        learn.fit_one_cycle(2, 1e-2)
        learn.unfreeze()
        learn.fit_one_cycle(3, slice(1e-3, 1e-2))
    return learn


def test_it_takes_the_steps_of_fastais_adam():
    ours, theirs = trained(FusedAdam), trained(Adam)
    for a, b in zip(params(ours.model), params(theirs.model), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_fastai_sees_the_layer_groups_that_it_gave():
    learn = trained(FusedAdam)
    assert len(learn.opt.hypers) == len(learn.opt.param_lists) == 2
    assert [hyper["wd"] for hyper in learn.opt.hypers] == [0.3, 0.3]
    first, last = (hyper["lr"] for hyper in learn.opt.hypers)
    assert last / first == pytest.approx(10)
    assert sum(map(len, learn.opt.param_lists)) == len(params(learn.model))


def test_biases_and_norms_do_not_decay():
    for half in trained(FusedAdam).opt.opt.param_groups:
        decays = {p.ndim > 1 for p in half["params"]}
        assert len(decays) == 1
        assert (half["weight_decay"] > 0) == decays.pop()


def test_its_state_can_be_saved_and_read_safely(tmp_path):
    learn = trained(FusedAdam)
    learn.path = tmp_path
    learn.save("stage")
    state = torch.load(tmp_path / "models" / "stage.pth", weights_only=True)
    assert set(state) == {"model", "opt"}
    learn.load("stage")


def test_a_learner_of_one_group_may_use_it(named_files):
    """The head on cached features is such a one."""
    dls = qv.from_name_re(named_files, r"^(.+)_", size=32, bs=6)
    learn = qv.cnn_learner(dls, "timm/test_resnet", weights=None, opt_func=FusedAdam)
    learn.freeze()
    history = qv.fit_frozen(qv.feature_learner(learn), 1, lr_max=1e-3, verbose=False)
    assert history["train_loss"].notna().all()
    qv.fit_unfrozen(learn, 1, lr_max=slice(1e-4, 1e-3), verbose=False)
    assert len(learn.opt.hypers) == 3
