"""The main job from data to report: the only place where the rooms are joined."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.torch_core import no_random
from torch import nn

from quickvision.base.errors import RunError, some
from quickvision.base.figures import to_seconds
from quickvision.base.processes import by_first, first_then_others, join, share
from quickvision.runs.build import build, find_batch_size, sorted_out
from quickvision.runs.checkpoints import FOLDER, load_checkpoint
from quickvision.runs.config import Rate, RunConfig, plain_options, sides
from quickvision.runs.folder import locked, start_folder
from quickvision.runs.job import Job
from quickvision.runs.launch import check_gpus, launch
from quickvision.runs.plan import check_gradual
from quickvision.runs.run import Run


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
    gpus: int | None = None,
    cache_features: bool = True,
    views: int = 0,
    log: str | None = None,
    deterministic: bool = False,
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
        gpus: Train on so many GPUs of this machine, in a process each, which are started anew and
            read everything from files: `data` is a folder or a CSV file then, and no option is a
            function or an object. The effective batch is `bs` times `gpus`. Needs
            `pip install accelerate`; for several machines, and for scripts, see `torchrun` in the
            README.
        cache_features: Run the frozen body over all pictures once and train the head on what it
            says of them, which makes the frozen stage many times faster; its crops are those of
            validation then, and its batch-norm statistics stay. False is fastai's ordinary frozen
            stage, which is also taken, with a sentence, where the features cannot be kept.
        views: With cached features: augmented passes over the training pictures beside the plain
            one, each as long as that one.
        log: "tensorboard" or "wandb" (Weights & Biases): hand losses, metrics and rates over to it,
            through fastai's own callbacks, beside `log.csv`, which is always written. Others of
            fastai's go into `cbs`.
        deterministic: On a GPU the same seed gives the same bits only with this, and only on the
            same kind of GPU with the same versions: slower algorithms are taken where the fast ones
            add up in any order, and a layer that has no other is an error. On a CPU two runs are
            the same to the bit anyway, and it changes nothing.
        seed: Seed of head, split and augmentation. The global random state stays as it was.
        out: Folder in which the run's own folder, `NAME-001` and so on, is made.
        name: Name of the run; by default that of the folder of pictures.
        cbs: fastai callbacks, used in both stages.
        verbose: Say what happens, a line an epoch.
        **options: Go to `cnn_learner` (`head`, `hidden`, `dropout`, `opt`, `momentum`, `wd`,
            `loss`, `label_smoothing`, `class_weights`, `layer_groups`, `metrics`, `precision`,
            `compile`, ...; not with a `Learner`), and with a folder or a CSV file to `load_data`
            (`size`, `bs`, `valid`, `pat`, ...). `bs="auto"` is the largest batch that fits into the
            GPU's memory and leaves 20 steps an epoch (64 on a CPU, whose memory is not tried).

    Returns:
        The finished run. Its folder has `config.json`, what the run was asked for, with versions
        and a hash of the split; `log.csv`, a row an epoch, written as they end; `checkpoints`,
        with `last.pt` for `resume`, and for `learn.load` `stage-1.pth` (after the frozen stage),
        `stage-2.pth` (after the unfrozen one) and `best.pth` (the best epoch of both); the tables
        `predictions.csv` (and `predictions.npz`, all probabilities), `confused.csv`, `split.csv`
        (see `save_split`), where rates were searched `lr_find-STAGE.csv`, where pictures were
        left out `skipped.csv`; and the plots.

    Raises:
        DataError: The data cannot be trained on.
        ModelError: The model or its weights cannot be had; there are fewer GPUs.
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
        log=log,
        deterministic=deterministic,
        seed=seed,
    )
    join()
    if gpus is not None:
        check_gpus(gpus)
    deadline = None if budget is None else time.perf_counter() + to_seconds(budget)
    timing: dict[str, float] = {}
    model, pictures = sorted_out(options, inspect.signature(train).parameters)
    made = {"data": data, "arch": arch, "weights": weights, "model": model, "pictures": pictures}
    made["cbs"] = cbs is not None
    with no_random(seed, reproducible=False):
        how: dict[str, Any] = {"seed": seed, "verbose": verbose, "timing": timing}
        learn = first_then_others(lambda: build(made, **how))
        find_batch_size(learn, made, verbose=verbose)
        check_gradual(learn, config)
        dls = learn.dls
        if share(sides(dls)) != sides(dls):
            raise RunError(f"expected the first process's pictures, got others in {dls.path}")
        if gpus is not None and (lost := plain_options(made, dls)[1]):
            raise TypeError(f"gpus: {some(lost)}: cannot be given to other processes")
        called = dls.path.resolve().name if name is None else name
        folder = by_first(lambda: start_folder(out, called, config, made, dls))
        state = None
        if gpus is not None:
            launch(["resume", str(folder)], gpus, verbose=verbose)
            state = load_checkpoint(folder / FOLDER)
        with ExitStack() as held:
            by_first(lambda: held.enter_context(locked(folder)))
            job = Job(
                learn,
                folder,
                config,
                cbs=cbs,
                verbose=verbose and gpus is None,
                deadline=deadline,
                timing=timing,
                made=made,
                state=state,
            )
            return job.train()
