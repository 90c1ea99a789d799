from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

import quickvision as qv
from quickvision.data.view import View
from quickvision.ship.bundle import Bundle, Network
from quickvision.ship.card import plain, write_card

NAMES = ("<script>alert(1)</script>", "a|b", "[x](http://y)", "two\nlines")
BUNDLE = Bundle(
    vocab=NAMES,
    view=View((32, 32)),
    mean=(0.5,) * 3,
    std=(0.5,) * 3,
    network=Network("timm", "test_resnet"),
    sha256={"model.safetensors": "0", "model.onnx": "1"},
    versions={"quickvision": "1.0"},
)


def preds():
    probs = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 1, 1]]
    targs = np.array([0, 1, 2, 3, 0, 0])
    paths = tuple(Path(f"{i}.jpg") for i in range(6))
    return qv.Predictions(probs, targs, NAMES, np.zeros(6, dtype=np.float32), paths)


def card(**options):
    return write_card(
        BUNDLE, preds(), **{"why_not": "", "licence": "mit", "pretrained": True, **options}
    )


def front(text):
    return yaml.safe_load(text.split("---")[1])


def test_it_says_how_good_it_is_and_what_it_confuses():
    text = card()
    assert "66.7% (30.0-90.3, n=6)" in text
    assert "| 2 |" in text
    assert "predict_onnx.py" in text


def test_the_front_matter_is_what_hubs_read():
    said = front(card())
    assert said["license"] == "mit"
    assert said["library_name"] == "timm"
    assert said["pipeline_tag"] == "image-classification"
    assert {"timm", "transformers", "image-classification"} <= {*said["tags"]}
    other = front(card(why_not="its head is not a single layer", licence=None))
    assert "license" not in other
    assert "library_name" not in other
    assert not {"timm", "transformers"} & {*other["tags"]}


def test_why_timm_cannot_open_it_is_said():
    text = card(why_not="its head is not a single layer")
    assert "timm and transformers cannot open it: its head is not a single layer." in text
    assert "create_model" not in text


def test_names_are_shown_as_text():
    text = card()
    assert "<script>" not in text
    assert "\\<script\\>" in text
    rows = [line for line in text.splitlines() if line.startswith("| ") and line.endswith("| 2 |")]
    assert len(rows) == 1
    assert rows[0].replace("\\|", "").count("|") == 4
    assert plain("two\nlines") == "two lines"


def test_a_licence_that_is_not_known_is_not_made_up():
    assert "does not say under which licence" in card(licence=None)
    assert "pretrained weights" not in card(pretrained=False, licence=None)


def test_calibration_is_said():
    figures = {"ece": 0.08, "ece_after": 0.03, "ece_chance": 0.02, "n_train": 1234}
    warm = replace(BUNDLE, temperature=1.5, figures=figures)
    text = write_card(warm, preds(), why_not="", licence=None, pretrained=False)
    assert "logits are divided by 1.500" in text
    assert "3.0 % (before: 8.0 %" in text
    assert "trained on 1,234 pictures" in text
