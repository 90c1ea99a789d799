from __future__ import annotations

import numpy as np
import pytest
import torch
from fastai.learner import Learner
from torch import nn

import quickvision as qv
from quickvision.results.heatmap import heatmaps
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


def test_its_maps_are_those_of_the_learner_as_it_was(learner):
    engine, files = LearnerEngine(learner), list(learner.dls.valid_ds.items[:4])
    expected = heatmaps(learner, files, [[0, 2]] * 4)
    last = learner.model[1][-1]
    before = last.weight.detach().clone()
    try:
        with torch.no_grad():
            last.weight += 1  # trained on
        maps = engine.maps([engine.open(file) for file in files], np.array([[0, 2]] * 4))
        np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-5)
        assert engine.has_maps
    finally:
        with torch.no_grad():
            last.weight.copy_(before)


def test_a_model_without_places_answers_all_the_same(colours):
    dls = qv.from_folder(colours, size=32, bs=6, check=False)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 3))
    engine = LearnerEngine(Learner(dls, flat, loss_func=nn.CrossEntropyLoss()))
    opened = [engine.open(dls.valid_ds.items[0])]
    assert engine.probs(opened).shape == (1, 3)
    assert not engine.has_maps
    with pytest.raises(qv.ModelError, match="got Sequential with no layer whose output is a map"):
        engine.maps(opened, None)


def test_it_needs_a_learner():
    with pytest.raises(TypeError, match="learn: expected Learner, got"):
        LearnerEngine("model")
