"""One training from plan to report: what `train` gathers on its way."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from fastai.learner import L, Learner

from quickvision.bottleneck import Watch
from quickvision.errors import ModelError, QuickvisionError, RunError
from quickvision.features import feature_learner, why_not
from quickvision.files import write_whole
from quickvision.holdout import save_split
from quickvision.interpret import get_preds
from quickvision.lr_find import FROZEN_LR, LRFind, find_lr, search_steps
from quickvision.pace import Pace, Plan, measure_pace, spoken
from quickvision.plots import save_plot
from quickvision.progress import Bar, say
from quickvision.run import Run
from quickvision.training import UNFROZEN_LR, fit_frozen, fit_unfrozen, spread

Rate = float | slice | str
UNKNOWN = Pace(0, 0, 0, 0)


@dataclass
class Job:
    """One training: what was asked for, and what has been gathered on the way.

    Attributes:
        learn: The learner that is trained.
        path: The run's folder.
        cbs: fastai callbacks for both stages.
        verbose: Say what happens.
        cache_features: Train the head on cached features where that can be done.
        views: As in `feature_learner`.
        deadline: When the budget is spent, by `time.perf_counter`; None without one.
        timing: Seconds by stage, in their order.
    """

    learn: Learner
    path: Path
    cbs: Any = None
    verbose: bool = True
    cache_features: bool = True
    views: int = 0
    deadline: float | None = None
    timing: dict[str, float] = field(default_factory=dict)
    history: list[pd.DataFrame] = field(default_factory=list)
    lr_finds: dict[str, LRFind] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.learn.path, self.learn.model_dir = self.path, "models"
        self.watch = Watch(self.say)

    def say(self, text: str) -> None:
        """Say a line, unless asked to be quiet."""
        say(text, verbose=self.verbose)

    def train(
        self, frozen_epochs: int, unfrozen_epochs: int, lr: Rate, lr_unfrozen: Rate, *, lr_all: Rate
    ) -> Run:
        """Plan, train in both stages, look; `lr_all` is the rate where nothing is pretrained."""
        pretrained = getattr(self.learn, "pretrained", True)
        reason = why_not(self.learn, self.cbs) if self.cache_features else "cache_features=False"
        if not pretrained:
            frozen_epochs, unfrozen_epochs = 0, frozen_epochs + unfrozen_epochs
        with clocked(self.timing, "estimate"):
            second = lr_unfrozen if pretrained else lr_all
            plan = self._plan(not reason, (pretrained and lr == "find", second == "find"))
        if self.deadline is not None:
            left = self.deadline - time.perf_counter()
            wanted = unfrozen_epochs
            frozen_epochs, unfrozen_epochs = plan.fit(left, frozen_epochs)
            unfrozen_epochs = unfrozen_epochs if wanted else 0
        self._say_plan(plan, frozen_epochs, unfrozen_epochs)
        if frozen_epochs and self.cache_features and reason:
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

    def _plan(self, cached: bool, searches: tuple[bool, bool]) -> Plan:
        dls = self.learn.dls
        steps = [search_steps(len(dls.train)) * search for search in searches]
        try:
            pace = measure_pace(self.learn)
        except QuickvisionError:
            raise
        except Exception as error:  # callbacks of its own may be what makes its batches fit
            if self.deadline is not None:
                raise RunError(
                    f"budget: expected a learner whose steps can be timed, got: {error}; give the"
                    " epochs instead"
                ) from error
            self.say(f"{'time':<13}no estimate: {error}")
            pace = UNKNOWN
        return Plan(
            pace,
            n_train=len(dls.train_ds),
            n_valid=len(dls.valid_ds),
            bs=dls.train.bs,
            cached=cached,
            views=self.views,
            searched=(steps[0], steps[1]),
        )

    def _say_plan(self, plan: Plan, frozen_epochs: int, unfrozen_epochs: int) -> None:
        dls, n_batches = self.learn.dls, len(self.learn.dls.train)
        millions = sum(p.numel() for p in self.learn.model.parameters()) / 1e6
        frozen = f"{frozen_epochs} frozen{' (on cached features)' if plan.cached else ''}"
        seconds = plan.total(frozen_epochs, unfrozen_epochs)
        stages = [frozen] * bool(frozen_epochs) + [f"{unfrozen_epochs} unfrozen"]
        lines = {
            "data": f"{plan.n_train:,} train, {plan.n_valid:,} valid, {len(dls.vocab)} classes",
            "model": f"{arch_name(self.learn)}, {millions:.1f} M parameters",
            "plan": f"{' + '.join(stages)} epochs of {n_batches} steps, into {self.path}",
        }
        if plan.pace != UNKNOWN:
            lines["time"] = f"about {spoken(seconds)}"
        if self.deadline is not None and seconds > self.deadline - time.perf_counter():
            lines["budget"] = "too short: this is the least that can be done"
        bs = max(4, 2 ** int(math.log2(max(plan.n_train, 10) / 10)))
        if n_batches < 6 and bs < plan.bs:
            lines["advice"] = f"{n_batches} steps an epoch are few: bs={bs} makes more of them"
        self.say("\n".join(f"{name:<13}{text}" for name, text in lines.items()))

    def _frozen(self, epochs: int, lr: Rate, *, cached: bool) -> None:
        """Train the head: on features that the body gives once, or on the pictures."""
        self.learn.freeze()
        learn, cbs = self.learn, [*L(self.cbs), self.watch]
        if cached:
            try:
                with clocked(self.timing, "features"):
                    learn, cbs = feature_learner(self.learn, views=self.views), L(self.cbs)
                self.say(f"{'frozen':<13}features of all pictures  {self.timing['features']:.0f} s")
            except ModelError as error:
                cached = False
                self.say(f"{'frozen':<13}sees the pictures in each epoch: {error}")
        rate = self._rate(learn, "frozen", lr, FROZEN_LR, cached)
        with clocked(self.timing, "frozen"):
            table = fit_frozen(learn, epochs, lr_max=rate, cbs=cbs, verbose=self.verbose)
        if cached:
            seen = {k: v for k, v in vars(learn.recorder).items() if k != "learn"}
            vars(self.learn.recorder).update(seen)  # for learn.recorder.plot_loss() and the like
            learn.dls = None  # a learner and its callbacks hold each other, and so the features
        self._keep(table, "stage-1", cached)

    def _unfrozen(self, epochs: int, lr: Rate, sliced: bool) -> None:
        """Train all layers; `sliced` spreads a single rate over them."""
        self.learn.unfreeze()
        rate = self._rate(self.learn, "unfrozen", lr, UNFROZEN_LR.stop)
        if sliced and not isinstance(rate, slice):
            rate = spread(rate)
        cbs = [*L(self.cbs), self.watch]
        with clocked(self.timing, "unfrozen"):
            table = fit_unfrozen(self.learn, epochs, lr_max=rate, cbs=cbs, verbose=self.verbose)
        self._keep(table, "stage-2", cached=False)

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

    def _keep(self, table: pd.DataFrame, checkpoint: str, cached: bool) -> None:
        """Save the weights and the history so far."""
        self.history.append(table.assign(cached=cached))
        file = self.path / "models" / f"{checkpoint}.pth"
        write_whole(file, lambda part: self.learn.save(part.with_suffix("").resolve()))
        history = pd.concat(self.history, ignore_index=True)
        write_whole(self.path / "history.csv", partial(history.to_csv, index=False))

    def _finish(self) -> Run:
        """Look at the validation pictures once and write down what was seen."""
        skipped = getattr(self.learn.dls, "skipped", None)
        with clocked(self.timing, "report"):
            run = Run(
                learn=self.learn,
                history=pd.concat(self.history, ignore_index=True),
                preds=get_preds(self.learn),
                lr_finds=self.lr_finds,
                arch=arch_name(self.learn),
                path=self.path,
                skipped=pd.DataFrame(columns=["path", "reason"]) if skipped is None else skipped,
                timing=self.timing,
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


@contextmanager
def clocked(timing: dict[str, float], stage: str) -> Iterator[None]:
    """Add the seconds that the block takes to a stage's."""
    start = time.perf_counter()
    yield
    timing[stage] = timing.get(stage, 0.0) + time.perf_counter() - start


def arch_name(learn: Learner) -> str:
    """Return the name of a learner's architecture, or of its model's class."""
    arch = getattr(learn, "arch", None) or type(learn.model)
    return arch if isinstance(arch, str) else getattr(arch, "__name__", str(arch))
