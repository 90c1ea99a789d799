"""The main job from data to report: the only place where the rooms are joined."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.torch_core import no_random
from torch import nn

from quickvision.data import load_data
from quickvision.files import write_whole
from quickvision.holdout import save_split
from quickvision.interpret import get_preds
from quickvision.learner import cnn_learner
from quickvision.lr_find import FROZEN_LR, LRFind, find_lr
from quickvision.models import find_arch
from quickvision.plots import save_plot
from quickvision.progress import Bar, say
from quickvision.run import Run, new_run_folder
from quickvision.training import UNFROZEN_LR, fit_frozen, fit_unfrozen, spread

Rate = float | slice | str


def train(
    data: str | Path | DataLoaders | Learner,
    *,
    arch: str | Callable[..., nn.Module] = "resnet34",
    weights: str | Path | None = "default",
    frozen_epochs: int = 4,
    unfrozen_epochs: int = 2,
    lr: Rate = "find",
    lr_unfrozen: Rate | None = None,
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
    scratch_lr = lr if lr_unfrozen is None else lr_unfrozen
    if lr_unfrozen is None:
        lr_unfrozen = lr if isinstance(lr, str | slice) else lr / 2
    for rate in (lr, lr_unfrozen):
        number = isinstance(rate, int | float) and rate > 0
        if not (number or rate == "find" or isinstance(rate, slice)):
            raise ValueError(f"expected 'find' or a rate such as 1e-3, got {rate!r}")
    with no_random(seed, reproducible=False):
        options = {"seed": seed, **data_options}
        learn = _learner(data, arch, weights, options, verbose=verbose)
        job = _Job(learn, cbs, verbose, new_run_folder(out, name or learn.dls.path.resolve().name))
        job.say(job.plan(frozen_epochs, unfrozen_epochs))
        if getattr(learn, "pretrained", True):
            job.stage(fit_frozen, frozen_epochs, lr)
            job.stage(fit_unfrozen, unfrozen_epochs, lr_unfrozen)
        else:
            job.say("no weights to build on: all layers train from the start, at one rate")
            job.stage(fit_unfrozen, frozen_epochs + unfrozen_epochs, scratch_lr, sliced=False)
        return job.finish()


def _learner(
    data: Any, arch: Any, weights: Any, options: dict[str, Any], *, verbose: bool
) -> Learner:
    """Build what is not there yet."""
    if not isinstance(data, Learner):
        find_arch(arch)  # a typo should not cost a look at all the pictures
    if isinstance(data, str | Path):
        data = load_data(data, verbose=verbose, **options)
    elif len(options) > 1:
        names = ", ".join(option for option in options if option != "seed")
        raise TypeError(
            f"{names}: goes with a folder; here the data is {type(data).__name__} already"
        )
    if isinstance(data, DataLoaders):
        return cnn_learner(data, arch, weights=weights)
    if not isinstance(data, Learner):
        raise TypeError(f"expected a folder, DataLoaders or a Learner, got {type(data).__name__}")
    if arch != "resnet34" or weights != "default":
        raise TypeError("arch and weights go with a folder or DataLoaders; a Learner has its model")
    return data


@dataclass
class _Job:
    """What one call of `train` gathers on its way."""

    learn: Learner
    cbs: Any
    verbose: bool
    path: Path
    history: list[pd.DataFrame] = field(default_factory=list)
    lr_finds: dict[str, LRFind] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.learn.path, self.learn.model_dir = self.path, "models"

    def say(self, text: str) -> None:
        say(text, verbose=self.verbose)

    def plan(self, frozen_epochs: int, unfrozen_epochs: int) -> str:
        dls, model = self.learn.dls, self.learn.model
        n_train, n_batches = len(dls.train_ds), len(dls.train)
        sizes = f"{n_train:,} train, {len(dls.valid_ds):,} valid, {len(dls.vocab)} classes"
        millions = sum(p.numel() for p in model.parameters()) / 1e6
        epochs = f"{frozen_epochs} frozen + {unfrozen_epochs} unfrozen epochs"
        lines = {
            "data": sizes,
            "model": f"{_arch_name(self.learn)}, {millions:.1f} M parameters",
            "plan": f"{epochs} of {n_batches} steps, into {self.path}",
        }
        bs = max(4, 2 ** int(math.log2(max(n_train, 10) / 10)))
        if n_batches < 6 and bs < dls.train.bs:
            lines["advice"] = f"{n_batches} steps an epoch are few: bs={bs} makes more of them"
        return "\n".join(f"{name:<13}{text}" for name, text in lines.items())

    def stage(
        self, fit: Callable[..., pd.DataFrame], epochs: int, lr: Any, sliced: bool = True
    ) -> None:
        """Find a rate where one is asked for, fit, save; `sliced` spreads an unfrozen rate."""
        if not epochs:
            return
        frozen = fit is fit_frozen
        name = "frozen" if frozen else "unfrozen"
        if lr == "find":
            (self.learn.freeze if frozen else self.learn.unfreeze)()
            self.say(f"{name:<13}trying learning rates")
            start = time.perf_counter()
            bar = Bar(f"{name} rates") if self.verbose else None
            default = FROZEN_LR if frozen else UNFROZEN_LR.stop
            found = self.lr_finds[name] = find_lr(self.learn, default=default, cbs=bar)
            lr, seconds = found.lr, time.perf_counter() - start
            self.say(f"{name:<13}rate {lr:.1e}: {found.reason}  {seconds:.0f} s")
        if not frozen and sliced and not isinstance(lr, slice):
            lr = spread(lr)
        self.history.append(fit(self.learn, epochs, lr_max=lr, cbs=self.cbs, verbose=self.verbose))
        checkpoint = self.path / "models" / f"stage-{1 if frozen else 2}.pth"
        write_whole(checkpoint, lambda part: self.learn.save(part.with_suffix("").resolve()))
        history = pd.concat(self.history, ignore_index=True)
        write_whole(self.path / "history.csv", partial(history.to_csv, index=False))

    def finish(self) -> Run:
        """Look at the validation pictures once and write down what was seen."""
        skipped = getattr(self.learn.dls, "skipped", None)
        run = Run(
            learn=self.learn,
            history=pd.concat(self.history, ignore_index=True),
            preds=get_preds(self.learn),
            lr_finds=self.lr_finds,
            arch=_arch_name(self.learn),
            path=self.path,
            skipped=pd.DataFrame(columns=["path", "reason"]) if skipped is None else skipped,
        )
        self._save(run)
        self.say(f"\n{run}")
        return run

    def _save(self, run: Run) -> None:
        tables = {"predictions": run.preds.to_frame(), "confused": run.most_confused()}
        if len(run.skipped):
            tables["skipped"] = run.skipped
        if isinstance(getattr(self.learn.dls, "split", None), pd.DataFrame):  # made by our doors
            save_split(self.learn.dls, self.path / "split.csv")
        for name, table in tables.items():
            write_whole(self.path / f"{name}.csv", partial(table.to_csv, index=False))
        plots = {"confusion": run.plot_confusion(), "history": run.plot_history()}
        plots["top_losses"] = run.plot_top_losses()
        if run.lr_finds:
            plots["lr_find"] = run.plot_lr_find()
        for name, ax in plots.items():
            write_whole(self.path / f"{name}.png", partial(save_plot, ax))


def _arch_name(learn: Learner) -> str:
    arch = getattr(learn, "arch", None) or type(learn.model)
    return arch if isinstance(arch, str) else getattr(arch, "__name__", str(arch))
