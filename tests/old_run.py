"""A run as the package wrote it before it was moved into folders, stopped after unfrozen epoch 2.

Written with torch, timm and fastai alone: what lies on people's disks hangs on nothing of today's
package. The settings, the split and its hash are those of a real run on conftest's `class_folders`,
the checkpoint has its keys, its types and its shapes.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from fastai.vision.learner import TimmBody, create_head
from torch import nn

CONFIG = {
    "quickvision": "0.1.0",
    "versions": {"python": "3.11.7", "torch": "2.15.0", "torchvision": "0.29.2",
                 "fastai": "2.8.12", "timm": "1.0.31", "numpy": "2.4.6", "pillow": "13.0.0"},
    "threads": 1, "device": "cpu", "data": "", "arch": "timm/test_resnet", "weights": "",
    "model": {},
    "pictures": {"size": 32, "interpolation": "bilinear", "crop_pct": 0.95, "bs": 6},
    "train": {"frozen_epochs": 2, "unfrozen_epochs": 3, "lr": 0.003, "lr_unfrozen": None,
              "schedule": "one_cycle", "gradual": False, "patience": None, "mixup": 0.0,
              "cutmix": 0.0, "tta": 0, "budget": None, "cache_features": True, "views": 0,
              "log": None, "deterministic": False, "seed": 42},
    "lacking": [], "n_train": 29, "n_valid": 7, "vocab": ["blue", "green", "red"],
    "split_sha256": "7ef21877f21c231500571e5dfd3b52613b77d2812526800fb10f1d5f194ba755",
}  # fmt: skip
COLUMNS = ("stage", "epoch", "train_loss", "valid_loss", "error_rate", "accuracy", "lr", "seconds")
ROWS = [
    dict(zip(COLUMNS, row, strict=True)) | {"cached": row[0] == "frozen"}
    for row in (
        ("frozen", 1, 1.1736, 0.9829, 0.5714, 0.4286, 0.003, 0.05),
        ("frozen", 2, 0.6271, 0.8984, 0.5714, 0.4286, 0.00225, 0.09),
        ("unfrozen", 1, 1.2875, 1.0163, 0.7143, 0.2857, 0.0015, 0.18),
        ("unfrozen", 2, 0.9159, 0.9993, 0.5714, 0.4286, 0.00145, 0.21),
    )
]


def write_old_run(folder: Path, data: Path) -> Path:
    """Write the run's folder, and the weights that it began with, beside it."""
    torch.manual_seed(7)
    body = timm.create_model("test_resnet", num_classes=0)
    folder.mkdir(parents=True)
    torch.save(body.state_dict(), folder.parent / "weights.pth")
    head = create_head(body.num_features, 3)
    model = nn.Sequential(TimmBody(body, False, None, 3), head)
    config = CONFIG | {"data": str(data), "weights": str(folder.parent / "weights.pth")}
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    (folder / "checkpoints").mkdir()
    torch.save(_checkpoint(model), folder / "checkpoints" / "last.pt")
    return folder


def _checkpoint(model: nn.Module) -> dict[str, Any]:
    return {
        "epochs": [2, 3],
        "stages": [{"name": "frozen", "epochs": 2, "lr": 0.003, "cached": True, "gradual": False}],
        "rates": {},
        "lr_finds": {},
        "timing": {"data": 0.06, "model": 0.09, "estimate": 0.09, "features": 0.15, "frozen": 0.26},
        "rows": ROWS,
        "best": {k: v for k, v in ROWS[1].items() if k != "cached"},
        "model": model.state_dict(),
        "opt": _optimiser(model),
        "scaler": {},
        "random": [_random_states()],
        "smooth_loss": [8, torch.tensor(0.1367)],
    }


def _optimiser(model: nn.Module) -> dict[str, Any]:
    """What fastai's Adam has after eight steps, in three layer groups."""
    normed = {
        id(p)
        for m in model.modules()
        if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)
        for p in m.parameters()
    }
    state = []
    for p in model.parameters():
        moments = {"grad_avg": torch.full_like(p, 1e-3), "sqr_avg": torch.full_like(p, 1e-4)}
        own = {"force_train": True, "do_wd": False} if id(p) in normed else {}
        state.append({**own, **{k: v.detach() for k, v in moments.items()}, "step": 8})
    rates = (8.8e-06, 8.8e-05, 8.8e-04)
    same = {"wd": 0.01, "sqr_mom": 0.99, "mom": 0.891, "eps": 1e-05}
    return {"state": state, "hypers": [{**same, "lr": rate} for rate in rates]}


def _random_states() -> dict[str, Any]:
    version, numbers, gauss = random.Random(42).getstate()
    plain = [version, torch.tensor(numbers, dtype=torch.int64), gauss]
    name, keys, *rest = np.random.RandomState(42).get_state(legacy=True)
    return {
        "torch": torch.Generator().manual_seed(42).get_state(),
        "cuda": [],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), *rest],
        "python": plain,
        "loaders": [plain, plain],
    }
