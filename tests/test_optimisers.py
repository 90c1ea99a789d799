from __future__ import annotations

import pytest
import torch
from fastai.optimizer import Adam
from torch import nn

import quickvision as qv
from quickvision.models.optimisers import OPTS, find_opt


@pytest.mark.parametrize("opt", OPTS)
def test_every_optimiser_goes_through_the_main_job(class_folders, tiny_net, tmp_path, opt):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    options = {"frozen_epochs": 1, "unfrozen_epochs": 1, "out": tmp_path, "verbose": False}
    run = qv.train(dls, arch=tiny_net, opt=opt, wd=0.01, **options)
    assert len(run.history) == 2
    assert run.history["train_loss"].notna().all()
    assert set(run.lr_finds) == {"frozen", "unfrozen"}


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
