from __future__ import annotations

import numpy as np
import pytest
import torch

import quickvision as qv
from quickvision.ship.learner_engine import LearnerEngine


def test_it_opens_mirrors_and_answers(learner):
    engine = LearnerEngine(learner)
    opened = [engine.open(file) for file in learner.dls.valid_ds.items]
    np.testing.assert_allclose(engine.probs(opened), qv.get_preds(learner).probs, atol=1e-5)
    assert torch.equal(engine.mirror(opened[0]), opened[0].flip(-1))
    assert engine.mirrored


def test_training_without_mirrored_pictures_is_seen(colours):
    for options, mirrored in (({"flip": False}, False), ({"augment": "none"}, False), ({}, True)):
        dls = qv.from_folder(colours, size=32, bs=6, check=False, **options)
        learn = qv.cnn_learner(dls, "timm/test_resnet", weights=None)
        assert LearnerEngine(learn).mirrored == mirrored


def test_it_needs_a_learner():
    with pytest.raises(TypeError, match="learn: expected Learner, got"):
        LearnerEngine("model")
