from __future__ import annotations

import numpy as np
import pytest
import torch
from fastai.data.block import DataBlock, MultiCategoryBlock, RegressionBlock
from fastai.data.transforms import get_image_files
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat, FocalLossFlat
from fastai.vision.data import ImageBlock
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

import quickvision as qv
from quickvision.models.losses import make_loss

OUT, TARGS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3


@pytest.fixture
def dls(class_folders):
    for file in sorted((class_folders / "red").iterdir())[:6]:
        file.unlink()
    return qv.from_folder(class_folders, size=32, bs=4)


@pytest.mark.parametrize(
    ("block", "label", "what"),
    [
        (MultiCategoryBlock, lambda path: [path.parent.name, "all"], "several labels"),
        (RegressionBlock, lambda path: float(len(path.name)), "numbers"),
    ],
)
def test_other_than_one_class_a_picture_is_refused(class_folders, tiny_net, block, label, what):
    blocks = DataBlock((ImageBlock, block), get_items=get_image_files, get_y=label)
    dls = blocks.dataloaders(class_folders, bs=4, num_workers=0)
    match = f"expected one class for each picture, got {what} for each, as .* vision_learner"
    with pytest.raises(qv.DataError, match=match):
        qv.cnn_learner(dls, tiny_net)
    with pytest.raises(qv.DataError, match=match):
        qv.train(Learner(dls, tiny_net(), loss_func=nn.BCEWithLogitsLoss()), verbose=False)


def test_nothing_asked_for_is_the_datas_own(dls):
    assert make_loss(dls) is None


def test_label_smoothing_is_torchs(dls):
    loss = make_loss(dls, label_smoothing=0.1)
    expected = nn.CrossEntropyLoss(label_smoothing=0.1)(OUT, TARGS)
    torch.testing.assert_close(torch.Tensor(loss(OUT, TARGS)), expected)


def test_focal_loss_is_fastais_and_knows_its_probabilities(dls):
    loss = make_loss(dls, "focal")
    assert isinstance(loss, FocalLossFlat)
    torch.testing.assert_close(loss.activation(OUT).sum(1), torch.ones(6))
    assert loss(OUT, TARGS) < make_loss(dls, "cross_entropy")(OUT, TARGS)


def test_balanced_weights_are_scikit_learns(dls):
    weight = make_loss(dls, class_weights="balanced").func.weight.numpy()
    targs = [int(y) for _, y in dls.train_ds]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targs)
    np.testing.assert_allclose(weight, expected, rtol=1e-6)


def test_weights_by_name_and_in_order(dls):
    assert list(dls.vocab) == ["blue", "green", "red"]
    named = make_loss(dls, class_weights={"red": 3, "green": 2, "blue": 1}).func.weight
    assert named.tolist() == make_loss(dls, "focal", class_weights=[1, 2, 3]).func.weight.tolist()


def test_the_weights_that_the_door_has_put_on_the_data_stay(class_folders):
    weighted = qv.from_folder(class_folders, size=32, bs=4, balance="weights")
    expected = weighted.train_ds.loss_func.func.weight
    for options in ({"label_smoothing": 0.1}, {"loss": "focal"}):
        assert torch.equal(make_loss(weighted, **options).func.weight, expected)


def test_a_loss_of_your_own_is_taken_as_it_is(dls):
    own = CrossEntropyLossFlat()
    assert make_loss(dls, own) is own


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"loss": "fokal"}, ValueError, "did you mean 'focal'"),
        ({"label_smoothing": 1}, ValueError, "label_smoothing: expected a fraction"),
        ({"loss": "focal", "label_smoothing": 0.1}, TypeError, "goes with cross-entropy"),
        ({"loss": nn.CrossEntropyLoss(), "label_smoothing": 0.1}, TypeError, "set in the loss"),
        ({"class_weights": "equal"}, ValueError, "expected 'balanced' or weights"),
        ({"class_weights": [1, 2]}, ValueError, "expected 3 numbers from 0"),
        ({"class_weights": [1, 2, -3]}, ValueError, "expected 3 numbers from 0"),
        ({"class_weights": [0, 1, 1]}, ValueError, r"above 0, got \[0.0, 1.0, 1.0\]: .*no loss"),
        ({"class_weights": {"red": 1}}, ValueError, "expected a weight for each class, not for"),
    ],
)
def test_losses_that_make_no_sense(dls, options, error, match):
    with pytest.raises(error, match=match):
        make_loss(dls, **options)


def test_a_weight_of_0_goes_with_focal_loss(dls):
    loss = make_loss(dls, "focal", class_weights=[0, 0, 1])
    assert loss(OUT, torch.zeros(6, dtype=torch.int64)) == 0
