"""A made-up run's outcome: pictures on disk, answers, features, labels that look wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from quickvision.data.leaks import Finding
from quickvision.data.view import View
from quickvision.report.outcome import Data, Heat, Outcome, shown_worst
from quickvision.results.embeddings import Embeddings
from quickvision.results.predictions import Predictions
from quickvision.training.lr_find import LRFind

# What a class or a file may be called by whoever has made the folders.
ODD = ("<script>document.title='hit'</script>", "\u202egnp.\"'><img src=x onerror=hit>", "a & b")


def answers(root, n=24, vocab=("ants", "bees", "wasps"), seed=0, wrong=6):
    """Answers about n pictures below `root`, the first `wrong` of them wrong."""
    rng, c = np.random.default_rng(seed), len(vocab)
    targs = np.arange(n) % c
    logits = rng.normal(0, 0.5, (n, c))
    said = np.where(np.arange(n) < wrong, (targs + 1) % c, targs)
    logits[np.arange(n), said] += 4
    probs = np.exp(logits)
    probs = (probs / probs.sum(1, keepdims=True)).astype(np.float32)
    losses = -np.log(probs[np.arange(n), targs])
    paths = tuple(root / f"{vocab[t][:4].strip('<')}_{i}.png" for i, t in enumerate(targs))
    return Predictions(probs, targs, vocab, losses, paths, root)


def made(root, preds, picture=None, **changes):
    """The outcome of these answers; `picture` writes each file."""
    for i, path in enumerate(preds.paths):
        if picture is not None:
            picture(path, ("red", "green", "blue")[preds.targs[i] % 3], seed=i)
    names = tuple(path.name for path in preds.paths)
    x = np.eye(len(preds.vocab), 8)[preds.targs] + np.random.default_rng(1).normal(
        0, 0.1, (len(preds), 8)
    )
    known = Embeddings(x.astype(np.float32), preds.targs, preds.vocab, names, preds.right)
    rows = [
        {"stage": stage, "epoch": i, "train_loss": 1 / i, "valid_loss": 1.2 / i, "accuracy": 0.6}
        for stage in ("frozen", "unfrozen")
        for i in (1, 2)
    ]
    stages = pd.DataFrame(
        {
            "stage": ["frozen", "unfrozen"],
            "epochs": 2,
            "lr": 1e-3,
            "seconds": 3.0,
            "accuracy": [0.7, 0.75],
            "valid_loss": 0.5,
            "gained": [np.nan, 0.05],
            "p_value": [np.nan, 0.5],
        }
    )
    index = shown_worst(preds)
    lrs = np.logspace(-6, 0, 30)
    found = LRFind(1e-3, "half way down", lrs, np.linspace(1, 0.2, 30), (1e-4, 1e-2))
    suspicious = pd.DataFrame(
        {
            "path": list(names[:2]),
            "label": [preds.vocab[t] for t in preds.targs[:2]],
            "suggested": [preds.vocab[p] for p in preds.predicted[:2]],
            "score": [0.9, 0.8],
            "why": "9 of its 10 nearest pictures are labelled otherwise",
        }
    )
    findings = (Finding("warning", "twins", 2, "take one out", names[:5]),)
    given = {
        "name": "made-001",
        "arch": "resnet34",
        "preds": preds,
        "data": Data(100, understood={"classes": "3"}, findings=findings, view=View((32, 32))),
        "history": pd.DataFrame(rows),
        "stages": stages,
        "lr_finds": {"frozen": found},
        "timing": {"frozen": 3.0},
        "embeddings": known,
        "suspects": suspicious,
        "heat": Heat(index, np.random.default_rng(2).normal(size=(len(index), 3, 3))),
        "settings": {"arch": "'resnet34'"},
        "versions": {"torch": "2"},
        "command": "qv.train('data')",
        "code": "from fastai.vision.all import *",
    }
    return Outcome(**{**given, **changes})


@pytest.fixture
def outcome(tmp_path, picture):
    root = tmp_path / "pictures"
    return made(root, answers(root), picture)
