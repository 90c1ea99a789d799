"""One training from plan to report: what `train` gathers on its way."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from fastai.callback.mixup import CutMix, MixUp
from fastai.learner import L, Learner
from fastai.torch_core import set_seed

from quickvision.best import Best
from quickvision.bottleneck import Watch
from quickvision.config import Rate, RunConfig
from quickvision.errors import ModelError
from quickvision.features import feature_learner, why_not
from quickvision.files import write_whole
from quickvision.interpret import get_preds
from quickvision.lr_find import FROZEN_LR, LRFind, find_lr
from quickvision.pace import clocked
from quickvision.planning import make_plan, plan_lines
from quickvision.progress import Bar, say
from quickvision.results import save_results
from quickvision.run import Run, Stage, arch_name
from quickvision.training import UNFROZEN_LR, count_groups, fit_frozen, fit_unfrozen, spread


@dataclass
class Job:
    """One training: what was asked for, and what has been gathered on the way.

    Attributes:
        learn: The learner that is trained.
        path: The run's folder.
        config: How it is trained.
        cbs: fastai callbacks for both stages.
        verbose: Say what happens.
        deadline: When the budget is spent, by `time.perf_counter`; None without one.
        timing: Seconds by stage, in their order.
        made: The options that data and model were made with, for `Run.show_code`.
    """

    learn: Learner
    path: Path
    config: RunConfig
    cbs: Any = None
    verbose: bool = True
    deadline: float | None = None
    timing: dict[str, float] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    history: list[pd.DataFrame] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    lr_finds: dict[str, LRFind] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.learn.path, self.learn.model_dir = self.path, "models"
        self.watch, self.best = Watch(self.say), Best(self.learn.model)
        mixes = [(MixUp, self.config.mixup), (CutMix, self.config.cutmix)]
        self.mixed = [mix(alpha) for mix, alpha in mixes if alpha]

    def say(self, text: str) -> None:
        """Say a line, unless asked to be quiet."""
        say(text, verbose=self.verbose)

    def train(self) -> Run:
        """Plan, train in both stages, look.

        Raises:
            ValueError: `gradual` without weights, or with fewer epochs than groups.
        """
        pretrained = getattr(self.learn, "pretrained", True)
        if self.config.gradual:
            self._check_gradual(pretrained)
        config = self.config if pretrained else self.config.from_scratch()
        frozen_epochs, unfrozen_epochs = config.frozen_epochs, config.unfrozen_epochs
        lr, second = config.lr, config.second_lr
        reason = why_not(self.learn, [*L(self.cbs), *self.mixed])
        reason = reason if config.cache_features else "cache_features=False"
        with clocked(self.timing, "estimate"):
            searches = (pretrained and lr == "find", second == "find")
            plan = make_plan(
                self.learn,
                config,
                cached=not reason,
                searches=searches,
                budgeted=self.deadline is not None,
            )
        if self.deadline is not None:
            left = self.deadline - time.perf_counter()
            wanted = unfrozen_epochs
            frozen_epochs, unfrozen_epochs = plan.fit(left, frozen_epochs)
            unfrozen_epochs = unfrozen_epochs if wanted else 0
        epochs = (frozen_epochs, unfrozen_epochs)
        self.say(plan_lines(self.learn, plan, epochs, self.path, self.deadline))
        if frozen_epochs and config.cache_features and reason:
            self.say(f"{'frozen':<13}sees the pictures in each epoch, because of {reason}")
        if frozen_epochs:
            self._frozen(frozen_epochs, lr, cached=not reason)
        if frozen_epochs and unfrozen_epochs and self.deadline is not None:
            planned = unfrozen_epochs
            unfrozen_epochs = plan.left_over(self.deadline - time.perf_counter())
            if unfrozen_epochs != planned:
                self.say(f"{'budget':<13}{unfrozen_epochs} unfrozen epochs fit now")
        if not pretrained:
            self.say("no weights to build on: all layers train from the start, at one rate")
        if unfrozen_epochs:
            self._unfrozen(unfrozen_epochs, second, pretrained)
        return self._finish()

    def _check_gradual(self, pretrained: bool) -> None:
        steps = count_groups(self.learn) - 1
        if not pretrained:
            raise ValueError("gradual: goes with weights; without them all layers train at once")
        if self.deadline is None and self.config.unfrozen_epochs < steps:
            raise ValueError(
                f"gradual: expected at least {steps} unfrozen epochs, one for each layer group that"
                f" is unfrozen, got {self.config.unfrozen_epochs}"
            )

    def _frozen(self, epochs: int, lr: Rate, *, cached: bool) -> None:
        """Train the head: on features that the body gives once, or on the pictures."""
        self.learn.freeze()
        learn, cbs = self.learn, [*L(self.cbs), *self.mixed, self.watch]
        if cached:
            try:
                with clocked(self.timing, "features"):
                    learn = feature_learner(self.learn, views=self.config.views)
                cbs = [*L(self.cbs)]
                self.say(f"{'frozen':<13}features of all pictures  {self.timing['features']:.0f} s")
            except ModelError as error:
                cached = False
                self.say(f"{'frozen':<13}sees the pictures in each epoch: {error}")
        rate = self._rate(learn, "frozen", lr, FROZEN_LR, cached)
        self._seed(learn)
        with clocked(self.timing, "frozen"):
            table = fit_frozen(learn, epochs, lr_max=rate, cbs=[*cbs, self.best], **self._how())
        if cached:
            seen = {k: v for k, v in vars(learn.recorder).items() if k != "learn"}
            vars(self.learn.recorder).update(seen)  # for learn.recorder.plot_loss() and the like
            learn.dls = None  # a learner and its callbacks hold each other, and so the features
        self._keep(table, "stage-1", Stage("frozen", epochs, rate, cached))

    def _unfrozen(self, epochs: int, lr: Rate, sliced: bool) -> None:
        """Train all layers; `sliced` spreads a single rate over them."""
        self.learn.unfreeze()
        rate = self._rate(self.learn, "unfrozen", lr, UNFROZEN_LR.stop)
        if sliced and not isinstance(rate, slice):
            rate = spread(rate)
        gradual = self.config.gradual and epochs >= count_groups(self.learn) - 1
        self._seed(self.learn)
        with clocked(self.timing, "unfrozen"):
            cbs = [*L(self.cbs), *self.mixed, self.watch, self.best]
            table = fit_unfrozen(
                self.learn, epochs, lr_max=rate, cbs=cbs, gradual=gradual, **self._how()
            )
        self._keep(table, "stage-2", Stage("unfrozen", epochs, rate, cached=False, gradual=gradual))

    def _seed(self, learn: Learner) -> None:
        """Begin a stage at a known place, so that it can be done again without those before it."""
        set_seed(self.config.seed)
        learn.dls.train.rng = random.Random(self.config.seed)

    def _how(self) -> dict[str, Any]:
        config = self.config
        how = {"schedule": config.schedule, "patience": config.patience}
        return {**how, "verbose": self.verbose}

    def _rate(
        self, learn: Learner, name: str, lr: Rate, default: float, cached: bool = False
    ) -> Any:
        """Find a rate where one is asked for."""
        if lr != "find":
            return lr
        if not cached:
            self.say(f"{name:<13}trying learning rates")
        bar = Bar(f"{name} rates") if self.verbose else None
        with clocked(self.timing, f"{name} rates"):
            steps = 100 if cached else None  # they cost next to nothing there
            found = self.lr_finds[name] = find_lr(learn, num_it=steps, default=default, cbs=bar)
        seconds = self.timing[f"{name} rates"]
        self.say(f"{name:<13}rate {found.lr:.1e}: {found.reason}  {seconds:.0f} s")
        return found.lr

    def _keep(self, table: pd.DataFrame, checkpoint: str, stage: Stage) -> None:
        """Save the weights and the history so far."""
        self.stages.append(stage)
        self.history.append(table.assign(cached=stage.cached))
        models = self.path / "models"
        save = self.learn.save
        write_whole(models / f"{checkpoint}.pth", lambda part: save(part.with_suffix("").resolve()))
        if self.best.row is not None and self.best.row["stage"] in set(table["stage"]):
            write_whole(models / "best.pth", partial(torch.save, self.best.weights))
        history = pd.concat(self.history, ignore_index=True)
        write_whole(self.path / "history.csv", partial(history.to_csv, index=False))

    def _finish(self) -> Run:
        """Look at the validation pictures once and write down what was seen."""
        skipped = getattr(self.learn.dls, "skipped", None)
        with clocked(self.timing, "report"):
            run = Run(
                learn=self.learn,
                history=pd.concat(self.history, ignore_index=True),
                preds=get_preds(self.learn, tta=self.config.tta),
                lr_finds=self.lr_finds,
                arch=arch_name(self.learn),
                path=self.path,
                skipped=pd.DataFrame(columns=["path", "reason"]) if skipped is None else skipped,
                config=self.config,
                stages=tuple(self.stages),
                made=self.made,
                best=self.best.row or {},
                timing=self.timing,
            )
            save_results(run)
        self.say(f"\n{run}")
        return run
