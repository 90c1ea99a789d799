from __future__ import annotations

import json

import pytest

import quickvision as qv
from quickvision.ship.bundle import read_bundle
from quickvision.ship.verify import checks


def test_it_says_how_many_answers_are_equal_by_each_engine(shipped, learner):
    lines = checks(shipped, read_bundle(shipped), qv.get_preds(learner), "", exact=True)
    said = [text for _, text in lines]
    assert [text.partition(":")[0] for text in said[:2]] == ["model.safetensors", "model.onnx"]
    assert all("14 of 14 answers equal" in text for text in said[:2])
    assert said[2] == "opens in timm and transformers: yes"


def test_why_timm_cannot_open_it_is_handed_on(shipped, learner):
    lines = checks(shipped, read_bundle(shipped), qv.get_preds(learner), "no such", exact=False)
    assert lines[-1] == ("", "opens in timm and transformers: no: no such")
    assert "cuts first" in lines[0][1]


def test_other_answers_are_an_error(shipped, learner):
    preds = qv.get_preds(learner)
    turned = qv.Predictions(
        preds.probs[:, [1, 2, 0]], preds.targs, preds.vocab, preds.losses, preds.paths
    )
    with pytest.raises(qv.BundleError, match="to answer as the learner does, got 0 of 14"):
        checks(shipped, read_bundle(shipped), turned, "", exact=True)


def test_a_folder_that_timm_reads_otherwise_is_an_error(shipped, learner):
    file = shipped / "config.json"
    said = json.loads(file.read_text())
    said["architecture"] = "test_vit"
    file.write_text(json.dumps(said))
    with pytest.raises((qv.BundleError, RuntimeError, AttributeError)):
        checks(shipped, read_bundle(shipped), qv.get_preds(learner), "", exact=True)
