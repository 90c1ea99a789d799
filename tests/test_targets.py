from __future__ import annotations

import pytest
import torch
from fastai.data.core import DataLoader, DataLoaders
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from torch import nn

import quickvision as qv
from quickvision.training.guards import check_targets


def loaders(train_label=0, valid_label=0):
    """Loaders that are not ours: three classes, and one label of each side to choose."""

    def side(label, **options):
        y = torch.arange(12) % 3
        y[-1] = label
        return DataLoader(list(zip(torch.randn(12, 8), y, strict=True)), bs=4, **options)

    dls = DataLoaders(side(train_label, shuffle=True), side(valid_label), device="cpu")
    dls.vocab = ["a", "b", "c"]
    return dls


@pytest.mark.parametrize("label", [3, -1, 10**6])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("step", [qv.fit_frozen, qv.fit_unfrozen, qv.find_lr])
def test_a_label_that_is_no_class_is_said(label, side, step, tmp_path):
    dls = loaders(*((label, 0) if side == 0 else (0, label)))
    model = nn.Sequential(nn.Linear(8, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 3)))
    learn = Learner(dls, model, loss_func=CrossEntropyLossFlat(), path=tmp_path)
    if step is qv.find_lr and side == 1:  # it does not validate
        return
    with pytest.raises(qv.DataError, match=f"labels from 0 to 2, one for each of 3 .* {label};"):
        step(learn, **({} if step is qv.find_lr else {"verbose": False}))


def test_before_an_epoch_is_trained(tmp_path):
    model = nn.Sequential(nn.Linear(8, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 3)))
    learn = Learner(loaders(train_label=7), model, loss_func=CrossEntropyLossFlat(), path=tmp_path)
    with pytest.raises(qv.DataError, match="got 7"):
        qv.train(learn, lr=1e-3, out=tmp_path / "runs", verbose=False)


@pytest.mark.parametrize(
    ("pred", "targets"),
    [
        (torch.zeros(2, 3), torch.tensor([0, 2])),
        (torch.zeros(2, 3), torch.tensor([0, -100])),  # which losses leave out
        (torch.zeros(2, 3), torch.tensor([[0, 1, 7], [0, 0, 0]])),  # several labels a picture
        (torch.zeros(2, 1), torch.tensor([7.5, -1.0])),  # a number is predicted
        ((torch.zeros(2, 3), torch.zeros(2, 3)), torch.tensor([9, 9])),
    ],
)
def test_what_is_in_order_or_no_class_at_all_is_let_pass(pred, targets):
    check_targets(pred, targets)
