"""The main job from data to report: the only place where the rooms are joined."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.torch_core import default_device, no_random
from torch import nn

from quickvision.data import load_data
from quickvision.job import Job, Rate, clocked
from quickvision.learner import cnn_learner
from quickvision.models import find_arch
from quickvision.pace import to_seconds
from quickvision.run import Run, new_run_folder
from quickvision.speed import check_precision


def train(
    data: str | Path | DataLoaders | Learner,
    *,
    arch: str | Callable[..., nn.Module] = "resnet34",
    weights: str | Path | None = "default",
    frozen_epochs: int = 4,
    unfrozen_epochs: int = 2,
    lr: Rate = "find",
    lr_unfrozen: Rate | None = None,
    budget: str | float | None = None,
    cache_features: bool = True,
    views: int = 0,
    precision: str = "auto",
    compile: bool = False,
    seed: int = 42,
    out: str | Path = "runs",
    name: str | None = None,
    cbs: Any = None,
    verbose: bool = True,
    **data_options: Any,
) -> Run:
    """Do the whole main job: find a rate, train frozen, find again, train unfrozen, look.

    Without weights there is nothing to freeze: all layers train from the start, for all epochs, at
    one rate (`lr_unfrozen` where it is given, else `lr`).

    Args:
        data: A folder of pictures or a CSV file, in any layout that `load_data` knows; or
            `DataLoaders`; or a `Learner`, which is trained on (and then saves in the run's folder).
        arch: As in `cnn_learner`; not with a `Learner`, which has its model.
        weights: As in `cnn_learner`; not with a `Learner`.
        frozen_epochs: Epochs of the head alone; 0 leaves the stage out.
        unfrozen_epochs: Epochs of all layers; 0 leaves the stage out.
        lr: Rate of the frozen stage: "find", or a number.
        lr_unfrozen: Rates of the unfrozen stage: "find"; a number for the head, of which the first
            layers get a hundredth; a slice; or None, "find" where `lr` is, and else half of `lr`.
        budget: Time for all of it, such as "10min": unfrozen epochs, ten at most (none
            where `unfrozen_epochs` is 0), are picked to fit, and fewer frozen ones where even these
            are too many. It is aimed at, not enforced.
        cache_features: Run the frozen body over all pictures once and train the head on what it
            says of them, which makes the frozen stage many times faster; its crops are those of
            validation then, and its batch-norm statistics stay. False is fastai's ordinary frozen
            stage, which is also taken, with a sentence, where the features cannot be kept.
        views: With cached features: augmented passes over the training pictures beside the plain
            one, each as long as that one.
        precision: As in `cnn_learner`; not with a `Learner`.
        compile: As in `cnn_learner`; not with a `Learner`.
        seed: Seed of head, split and augmentation. The global random state stays as it was.
        out: Folder in which the run's own folder, `NAME-001` and so on, is made.
        name: Name of the run; by default that of the folder of pictures.
        cbs: fastai callbacks, used in both stages.
        verbose: Say what happens, a line an epoch.
        **data_options: With a folder or a CSV file only: go to `load_data`.

    Returns:
        The finished run. Its folder has `models/stage-1.pth` (after the frozen stage) and
        `stage-2.pth` (after the unfrozen one), each where there was such a stage, the tables
        `history.csv`, `predictions.csv`, `confused.csv`, `split.csv` (see `save_split`) and, where
        pictures were left out, `skipped.csv`, and the plots.

    Raises:
        DataError: The data cannot be trained on.
        ModelError: The model or its weights cannot be had.
        RunError: `out` cannot be written, or the loss is no number any more.
        TypeError: `data` is none of these, or options do not go with it.
        ValueError: No epochs at all, or a rate that makes no sense.
    """
    if min(frozen_epochs, unfrozen_epochs) < 0 or frozen_epochs + unfrozen_epochs < 1:
        raise ValueError(f"expected epochs to train, got {frozen_epochs} + {unfrozen_epochs}")
    lr = lr if isinstance(lr, str | slice) else float(lr)
    lr_all = lr if lr_unfrozen is None else lr_unfrozen
    if lr_unfrozen is None:
        lr_unfrozen = lr if isinstance(lr, str | slice) else lr / 2
    for rate in (lr, lr_unfrozen):
        number = isinstance(rate, int | float) and rate > 0
        if not (number or rate == "find" or isinstance(rate, slice)):
            raise ValueError(f"expected 'find' or a rate such as 1e-3, got {rate!r}")
    seconds = None if budget is None else to_seconds(budget)
    deadline = None if seconds is None else time.perf_counter() + seconds
    if not isinstance(views, int) or views < 0:
        raise ValueError(f"views: expected a whole number from 0, got {views!r}")
    if views and not cache_features:
        raise TypeError("views: goes with cached features, and cache_features=False is given")
    timing: dict[str, float] = {}
    with no_random(seed, reproducible=False):
        if isinstance(data, str | Path):
            find_arch(arch)  # a typo should not cost a look at all the pictures
            check_precision(precision, default_device())
            with clocked(timing, "data"):
                data = load_data(data, verbose=verbose, **{"seed": seed, **data_options})
        elif data_options:
            raise TypeError(
                f"{', '.join(data_options)}: goes with a folder; here the data is"
                f" {type(data).__name__} already"
            )
        with clocked(timing, "model"):
            model = {"arch": arch, "weights": weights, "precision": precision, "compile": compile}
            learn = _learner(data, model)
        job = Job(
            learn,
            new_run_folder(out, name or learn.dls.path.resolve().name),
            cbs=cbs,
            verbose=verbose,
            cache_features=cache_features,
            views=views,
            deadline=deadline,
            timing=timing,
        )
        return job.train(frozen_epochs, unfrozen_epochs, lr, lr_unfrozen, lr_all=lr_all)


def _learner(data: Any, model: dict[str, Any]) -> Learner:
    """Build the learner, unless there is one already."""
    if isinstance(data, DataLoaders):
        return cnn_learner(data, **model)
    if not isinstance(data, Learner):
        raise TypeError(f"expected a folder, DataLoaders or a Learner, got {type(data).__name__}")
    defaults = inspect.signature(train).parameters
    if given := [name for name, value in model.items() if value != defaults[name].default]:
        raise TypeError(
            f"{', '.join(given)}: goes with a folder or DataLoaders; a Learner has its own"
        )
    return data
