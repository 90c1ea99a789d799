"""What only a CUDA device can show."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fastai.callback.fp16 import MixedPrecision

import quickvision as qv
from quickvision.models.optimisers import FusedAdam

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


@pytest.fixture
def on_gpu(class_folders, tmp_path):
    dls = qv.from_folder(class_folders, size=64, bs=6)
    learn = qv.cnn_learner(dls, "resnet18", weights=None, path=tmp_path)
    learn.freeze()
    return learn


def test_the_defaults_of_a_gpu(on_gpu):
    assert on_gpu.dls.device.type == "cuda"
    assert on_gpu.dls.train.pin_memory
    assert on_gpu.opt_func is FusedAdam
    halves = [cb for cb in on_gpu.cbs if isinstance(cb, MixedPrecision)]
    assert len(halves) == torch.cuda.is_bf16_supported(including_emulation=False)


def test_the_whole_job(on_gpu, tmp_path):
    run = qv.train(on_gpu, frozen_epochs=2, unfrozen_epochs=2, out=tmp_path, verbose=False)
    assert run.history["cached"].tolist() == [True, True, False, False]
    assert np.isfinite(run.history["valid_loss"]).all()


def test_features_and_predictions_are_those_of_the_model(on_gpu):
    head = qv.feature_learner(on_gpu)
    said = head.model.to("cuda").eval()(head.dls.valid.dataset.x[0].cuda())
    preds = qv.get_preds(on_gpu)
    np.testing.assert_allclose(said.softmax(1).detach().cpu(), preds.probs, atol=2e-2)
    probs = qv.Predictor(on_gpu).predict_proba(on_gpu.dls.valid_ds.items)
    np.testing.assert_allclose(probs, preds.probs, atol=2e-2)
