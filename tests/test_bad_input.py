"""Bad input at every public door: an error that helps, and nothing of the user's changed."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from made import refused, tree

import quickvision as qv

pytestmark = pytest.mark.slow

JUNK = {
    "none": None, "yes": True, "minus": -1, "zero": 0, "half": 1.5, "huge": 10**9,
    "nan": math.nan, "inf": math.inf, "word": "wrod", "empty": "", "blank": "  ", "nul": "a\0b",
    "list": [], "words": ["a", "b"], "dict": {}, "set": {1}, "bytes": b"x", "object": object(),
    "array": np.arange(3), "tensor": torch.ones(2), "slice": slice(None), "function": len,
    "path": Path("gone/away"), "frame": pd.DataFrame(),
}  # fmt: skip


class ADownload(Exception):
    """Nobody fetches anything here."""


def helps(call, place):
    """Call with each piece of junk; what is raised, if anything is, says what is wrong.

    Where it is, the files are as they were. What a call that goes through leaves is taken away.
    """
    before = tree(place)
    for name, junk in JUNK.items():
        try:
            error = refused(partial(call, junk))
        except ADownload:
            error = None
        except BaseException as mistake:
            mistake.add_note(f"given: {name}")
            raise
        kept = tree(place)
        if error is not None:  # what failed is written down by `compare`
            asked = {k: v for k, v in kept.items() if not k.startswith("out/compare")}
            assert asked.keys() - {"out"} == before.keys(), name
            assert all(asked[file] == before[file] for file in before), name
        for left in sorted(kept.keys() - before.keys(), reverse=True):
            path = place / left
            path.rmdir() if path.is_dir() else path.unlink()


OPTIONS = (
    "valid", "groups", "fixes", "class_names", "size", "resize", "interpolation", "crop_pct", "bs",
    "seed",
    "item_tfms", "batch_tfms", "balance", "check", "max_bad", "cache", "num_workers",
)  # fmt: skip


@pytest.mark.parametrize("option", OPTIONS)
def test_options_of_the_doors(place, option):
    helps(lambda x: qv.from_folder("colours", **{"size": 32, "bs": 4, option: x}), place)


@pytest.fixture
def dls(place):
    return qv.from_folder("colours", size=32, bs=4)


MODEL = (
    "arch", "weights", "head", "hidden", "dropout", "activation", "batch_norm", "layer_groups",
    "loss", "label_smoothing", "class_weights", "opt", "momentum", "precision", "path", "seed",
)  # fmt: skip


@pytest.mark.parametrize("option", MODEL)
def test_options_of_the_learner(place, dls, tiny_net, option):
    options = {"arch": tiny_net, "weights": None}
    helps(lambda x: qv.cnn_learner(dls, **{**options, option: x}), place)


TRAIN = (
    "frozen_epochs", "unfrozen_epochs", "lr", "lr_unfrozen", "schedule", "gradual", "patience",
    "mixup", "cutmix", "tta", "budget", "cache_features", "views", "plots", "report",
    "seed", "out", "name",
)  # fmt: skip


@pytest.mark.parametrize("option", TRAIN)
def test_options_of_training(place, dls, tiny_net, option):
    options = {"arch": tiny_net, "weights": None, "verbose": False}
    helps(lambda x: qv.train(dls, **{**options, option: x}), place)


FIRST = {
    "from_folder": qv.from_folder,
    "from_name_re": lambda x: qv.from_name_re(x, r"^(.+)_\d+"),
    "from_name_re's pattern": lambda x: qv.from_name_re("colours", x),
    "from_csv": qv.from_csv,
    "from_csv's column": lambda x: qv.from_csv("table.csv", images="colours", label_col=x),
    "from_csv's folder": lambda x: qv.from_csv("table.csv", images=x),
    "from_df": qv.from_df,
    "load_data": lambda x: qv.load_data(x, verbose=False),
    "load_data's pattern": lambda x: qv.load_data("colours", pat=x, verbose=False),
    "check": qv.check,
    "train": lambda x: qv.train(x, weights=None, verbose=False),
    "resume": lambda x: qv.resume(x, verbose=False),
    "compare": lambda x: qv.compare(x, ["timm/test_resnet"], out="out", verbose=False),
    "compare's models": lambda x: qv.compare("colours", x, out="out", verbose=False),
    "cnn_learner": qv.cnn_learner,
    "feature_learner": qv.feature_learner,
    "find_lr": qv.find_lr,
    "fit_frozen": lambda x: qv.fit_frozen(x, verbose=False),
    "fit_unfrozen": lambda x: qv.fit_unfrozen(x, verbose=False),
    "get_preds": qv.get_preds,
    "Predictor": qv.Predictor,
    "model_settings": qv.model_settings,
    "list_models": qv.list_models,
    "save_split": lambda x: qv.save_split(x, "split.csv"),
    "most_confused": qv.most_confused,
    "top_losses": qv.top_losses,
    "class_report": qv.class_report,
    "confusion_matrix": qv.confusion_matrix,
    "macro_f1": qv.macro_f1,
    "wrong": qv.wrong,
    "reliability": qv.reliability,
    "calibration": qv.calibration,
    "heatmap": lambda x: qv.heatmap(x, "colours/red/red_00.png"),
    "suspects": qv.suspects,
    "nearest": lambda x: qv.nearest(x, []),
    "before_after": lambda x: qv.before_after(x, x),
    "load_run": qv.load_run,
    "plot_confusion": qv.plot_confusion,
    "plot_calibration": qv.plot_calibration,
    "plot_top_losses": qv.plot_top_losses,
    "plot_history": qv.plot_history,
    "plot_lr_find": qv.plot_lr_find,
    "plot_comparison": qv.plot_comparison,
    "mcnemar": lambda x: qv.mcnemar(x, x),
    "train_pets": lambda x: qv.train_pets(path=x, verbose=False),
    "train_ants_bees": lambda x: qv.train_ants_bees(x, verbose=False),
    "train_cars": lambda x: qv.train_cars(path=x, verbose=False),
    "train_cifar10": lambda x: qv.train_cifar10(path=x, verbose=False),
}  # fmt: skip


def no_download(*_, **__):
    raise ADownload


@pytest.mark.parametrize("door", FIRST)
def test_the_first_argument(place, monkeypatch, door):
    for room in ("downloads", "ants_bees", "cars"):
        monkeypatch.setattr(f"quickvision.recipes.{room}.fetch", no_download)

    def call(junk):
        if door == "list_models" and isinstance(junk, str):
            raise ADownload  # a pattern; some list all models, which takes a minute
        return FIRST[door](junk)

    helps(call, place)
