"""An exported folder, opened as others will open it, and asked again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors.torch
import timm
import torch
from scipy.special import softmax

from quickvision.base.errors import BundleError
from quickvision.results.predictions import Predictions
from quickvision.ship.bundle import ONNX, WEIGHTS, Bundle
from quickvision.ship.load import load_model

CHECKED = 64  # pictures that are asked about once more
ALIKE = 0.9  # share of equal answers below which nothing is written


def checks(
    folder: Path, bundle: Bundle, preds: Predictions, why_not: str, *, exact: bool
) -> list[tuple[str, str]]:
    """Open the folder as others will, ask it again, and say what came out.

    Args:
        folder: The exported folder.
        bundle: What it says of itself.
        preds: What the learner said of its validation pictures, before the temperature.
        why_not: Why timm cannot open it; empty where it can.
        exact: The learner looks at the very same pixels.

    Returns:
        Lines: a name, a text.

    Raises:
        BundleError: It answers otherwise.
    """
    there = [i for i, file in enumerate(preds.paths) if file.is_file()]
    places = np.linspace(0, len(there) - 1, min(CHECKED, len(there))).astype(int)
    asked = [there[i] for i in places]
    lines = []
    before = np.log(np.maximum(preds.probs[asked].astype(np.float64), 1e-30))
    expected = softmax(before / bundle.temperature, axis=1)
    for name, engine in ((WEIGHTS, "torch"), (ONNX, "onnx")):
        if name in bundle.sha256 and asked:
            said = load_model(folder, engine=engine).predict_proba([preds.paths[i] for i in asked])
            same = int((said.argmax(1) == expected.argmax(1)).sum())
            most = float(np.abs(said - expected).max())
            if same < ALIKE * len(asked):
                raise BundleError(
                    f"expected {name} to answer as the learner does, got {same} of {len(asked)}"
                    " answers equal; its validation pictures come to their size in another way"
                )
            nearly = "" if exact else " (fastai's Resize cuts first, and then resizes)"
            text = f"{same} of {len(asked)} answers equal, largest difference of a probability"
            lines.append(("checked", f"{name}: {text} {most:.0e}{nearly}"))
    opens = f"no: {why_not}" if why_not else _opened_by_timm(folder, bundle)
    return [*lines, ("", f"opens in timm and transformers: {opens}")]


def _opened_by_timm(folder: Path, bundle: Bundle) -> str:
    """Let timm open the folder, and see that it has found the weights."""
    model = timm.create_model(f"local-dir:{folder}", pretrained=True)
    ours = safetensors.torch.load_file(folder / WEIGHTS)
    theirs = model.state_dict()
    if theirs.keys() != ours.keys() or not all(torch.equal(theirs[k], ours[k]) for k in ours):
        raise BundleError(f"expected timm to open {bundle.network.arch} in {folder}, got others")
    return "yes"
