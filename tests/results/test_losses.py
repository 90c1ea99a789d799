from __future__ import annotations

import numpy as np
import pytest
import torch
from fastai.losses import CrossEntropyLossFlat, FocalLossFlat
from torch import nn
from torch.nn import functional

import quickvision as qv
from quickvision.results.losses import EachPicture

PRED = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
TARGS = torch.arange(5) % 3
EXPECTED = functional.cross_entropy(PRED, TARGS, reduction="none")


def own(pred, targ):
    return functional.cross_entropy(pred, targ)


class Own(nn.Module):
    def forward(self, pred, targ):
        return own(pred, targ)


class Deaf(Own):
    reduction = "mean"  # which nobody asks for


def deaf(pred, targ, reduction="mean"):
    return own(pred, targ)


def pairs(pred, targ):
    """A loss of pictures together, which has none of a single one."""
    return own(pred, targ) + (pred[0] - pred[1]).abs().mean()


@pytest.mark.parametrize(
    "loss",
    [
        own,
        Own(),
        Deaf(),
        deaf,
        functional.cross_entropy,
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(reduction="sum"),
        CrossEntropyLossFlat(),
        FocalLossFlat(gamma=0),
        lambda pred, targ: functional.nll_loss(pred.log_softmax(1), targ),
    ],
)
def test_any_loss_says_what_each_picture_loses(loss):
    before = getattr(loss, "reduction", None)
    torch.testing.assert_close(torch.Tensor(EachPicture(loss)(PRED, TARGS)), EXPECTED)
    torch.testing.assert_close(torch.Tensor(EachPicture(loss)(PRED[:1], TARGS[:1])), EXPECTED[:1])
    assert getattr(loss, "reduction", None) == before


def test_several_values_a_picture_are_their_mean():
    losses = EachPicture(nn.BCEWithLogitsLoss())(PRED, torch.ones(5, 3))
    expected = functional.binary_cross_entropy_with_logits(PRED, torch.ones(5, 3), reduction="none")
    torch.testing.assert_close(losses, expected.mean(1))


def test_a_loss_of_pictures_together_is_refused():
    with pytest.raises(TypeError, match="says what each picture loses, got pairs, .*reduction='no"):
        EachPicture(pairs)(PRED, TARGS)


@pytest.mark.parametrize("loss", [own, Own(), Deaf(), deaf])
def test_predictions_have_the_losses_of_ones_own(learn, loss):
    usual = qv.get_preds(learn)
    learn.loss_func = loss
    preds = qv.get_preds(learn)
    assert learn.loss_func is loss
    np.testing.assert_array_equal(preds.probs, usual.probs)
    np.testing.assert_allclose(preds.losses, usual.losses, rtol=1e-5)
