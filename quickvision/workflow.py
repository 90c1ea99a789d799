"""The main job from data to report: the only place where the rooms are joined."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.torch_core import default_device, no_random
from torch import nn

from quickvision.config import Rate, RunConfig
from quickvision.data import load_data
from quickvision.errors import did_you_mean
from quickvision.job import Job
from quickvision.learner import LEARNER_OPTIONS, check_options, cnn_learner
from quickvision.models import find_arch
from quickvision.options import Options
from quickvision.pace import clocked, to_seconds
from quickvision.run import Run, new_run_folder
from quickvision.speed import check_precision

_MODEL = LEARNER_OPTIONS - {"path", "model_dir"}  # the run's folder
_DATA = {"pat", *(field.name for field in fields(Options))}


def train(
    data: str | Path | DataLoaders | Learner,
    *,
    arch: str | Callable[..., nn.Module] = "resnet34",
    weights: str | Path | None = "default",
    frozen_epochs: int = 4,
    unfrozen_epochs: int = 2,
    lr: Rate = "find",
    lr_unfrozen: Rate | None = None,
    schedule: str = "one_cycle",
    gradual: bool = False,
    patience: int | None = None,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    tta: int = 0,
    budget: str | float | None = None,
    cache_features: bool = True,
    views: int = 0,
    seed: int = 42,
    out: str | Path = "runs",
    name: str | None = None,
    cbs: Any = None,
    verbose: bool = True,
    **options: Any,
) -> Run:
    """Do the whole main job: find a rate, train frozen, find again, train unfrozen, look.

    `unfrozen_epochs=0` uses the body as a fixed feature extractor; `frozen_epochs=0` fine-tunes all
    layers at once. Without weights there is nothing to freeze, and no layer knows more than
    another: all train from the start, for all epochs, at one rate (`lr_unfrozen` where it is given,
    else `lr`).

    Args:
        data: A folder of pictures or a CSV file, in any layout that `load_data` knows; or
            `DataLoaders`; or a `Learner`, which is trained on (and then saves in the run's folder).
        arch: As in `cnn_learner`; not with a `Learner`, which has its model. With a folder or a CSV
            file the pictures get the size, interpolation and crop that it was made with, unless
            `size`, `interpolation` and `crop_pct` say otherwise.
        weights: As in `cnn_learner`; not with a `Learner`.
        frozen_epochs: Epochs of the head alone; 0 leaves the stage out.
        unfrozen_epochs: Epochs of all layers; 0 leaves the stage out.
        lr: Rate of the frozen stage: "find", or a number.
        lr_unfrozen: Rates of the unfrozen stage: "find"; a number for the head, of which the first
            layers get a hundredth; a slice; or None, "find" where `lr` is, and else half of `lr`.
        schedule: How rates move: "one_cycle", "flat_cos", "cosine", "step", "plateau" or
            "constant", as `fit_frozen` explains.
        gradual: In the unfrozen stage, unfreeze group by group (`fit_unfrozen`).
        patience: Stop a stage after so many epochs without a lower validation loss. Off, because it
            fights one-cycle, whose last epochs do most of the work.
        mixup: Strength of MixUp, such as 0.4: batches are blends of two pictures. 0 is off.
        cutmix: Strength of CutMix, such as 1.0: pieces of one picture in another. 0 is off. Neither
            is seen by validation and reports, and with either the frozen stage sees the pictures in
            each epoch.
        tta: Augmented looks at each validation picture beside the plain one in the final report
            (test-time augmentation).
        budget: Time for all of it, such as "10min": unfrozen epochs, ten at most (none
            where `unfrozen_epochs` is 0), are picked to fit, and fewer frozen ones where even these
            are too many. It is aimed at, not enforced.
        cache_features: Run the frozen body over all pictures once and train the head on what it
            says of them, which makes the frozen stage many times faster; its crops are those of
            validation then, and its batch-norm statistics stay. False is fastai's ordinary frozen
            stage, which is also taken, with a sentence, where the features cannot be kept.
        views: With cached features: augmented passes over the training pictures beside the plain
            one, each as long as that one.
        seed: Seed of head, split and augmentation. The global random state stays as it was.
        out: Folder in which the run's own folder, `NAME-001` and so on, is made.
        name: Name of the run; by default that of the folder of pictures.
        cbs: fastai callbacks, used in both stages.
        verbose: Say what happens, a line an epoch.
        **options: Go to `cnn_learner` (`head`, `hidden`, `dropout`, `opt`, `momentum`, `wd`,
            `loss`, `label_smoothing`, `class_weights`, `layer_groups`, `metrics`, `precision`,
            `compile`, ...; not with a `Learner`), and with a folder or a CSV file to `load_data`
            (`size`, `bs`, `valid`, `pat`, ...).

    Returns:
        The finished run. Its folder has `models/stage-1.pth` (after the frozen stage) and
        `stage-2.pth` (after the unfrozen one), each where there was such a stage, `best.pth` (the
        best epoch of both), the tables `history.csv`, `predictions.csv`, `confused.csv`,
        `split.csv` (see `save_split`) and, where pictures were left out, `skipped.csv`, and the
        plots.

    Raises:
        DataError: The data cannot be trained on.
        ModelError: The model or its weights cannot be had.
        RunError: `out` cannot be written, or the loss is no number any more.
        TypeError: `data` is none of these, or options do not go together.
        ValueError: An option is out of range: no epochs at all, a rate that makes no sense, ...
    """
    config = RunConfig(
        frozen_epochs=frozen_epochs,
        unfrozen_epochs=unfrozen_epochs,
        lr=lr,
        lr_unfrozen=lr_unfrozen,
        schedule=schedule,
        gradual=gradual,
        patience=patience,
        mixup=mixup,
        cutmix=cutmix,
        tta=tta,
        budget=budget,
        cache_features=cache_features,
        views=views,
        seed=seed,
    )
    deadline = None if budget is None else time.perf_counter() + to_seconds(budget)
    timing: dict[str, float] = {}
    model = {name: value for name, value in options.items() if name in _MODEL}
    pictures = {name: value for name, value in options.items() if name not in _MODEL}
    if unknown := [name for name in pictures if name not in _DATA]:
        known = {*inspect.signature(train).parameters, *_MODEL, *_DATA}
        raise TypeError(f"{unknown[0]}: no such option{did_you_mean(unknown[0], known)}")
    made = {"data": data, "arch": arch, "weights": weights, "model": model, "pictures": pictures}
    made["cbs"] = cbs is not None
    with no_random(seed, reproducible=False):
        if isinstance(data, str | Path):
            settings = find_arch(arch).settings  # a typo should not cost a look at all the pictures
            check_precision(model.get("precision", "auto"), default_device())
            check_options(model)
            if "item_tfms" not in pictures:
                wanted = ("interpolation", "crop_pct") if "batch_tfms" not in pictures else ()
                given = {name: getattr(settings, name) for name in wanted}
                pictures = {"size": settings.input_size, **given, **pictures}
            made["pictures"] = pictures
            with clocked(timing, "data"):
                data = load_data(data, verbose=verbose, **{"seed": seed, **pictures})
        elif pictures:
            raise TypeError(
                f"{', '.join(pictures)}: goes with a folder; here the data is"
                f" {type(data).__name__} already"
            )
        with clocked(timing, "model"):
            learn = _learner(data, arch, weights, model)
        job = Job(
            learn,
            new_run_folder(out, name or learn.dls.path.resolve().name),
            config,
            cbs=cbs,
            verbose=verbose,
            deadline=deadline,
            timing=timing,
            made=made,
        )
        return job.train()


def _learner(data: Any, arch: Any, weights: str | Path | None, model: dict[str, Any]) -> Learner:
    """Build the learner, unless there is one already."""
    if isinstance(data, DataLoaders):
        return cnn_learner(data, arch, weights=weights, **model)
    if not isinstance(data, Learner):
        raise TypeError(f"expected a folder, DataLoaders or a Learner, got {type(data).__name__}")
    asked, defaults = {"arch": arch, "weights": weights}, inspect.signature(train).parameters
    given = [name for name, value in asked.items() if value != defaults[name].default]
    if given := [*given, *model]:
        raise TypeError(
            f"{', '.join(given)}: goes with a folder or DataLoaders; a Learner has its own"
        )
    return data
