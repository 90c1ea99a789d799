from __future__ import annotations

import numpy as np
import pytest
import torch
from fastai.losses import BCEWithLogitsLossFlat
from fastai.vision.augment import RandomResizedCrop, Resize, aug_transforms
from fastai.vision.data import ImageDataLoaders
from fastai.vision.learner import vision_learner

import quickvision as qv
from quickvision.data.view import View
from quickvision.ship.preprocessing import preprocessing


def learner_of(colours, **options):
    dls = qv.from_folder(colours, **{"size": 32, "bs": 6, "check": False, **options})
    return qv.cnn_learner(dls, "timm/test_resnet", weights=None)


@pytest.mark.parametrize(
    ("options", "view"),
    [
        ({}, View((32, 32))),
        ({"augment": "none"}, View((32, 32))),
        ({"size": (32, 48), "resize": "squish"}, View((32, 48), "squish")),
        ({"resize": "pad", "interpolation": "bicubic"}, View((32, 32), "pad", "bicubic")),
        ({"crop_pct": 0.875}, View((32, 32), crop_pct=0.875)),
    ],
)
def test_what_our_doors_make_is_known_to_the_pixel(colours, options, view):
    learn = learner_of(colours, **options)
    how = preprocessing(learn)
    assert how.view == view
    assert how.exact
    assert how.mean == pytest.approx((0.485, 0.456, 0.406), abs=0.1)
    shown = learn.dls.valid.one_batch()[0][0].as_subclass(torch.Tensor)
    pixels = np.asarray(view(qv_open(learn.dls.valid_ds.items[0], how)))
    normal = (pixels / 255 - np.array(how.mean)) / np.array(how.std)
    np.testing.assert_allclose(shown.permute(1, 2, 0), normal, atol=1e-3)


def qv_open(file, how):
    from quickvision.data.rgb import open_rgb

    return open_rgb(file, at_least=how.at_least, levels=how.levels)


def test_a_learner_of_fastais_is_known_nearly(colours, tiny_net):
    dls = ImageDataLoaders.from_folder(
        colours, valid_pct=0.2, item_tfms=Resize(40, "squish"), batch_tfms=aug_transforms(size=32),
        bs=6, num_workers=0,
    )  # fmt: skip
    how = preprocessing(vision_learner(dls, tiny_net, pretrained=False))
    assert how.view == View((32, 32), "squish")
    assert not how.exact
    assert how.at_least is None


def test_what_cannot_be_written_down_is_refused(colours):
    learn = learner_of(colours, item_tfms=RandomResizedCrop(32), batch_tfms=[])
    with pytest.raises(qv.DataError, match=r"got \['RandomResizedCrop'"):
        preprocessing(learn)
    learn = learner_of(colours)
    learn.loss_func = BCEWithLogitsLossFlat()
    with pytest.raises(qv.DataError, match="by softmax, .* got BCEWithLogitsLossFlat"):
        preprocessing(learn)
