"""Ants and bees: the PyTorch transfer-learning tutorial's data and its two experiments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from quickvision.base.progress import Lines, line, say
from quickvision.data.paths import inside
from quickvision.recipes.downloads import fetch
from quickvision.runs.run import Run
from quickvision.runs.train import train

# Source of the checksum: pytorch/tutorials, `.jenkins/download_data.py`.
ANTS_BEES = "https://download.pytorch.org/tutorial/hymenoptera_data.zip"
ANTS_BEES_SUM = "sha256:fbc41b31d544714d18dd1230b1e2b455e1557766e13e67f9f5a7a23af7c02209"

MODES = ("both", "features", "finetune")


def fetch_ants_bees() -> Path:
    """See `quickvision.fetch_data`."""
    return fetch(ANTS_BEES, checksum=ANTS_BEES_SUM)


def train_ants_bees(
    path: str | Path | None = None,
    *,
    mode: str = "both",
    frozen_epochs: int | None = None,
    unfrozen_epochs: int | None = None,
    arch: str = "resnet18",
    weights: str | Path | None = "default",
    size: int = 224,
    bs: int = 16,
    **options: Any,
) -> Run:
    """Tell ants from bees: the PyTorch transfer-learning tutorial, 244 photos and 153 to validate.

    Args:
        path: Folder with `train` and `val`, or with `hymenoptera_data` in it; by default it is
            downloaded once (47 MB) to fastai's data folder.
        mode: "features" trains the head on the frozen body, "finetune" all layers from the start,
            "both" does the one and then the other on the same split: two trainings.
        frozen_epochs: Epochs of the head alone, 5 by default; not with "finetune".
        unfrozen_epochs: Epochs of all layers, 5 by default; not with "features".
        arch: As in `cnn_learner`.
        weights: As in `cnn_learner`; None goes with "finetune" only.
        size: Pixels.
        bs: Pictures in a batch.
        **options: As in `train_pets`; with "both" they go to each of the two runs. The crop is the
            tutorial's: `crop_pct=0.875`.

    Returns:
        The finished run; with "both" the fine-tuned one, whichever of the two is better:
        `run.accuracy` is its own, and `run.baseline` is the run of the features. The tutorial
        reports, for resnet18 and 25 epochs, the best of which counts, 95.4 % frozen and,
        in three renderings of the same page, 92.2, 94.1 and 95.4 % fine-tuned (n = 153, so that
        the interval of each is some 7 points wide: neither beats the other).

    Raises:
        DataError: The download failed, or `path` holds no class folders.
        ValueError: `mode` is none of these, or the epochs or the weights contradict it.

    Source: Chilamkurthy, "Transfer Learning for Computer Vision Tutorial" (pytorch.org).
    """
    stages = _stages(mode, frozen_epochs, unfrozen_epochs)
    if weights is None and mode != "finetune":
        raise ValueError(f"weights: expected some for mode={mode!r}, which freezes them, got None")
    root = fetch_ants_bees() if path is None else inside(path, "hymenoptera_data")
    name = options.pop("name", "ants-bees")
    options |= {"arch": arch, "weights": weights, "size": size, "bs": bs}
    options = {"crop_pct": 0.875, **options}  # the tutorial's
    runs = []
    for stage, epochs in stages.items():
        say(line("mode", stage), verbose=options.get("verbose", True))
        runs.append(train(root, name=f"{name}-{stage}", **epochs, **options))
    if mode == "both":
        frozen, tuned = runs
        both = Lines(features=str(frozen.accuracy), finetune=str(tuned.accuracy))
        both["returned"] = "the run of finetune; its .baseline is the run of features"
        say(f"\n{both}", verbose=options.get("verbose", True))
        return replace(tuned, baseline=frozen)
    return runs[0]


def _stages(mode: str, frozen: int | None, unfrozen: int | None) -> dict[str, dict[str, Any]]:
    """Return the epochs of each run that `mode` asks for."""
    if mode not in MODES:
        raise ValueError(f"mode: expected one of {', '.join(MODES)}, got {mode!r}")
    if mode == "features" and unfrozen:
        raise ValueError(f"unfrozen_epochs: mode='features' has none, got {unfrozen}")
    if mode == "finetune" and frozen:
        raise ValueError(f"frozen_epochs: mode='finetune' has none, got {frozen}")
    given = {"frozen_epochs": frozen, "unfrozen_epochs": unfrozen}
    wanted = {"features": "frozen_epochs", "finetune": "unfrozen_epochs"}
    stages: dict[str, dict[str, Any]] = {}
    for stage in wanted if mode == "both" else [mode]:
        epochs = given[wanted[stage]]
        if epochs is not None and epochs < 1:
            raise ValueError(f"{wanted[stage]}: expected at least 1 for {mode=}, got {epochs}")
        stages[stage] = dict.fromkeys(given, 0) | {wanted[stage]: 5 if epochs is None else epochs}
    return stages
