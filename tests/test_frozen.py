"""Frozen stays frozen: all optimisers, in all orders of searches and fits."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.data.core import DataLoader, DataLoaders
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.torch_core import params
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

import quickvision as qv
from quickvision.base.choices import OPTS
from quickvision.models.optimisers import FusedAdam, find_opt
from quickvision.training.guards import InParts
from quickvision.training.trials import measure_pace


class Watch(Callback):
    """See at the end of each fit that what was frozen at its beginning is as it was."""

    def before_fit(self):
        self.frozen = copied(self.model, trains=False)

    def after_fit(self):
        assert moved(self.model, self.frozen) == []


def copied(model, *, trains=None):
    return {
        name: p.detach().clone()
        for name, p in model.named_parameters()
        if trains is None or p.requires_grad is trains
    }


def moved(model, before):
    now = dict(model.named_parameters())
    return [name for name, p in before.items() if not torch.equal(now[name], p)]


def handmade(opt):
    """Four groups: three of a body with a norm layer, and a head; eight rows of numbers."""
    torch.manual_seed(0)
    random.seed(0)  # of the loaders' orders
    rows = [(torch.randn(4), torch.tensor(i % 2)) for i in range(8)]
    dls = DataLoaders(*(DataLoader(rows, bs=4, shuffle=side, num_workers=0) for side in (1, 0)))
    layers = [nn.Linear(4, 5), nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 4)), nn.Linear(4, 4)]
    model = nn.Sequential(*layers, nn.Linear(4, 2))
    return Learner(
        dls,
        model,
        loss_func=CrossEntropyLossFlat(),
        opt_func=FusedAdam if opt == "fused" else find_opt(opt),
        splitter=lambda model: [params(group) for group in model],
        wd=0.3,
    )


RATE = {"adadelta": 1.0}
HOW = {"schedule": "constant", "verbose": False}
STEPS = {
    "freeze": lambda learn, lr: learn.freeze(),
    "freeze_to": lambda learn, lr: learn.freeze_to(-2),
    "unfreeze": lambda learn, lr: learn.unfreeze(),
    "find": lambda learn, lr: qv.find_lr(learn, num_it=20, cbs=Watch()),
    "frozen": lambda learn, lr: qv.fit_frozen(learn, 4, lr_max=lr, cbs=Watch(), **HOW),
    "unfrozen": lambda learn, lr: qv.fit_unfrozen(learn, 1, lr_max=lr, cbs=Watch(), **HOW),
    "gradual": lambda learn, lr: qv.fit_unfrozen(
        learn, 3, lr_max=lr, gradual=True, cbs=Watch(), **HOW
    ),
    "in parts": lambda learn, lr: qv.fit_frozen(
        learn, 1, lr_max=lr, cbs=[Watch(), halved()], **HOW
    ),
    "load": lambda learn, lr: learn.model.load_state_dict(
        {name: value * 1.01 for name, value in learn.model.state_dict().items()}
    ),
}  # fmt: skip


def halved():
    in_parts = InParts(print)
    in_parts.parts = 2
    return in_parts


@pytest.mark.parametrize("opt", [*OPTS, "fused"])
@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(list(STEPS)), min_size=2, max_size=5))
@example(["unfreeze", "find", "frozen"])
@example(["unfrozen", "frozen", "load", "frozen"])
@example(["unfreeze", "find", "gradual", "gradual"])
@example(["unfreeze", "find", "freeze_to", "find", "in parts"])
def test_no_frozen_parameter_changes_by_a_bit(opt, steps):
    learn = handmade(opt)
    for step in steps:
        STEPS[step](learn, RATE.get(opt, 1e-2))
    before = copied(learn.model)
    qv.fit_frozen(learn, 1, lr_max=RATE.get(opt, 1e-2), **HOW)
    assert {"3.weight", "3.bias"} <= set(moved(learn.model, before)) <= {
        "3.weight", "3.bias", "1.0.weight", "1.0.bias",
    }  # fmt: skip


@pytest.mark.parametrize("opt", [*OPTS, "fused"])
def test_a_search_leaves_gradients_as_they_were(opt):
    learn = handmade(opt)
    learn.freeze()
    kept = {p: torch.full_like(p, 0.5) for p in learn.model[0].parameters()}
    for p, grad in kept.items():
        p.grad = grad
    copies = [grad.clone() for grad in kept.values()]
    qv.find_lr(learn, num_it=20)
    assert all(p.grad is grad for p, grad in kept.items())
    assert all(map(torch.equal, kept.values(), copies))
    assert all(p.grad is None for p in learn.model.parameters() if p not in kept)


def test_a_search_that_is_broken_off_leaves_no_gradients():
    class Stop(Callback):
        order = 100

        def after_backward(self):
            raise KeyboardInterrupt

    learn = handmade("adamw")
    with pytest.raises(KeyboardInterrupt):
        qv.find_lr(learn, num_it=20, cbs=Stop())
    assert all(p.grad is None for p in learn.model.parameters())


def test_timing_a_few_steps_leaves_gradients_as_they_were(learn):
    head, first = learn.model[1][-1].weight, next(learn.model.parameters())
    head.grad = kept = torch.ones_like(head)
    measure_pace(learn)
    assert head.grad is kept
    assert torch.equal(kept, torch.ones_like(head))
    assert first.grad is None


def test_the_search_of_a_frozen_stage_is_the_same_whatever_was_searched_before():
    one, two = handmade("adam"), handmade("adam")
    one.unfreeze()
    qv.find_lr(one, num_it=20)
    seen = []
    for learn in (one, two):
        learn.freeze()
        seen.append(qv.find_lr(learn, num_it=20).losses)
    np.testing.assert_array_equal(*seen)
