"""From the options of `train` to a `Learner`: the same for a new run and for one that goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.torch_core import default_device

from quickvision.base.errors import did_you_mean
from quickvision.base.figures import clocked
from quickvision.base.progress import say
from quickvision.data.doors import load_data
from quickvision.data.options import Options
from quickvision.models.compute import check_precision
from quickvision.models.learner import LEARNER_OPTIONS, check_options, cnn_learner
from quickvision.models.zoo import find_arch
from quickvision.training.trials import FIRST, largest_batch

DEFAULTS = {"arch": "resnet34", "weights": "default"}
_MODEL = LEARNER_OPTIONS - {"path", "model_dir"}  # the run's folder
_DATA = {"pat", *(field.name for field in fields(Options))}


def sorted_out(
    options: Mapping[str, Any], others: Iterable[str] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell the options of `cnn_learner` from those of `load_data`.

    Args:
        options: Both.
        others: Names to think of where one is misspelled.

    Raises:
        TypeError: One is of neither.
    """
    model = {name: value for name, value in options.items() if name in _MODEL}
    pictures = {name: value for name, value in options.items() if name not in _MODEL}
    if unknown := [name for name in pictures if name not in _DATA]:
        known = {*others, *_MODEL, *_DATA}
        raise TypeError(f"{unknown[0]}: no such option{did_you_mean(unknown[0], known)}")
    return model, pictures


def build(
    made: dict[str, Any], *, seed: int, verbose: bool = True, timing: dict[str, float]
) -> Learner:
    """Build data and learner.

    Args:
        made: `data`, `arch`, `weights`, and the options `model` and `pictures`. What the model's
            own settings say of pictures is added to these.
        seed: Of the split; the random state is the caller's to set.
        verbose: Say how the pictures are labelled.
        timing: Gets the seconds of "data" and "model".

    Raises:
        TypeError: `data` is none that can be trained on, or options do not go with it.
    """
    data, model, pictures = made["data"], made["model"], made["pictures"]
    arch, weights = made["arch"], made["weights"]
    if isinstance(data, str | Path):
        settings = find_arch(arch).settings  # a typo should not cost a look at all the pictures
        check_precision(model.get("precision", "auto"), default_device())
        check_options(model)
        if "item_tfms" not in pictures:
            wanted = ("interpolation", "crop_pct") if "batch_tfms" not in pictures else ()
            usual = {name: getattr(settings, name) for name in wanted}
            pictures = {"size": settings.input_size, **usual, **pictures}
        made["pictures"] = pictures
        small = {"bs": FIRST} if pictures.get("bs") == "auto" else {}
        with clocked(timing, "data"):
            data = load_data(data, verbose=verbose, **{"seed": seed, **pictures, **small})
    elif pictures:
        raise TypeError(
            f"{', '.join(pictures)}: goes with a folder; here the data is"
            f" {type(data).__name__} already"
        )
    with clocked(timing, "model"):
        if isinstance(data, DataLoaders):
            return cnn_learner(data, arch, weights=weights, **model)
    if not isinstance(data, Learner):
        raise TypeError(f"expected a folder, DataLoaders or a Learner, got {type(data).__name__}")
    asked = [name for name, value in DEFAULTS.items() if made[name] != value]
    if given := [*asked, *model]:
        raise TypeError(
            f"{', '.join(given)}: goes with a folder or DataLoaders; a Learner has its own"
        )
    return data


def find_batch_size(learn: Learner, made: dict[str, Any], *, verbose: bool = True) -> None:
    """Where `bs="auto"` was asked for, find it, set it and note it; all processes at once."""
    if made["pictures"].get("bs") != "auto":
        return
    bs = largest_batch(learn)
    for dl in learn.dls.loaders:
        dl.bs = bs
    made["pictures"] = {**made["pictures"], "bs": bs}
    say(f"{'batch':<13}{bs} pictures, as bs='auto' finds", verbose=verbose)
