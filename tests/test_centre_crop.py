from __future__ import annotations

import pytest
import torch
from fastai.data.transforms import Normalize
from fastai.vision.core import TensorImage
from PIL import Image

import quickvision as qv
from quickvision.data.loaders import CentreCrop


def test_the_middle_of_validation_pictures_and_no_others():
    x = TensorImage(torch.arange(64.0).reshape(1, 1, 8, 8))
    crop = CentreCrop(0.5)
    assert torch.equal(crop(x, split_idx=1), x[..., 2:6, 2:6])
    assert crop(x, split_idx=0) is x


@pytest.fixture
def framed(tmp_path):
    """White pictures with a black frame of 4 %."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(6):
            image = Image.new("RGB", (100, 100))
            image.paste("white", (4, 4, 96, 96))
            image.save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_validation_sees_the_middle_at_the_size_that_was_asked_for(framed):
    whole = qv.from_folder(framed, size=64, bs=4).valid.one_batch()[0]
    middle = qv.from_folder(framed, size=64, bs=4, crop_pct=0.875).valid.one_batch()[0]
    assert whole.shape == middle.shape == (2, 3, 64, 64)
    assert whole.min() < 0.2
    assert middle.min() > 0.9


def test_train_takes_size_interpolation_and_crop_from_the_model(framed, tiny_net, tmp_path):
    quick = {"frozen_epochs": 0, "unfrozen_epochs": 1, "lr": 1e-3, "weights": None}
    quick |= {"out": tmp_path / "runs", "verbose": False, "bs": 4}
    run = qv.train(framed, arch="timm/test_resnet", **quick)
    settings = qv.model_settings("timm/test_resnet")
    assert run.learn.dls.one_batch()[0].shape[-1] == settings.input_size
    crops = [t.crop_pct for t in run.learn.dls.valid.after_batch.fs if isinstance(t, CentreCrop)]
    assert crops == [settings.crop_pct]
    resize = run.learn.dls.after_item.fs[-2]
    assert resize.resamples[0] == Image.Resampling[settings.interpolation.upper()]
    run = qv.train(framed, arch="timm/test_resnet", size=48, crop_pct=1.0, **quick)
    assert run.learn.dls.one_batch()[0].shape[-1] == 48
    assert not [t for t in run.learn.dls.valid.after_batch.fs if isinstance(t, CentreCrop)]
    assert [t for t in run.learn.dls.valid.after_batch.fs if isinstance(t, Normalize)]
