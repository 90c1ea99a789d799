"""Accuracy with real photos and real weights: modes, layer groups, and an outside check.

    python benchmarks/accuracy.py SHARED [--seeds 3] [--lr 1e-3]

SHARED holds `data/hymenoptera`, `data/pets_sample` and `weights/mobilenet_v2_imagenet.pth`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import warnings
from pathlib import Path
from typing import Any

from sklearn.linear_model import LogisticRegression

import quickvision as qv

PETS = r"^(.+)_\d+\.jpg$"


def say(label: str, runs: list[Any]) -> None:
    last = [run.accuracy.value for run in runs]
    best = [run.best["accuracy"] for run in runs]
    seconds = statistics.median(sum(run.timing.values()) for run in runs)
    shown = [
        f"{statistics.median(x):.1%} ({', '.join(f'{v:.1%}' for v in x)})" for x in (last, best)
    ]
    print(f"{label:<44}last {shown[0]}  best {shown[1]}  {seconds:.0f} s", flush=True)


def against_scikit(name: str, data: dict[str, Any], options: dict[str, Any]) -> None:
    """The outside check: scikit-learn on the same pooled features, the same split."""
    run = qv.train(**data, **options, head="linear", frozen_epochs=20, unfrozen_epochs=0)
    cached = qv.feature_learner(run.learn).dls
    sides = (cached.train.dataset, cached.valid.dataset)
    (x, y), (xv, yv) = ((side.x[0].numpy(), side.y.numpy()) for side in sides)
    right = LogisticRegression(max_iter=5000).fit(x, y).score(xv, yv)
    print(f"{name}, features, 20 epochs: {run.accuracy}; logistic regression {right:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lr", type=float, help="layer groups alone, unfrozen at this rate")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    ants, pets = asked.shared / "data/hymenoptera", asked.shared / "data/pets_sample/images"
    sets = {"ants and bees": {"data": ants}, "pets": {"data": pets, "pat": PETS}}
    seeds = range(asked.seeds)
    with tempfile.TemporaryDirectory() as out:
        options: dict[str, Any] = {
            "arch": "mobilenet_v2",
            "weights": asked.shared / "weights/mobilenet_v2_imagenet.pth",
            "out": out,
            "verbose": False,
        }
        if asked.lr is None:
            for name, data in sets.items():
                against_scikit(name, data, options | {"bs": 16})
            for mode in ("features", "finetune"):
                runs = [qv.train_ants_bees(ants, mode=mode, **options, seed=s) for s in seeds]
                say(f"ants and bees, {mode}", runs)
        options |= {"bs": 16, "lr_unfrozen": asked.lr}
        for name, data in sets.items():
            for groups in (2, 3, None):
                runs = [qv.train(**data, **options, layer_groups=groups, seed=s) for s in seeds]
                say(f"{name}, 4 + 2 epochs, layer_groups={groups}", runs)


if __name__ == "__main__":
    main()
