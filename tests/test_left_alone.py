"""What looks at a learner leaves it as it was: weights, modes, notes, order, random numbers."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.torch_core import no_random
from torch import nn

import quickvision as qv
from quickvision.runs.build import check_loss
from quickvision.runs.options import RunConfig
from quickvision.training.trials import _trial, largest_batch, measure_pace


@dataclass
class Seen:
    """What of a learner stays; objects are told by their ids, and held meanwhile."""

    bits: list[Any]
    states: list[Any]
    ids: dict[str, Any]
    held: list[Any] = field(compare=False, repr=False)


def look(learn):
    noted = {k: v for k, v in vars(learn).items() if k not in ("cbs", "progress")}
    noted |= {f"recorder.{k}": v for k, v in vars(learn.recorder).items()}
    noted |= {f"dls.{k}": v for k, v in vars(learn.dls).items()}
    model = learn.model
    noted |= {f"{name}.grad": p.grad for name, p in model.named_parameters()}
    noted |= {f"parameter {name}": p for name, p in model.named_parameters()}
    tensors = [*model.state_dict().values(), *(p.grad for p in model.parameters())]
    opt = learn.opt.state_dict() if learn.opt else {"state": [], "hypers": []}
    moments = [value for state in opt["state"] for value in state.values()]
    tensors += [value for value in moments if isinstance(value, torch.Tensor)]
    numpys = np.random.get_state()
    return Seen(
        bits=[None if tensor is None else tensor.tolist() for tensor in tensors],
        states=[
            [module.training for module in model.modules()],
            [p.requires_grad for p in model.parameters()],
            [dict(hypers) for hypers in opt["hypers"]],
            # fastai's `no_bar` takes the bar away, and puts a new one at the end
            [id(cb) for cb in learn.cbs if not isinstance(cb, ProgressCallback)],
            [hasattr(learn, "progress")],
            [dl.rng.getstate() for dl in learn.dls.loaders],
            [dl.dataset.split_idx for dl in learn.dls.loaders],
            (random.getstate(), numpys[1].tolist(), numpys[2:], torch.get_rng_state().tolist()),
        ],
        ids={name: id(value) for name, value in noted.items()},
        held=list(noted.values()),
    )


@pytest.fixture(params=["new", "trained"])
def apart(request, learn):
    """A learner with a norm layer in another mode than the rest, and a gradient."""
    learn.freeze()
    if request.param == "trained":
        qv.fit_frozen(learn, 1, verbose=False)
    learn.model.train()
    next(m for m in learn.model.modules() if isinstance(m, nn.BatchNorm2d)).eval()
    next(learn.model.parameters()).grad = torch.ones_like(next(learn.model.parameters()))
    return learn


def try_a_batch(learn):
    """As `largest_batch` does it on a GPU."""
    with no_random(reproducible=False):
        assert _trial(learn)(8)


LOOKS = {
    "find_lr": lambda learn: qv.find_lr(learn, num_it=20),
    "measure_pace": measure_pace,
    "largest_batch": largest_batch,
    "a batch that is tried": lambda learn: try_a_batch(learn),
    "get_preds": qv.get_preds,
    "of what it trained on": lambda learn: qv.get_preds(learn, ds_idx=0),
    "of a loader": lambda learn: qv.get_preds(learn, dl=learn.dls.valid),
    "tta": lambda learn: qv.get_preds(learn, tta=1),
    "check_loss": lambda learn: check_loss(learn, RunConfig()),
    "Predictor": qv.Predictor,
    "check": lambda learn: qv.check(learn.dls),
}


@pytest.mark.parametrize("name", LOOKS)
def test_a_learner_that_is_looked_at_stays_as_it_was(apart, name):
    before = look(apart)
    LOOKS[name](apart)
    assert look(apart) == before


def test_its_features_leave_all_but_pythons_random_numbers(apart):
    before = look(apart)
    qv.feature_learner(apart)
    random.setstate(before.states[-1][0])  # a new loader draws its order from them
    assert look(apart) == before


class Stop(Callback):
    def after_pred(self):
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["find_lr", "get_preds", "tta"])
def test_also_where_it_is_broken_off(apart, name):
    apart.add_cb(Stop())
    before = look(apart)
    with pytest.raises(KeyboardInterrupt):
        LOOKS[name](apart)
    assert look(apart) == before


@pytest.mark.parametrize("name", ["measure_pace", "feature_learner"])
def test_also_where_its_model_fails(apart, name):
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("broken")

    apart.model[1].append(Broken())
    before = look(apart)
    with pytest.raises(RuntimeError, match="broken"):
        (LOOKS | {"feature_learner": qv.feature_learner})[name](apart)
    assert look(apart) == before


def test_a_run_leaves_the_global_random_state(learn, tmp_path):
    before = look(learn).states[-1]
    run = qv.train(
        learn, frozen_epochs=1, unfrozen_epochs=1, out=tmp_path / "runs", mixup=0.4, verbose=False
    )
    assert look(learn).states[-1] == before
    qv.resume(run.path, data=learn, verbose=False)
    assert look(learn).states[-1] == before
    learn.add_cb(Stop())
    with pytest.raises(KeyboardInterrupt):
        qv.train(learn, frozen_epochs=1, unfrozen_epochs=0, out=tmp_path, lr=1e-3, verbose=False)
    assert look(learn).states[-1] == before
