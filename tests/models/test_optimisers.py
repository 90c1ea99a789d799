from __future__ import annotations

from functools import partial

import fastai.optimizer
import pytest
import torch
from fastai.data.core import DataLoader, DataLoaders
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.optimizer import Adam
from fastai.torch_core import params
from torch import nn

import quickvision as qv
from quickvision.models.optimisers import OPTS, FusedAdam, find_opt, is_like_adam, opt_code


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


@pytest.mark.slow
@pytest.mark.parametrize("opt", OPTS)
def test_every_optimiser_goes_through_the_main_job(class_folders, tiny_net, tmp_path, opt):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    options = {"frozen_epochs": 1, "unfrozen_epochs": 1, "out": tmp_path, "verbose": False}
    run = qv.train(dls, arch=tiny_net, opt=opt, wd=0.01, **options)
    assert len(run.history) == 2
    assert run.history["train_loss"].notna().all()
    searched = set() if is_like_adam(find_opt(opt)) else {"unfrozen"}
    assert set(run.lr_finds) == {"frozen"} | searched


def stepped(opt_func, steps=3):
    weight = nn.Parameter(torch.tensor([1.0, -2.0]))
    opt = opt_func([weight], lr=0.1, wd=0.1)
    for _ in range(steps):
        (weight**2).sum().backward()
        opt.step()
        opt.zero_grad()
    return weight.detach()


def oracle(make, steps=3):
    weight = nn.Parameter(torch.tensor([1.0, -2.0]))
    opt = make([weight])
    for _ in range(steps):
        opt.zero_grad()
        (weight**2).sum().backward()
        opt.step()
    return weight.detach()


@pytest.mark.parametrize("opt", OPTS)
def test_the_code_of_an_optimiser_makes_the_same(opt):
    torchs = opt in ("adadelta", "adagrad")  # they have no momentum to set
    for momentum in (None,) if torchs else (None, 0.5):
        code = opt_code(opt.upper(), momentum)
        made, found = (
            eval(code, {**vars(fastai.optimizer), "torch": torch}),
            find_opt(opt, momentum),
        )
        if isinstance(found, partial):
            assert (made.func, made.keywords) == (found.func, found.keywords)
        else:
            assert made is found


def test_the_code_of_your_own_optimiser_is_left_out():
    assert opt_code(Adam) == "..."
    assert opt_code(None) == "Adam"
    assert opt_code(Adam, 0.5) == "partial(..., mom=0.5)"


def test_adam_and_adamw_are_what_torch_calls_so():
    options = {"lr": 0.1, "weight_decay": 0.1, "betas": (0.9, 0.99), "eps": 1e-5}
    adamw = oracle(lambda p: torch.optim.AdamW(p, **options))
    adam = oracle(lambda p: torch.optim.Adam(p, **options))
    torch.testing.assert_close(stepped(find_opt("adamw")), adamw)
    torch.testing.assert_close(stepped(find_opt("adam")), adam)
    assert not torch.allclose(adam, adamw)


def test_sgd_has_momentum():
    plain = stepped(find_opt("sgd", 0.0))
    assert not torch.allclose(stepped(find_opt("SGD")), plain)
    torch.testing.assert_close(stepped(find_opt("sgd", 0.9)), stepped(find_opt("sgd")))


def test_a_function_passes_through_and_none_is_fastais_adam():
    assert find_opt(Adam) is Adam
    assert find_opt(None) is Adam


def test_momentum_is_fixed_in_the_learner(class_folders, tiny_net):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    learn = qv.cnn_learner(dls, tiny_net, opt="sgd", momentum=0.5)
    learn.create_opt()
    qv.fit_frozen(learn, 1, verbose=False)
    assert learn.opt.hypers[-1]["mom"] == 0.5


def test_whose_steps_are_as_long_as_the_rate():
    alike = {name for name in OPTS if is_like_adam(find_opt(name))}
    assert alike == {"adamw", "adam", "rmsprop", "radam", "qhadam", "lamb", "ranger"}
    assert is_like_adam(FusedAdam)
    assert is_like_adam(find_opt(None, momentum=0.9))
    assert not is_like_adam(lambda params, lr: None)
