from __future__ import annotations

import types

import numpy as np
import pytest

import quickvision as qv
from quickvision.ship.asked import answers, predictor_of


def test_a_model_may_be_a_run_a_learner_a_predictor_or_a_folder(learn, model_folder):
    ask = qv.Predictor(learn)
    assert predictor_of(ask) is ask
    assert predictor_of(learn).vocab == predictor_of(types.SimpleNamespace(learn=learn)).vocab
    assert predictor_of(str(model_folder)).vocab == ("blue", "green", "red")
    with pytest.raises(TypeError, match="model: expected a run, a learner, .* got int"):
        predictor_of(3)


def test_a_bad_picture_has_a_reason_and_no_answer(learn, class_folders):
    (class_folders / "bad.png").write_text("no picture")
    names = ["red/red_00.png", "bad.png", "red/gone.png", "blue/blue_01.png"]
    said = answers(predictor_of(learn), class_folders, names, bs=2, tta=False)
    assert np.isnan(said.probs[:, 0]).tolist() == [False, True, True, False]
    assert list(said.errors) == ["bad.png", "red/gone.png"]
    assert str(class_folders) not in said.errors["bad.png"].partition("'")[0]
    assert all(said.errors.values())
