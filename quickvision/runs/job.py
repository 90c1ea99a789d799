"""One training from plan to report, from its start or from a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from fastai.callback.core import Callback
from fastai.callback.mixup import CutMix, MixUp
from fastai.learner import L, Learner
from torch import nn

from quickvision.base.errors import ModelError, RunError
from quickvision.base.figures import clocked
from quickvision.base.processes import rank, share, spread_weights, world_size
from quickvision.base.progress import line, say
from quickvision.models.compute import deterministic, device_of
from quickvision.models.optimisers import is_like_adam
from quickvision.results.predictions import get_preds
from quickvision.runs.checkpointer import Checkpointer
from quickvision.runs.checkpoints import (
    BEST,
    FOLDER,
    Checkpoint,
    load_weights,
    save_weights,
    seed_all,
)
from quickvision.runs.config import Spec
from quickvision.runs.ending import end
from quickvision.runs.folder import save_search
from quickvision.runs.kept import NAME as KEPT
from quickvision.runs.kept import keep_features
from quickvision.runs.more import plan_more
from quickvision.runs.options import Rate
from quickvision.runs.plan import Plan, make_plan, plan_lines
from quickvision.runs.progress import Progress, Stage, stage_name, stage_seed, weights_after
from quickvision.runs.run import Run
from quickvision.training.adapt import adapt_if_asked, best_features
from quickvision.training.evidence import rates_for, said_of
from quickvision.training.features import hand_over, right_answers, why_not
from quickvision.training.fit import UNFROZEN_LR, count_groups, fit_frozen, fit_unfrozen, spread
from quickvision.training.guards import InParts
from quickvision.training.lr_find import FROZEN_LR, find_lr
from quickvision.training.records import Bar, BestEpoch, logged
from quickvision.training.settle import Settle
from quickvision.training.solve import Solve, is_single
from quickvision.training.trials import Watch


@dataclass
class Job:
    """One training: what was asked for, and what has been gathered on the way."""

    learn: Learner
    path: Path  # the run's folder
    spec: Spec
    cbs: Any = None  # fastai callbacks for both stages
    verbose: bool = True
    deadline: float | None = None  # when the budget is spent, by `time.perf_counter`
    timing: dict[str, float] = field(default_factory=dict)  # seconds by stage, in their order
    checkpoint: Checkpoint | None = None  # where to go on from; None to begin
    more: int | None = None  # epochs that a finished run is trained further

    def __post_init__(self) -> None:
        self.learn.path, self.learn.model_dir = self.path, FOLDER
        self.config = self.spec.train
        self.watch, self.in_parts = Watch(self.say), InParts(self.say)
        mixes = ((MixUp, self.config.mixup), (CutMix, self.config.cutmix))
        self.best, self.mixed = BestEpoch(self.learn), [mix(share) for mix, share in mixes if share]
        self.at, fit = Progress(timing=self.timing), None
        if self.checkpoint is not None:
            self.at, fit = self.checkpoint.progress, self.checkpoint.fit
            for name, seconds in self.timing.items():
                self.at.timing[name] = self.at.timing.get(name, 0.0) + seconds
            self.best.row = self.at.best
            try:
                self.learn.model.load_state_dict(self.checkpoint.model)
            except RuntimeError as error:
                raise RunError(f"expected the run's model, got another: {error}") from error
        at = (self.path, self.learn.model, self.best, self.at, fit)
        self.checkpointer = Checkpointer(*at, restored=self.checkpoint is None)

    def say(self, text: str) -> None:
        """Say a line, unless asked to be quiet."""
        say(text, verbose=self.verbose)

    def train(self) -> Run:
        """Plan, train stage by stage, look."""
        model, device = self.learn.model, device_of(self.learn)
        exact = deterministic(model, device) if self.config.deterministic else nullcontext()
        with exact, logged(self.config.log, self.path) as self.logs:
            try:
                self._train()
                return self._finish()
            except Exception:
                self._keep_best()
                raise
            except KeyboardInterrupt:
                self._keep_best()
                self.say(line("stopped", f"to go on: quickvision resume {self.path}"))
                raise

    def _train(self) -> None:
        pretrained = getattr(self.learn, "pretrained", True)
        config = self.config if pretrained else self.config.from_scratch()
        reason = why_not(self.learn, [*L(self.cbs), *self.mixed])
        if not config.cache_features:
            reason = "cache_features=False"
        plan = None
        if self.more is not None:
            with clocked(self.at.timing, "estimate"):
                how = {"judged": config.second_lr == "find"}
                what = plan_more(self.learn, self.at, self.more, **how)
            self.checkpointer.save()  # from here on it is a run that was stopped
            (self.path / KEPT).unlink(missing_ok=True)
            self.say(line("plan", f"{what}, into {self.path}"))
        if self.checkpoint is None:
            self.at.epochs = (config.frozen_epochs, config.unfrozen_epochs)
            searches = (pretrained and config.lr == "find", config.second_lr == "find")
            plan = self._plan(not reason and pretrained, searches)
        if self.at.epochs[0] and config.cache_features and reason:
            self.say(line("frozen", f"sees the pictures in each epoch, because of {reason}"))
            model = self.learn.model
            if isinstance(model, nn.Sequential) and is_single(model[-1]):
                self.say(line("frozen", "so its head is trained, not solved, as it usually is"))
        if self.at.epochs[0]:
            self._frozen(self.at.epochs[0], config.lr, cached=not reason)
        if plan and all(self.at.epochs) and self.deadline is not None:
            self._plan_again(plan)
        if not pretrained:
            text = "no weights to build on: all layers train from the start, at one rate"
            if isinstance(self.spec.data, Learner):
                text += "; if you have loaded some into it, set the learner's `pretrained` to True"
            self.say(text)
        for number, epochs in enumerate(self.at.epochs):
            if number and epochs:
                self._unfrozen(number, epochs, config.second_lr, pretrained)

    def _keep_best(self) -> None:
        """Leave a model that can be used, and say where it is."""
        with suppress(RunError):  # the folder cannot be written, as somebody is being told
            self.checkpointer.save_best()
        if self.best.row is not None:
            at = f"{self.best.row['stage']} epoch {self.best.row['epoch']}"
            self.say(line("kept", f"the best so far, {at}: {self.path / FOLDER / BEST}"))

    def _plan(self, cached: bool, searches: tuple[bool, bool]) -> Plan:
        """Time a few steps, pick the epochs where there is a budget, and say what will be done."""
        with clocked(self.at.timing, "estimate"):
            budgeted = self.deadline is not None
            how: dict[str, Any] = {"cached": cached, "searches": searches, "budgeted": budgeted}
            plan = make_plan(self.learn, self.config, **how)
        if self.deadline is not None:
            frozen, unfrozen = plan.fit(self.deadline - time.perf_counter(), self.at.epochs[0])
            self.at.epochs = share((frozen, unfrozen if self.at.epochs[1] else 0))
        at = (self.at.epochs, self.path, self.deadline)
        told = isinstance(self.spec.data, str | Path)  # `load_data` has
        self.say(plan_lines(self.learn, plan, *at, told=told))
        return plan

    def _plan_again(self, plan: Plan) -> None:
        """Pick the unfrozen epochs once more, now that the frozen stage's time is known."""
        unfrozen = share(plan.left_over((self.deadline or 0) - time.perf_counter()))
        if unfrozen != self.at.epochs[1]:
            self.say(line("budget", f"{unfrozen} unfrozen epochs fit now"))
        self.at.epochs = (self.at.epochs[0], unfrozen)
        self.checkpointer.save()  # or a resumed run would go by the first plan

    def _frozen(self, epochs: int, lr: Rate, *, cached: bool) -> None:
        """Train the head: on features that the body gives once, or on the pictures."""
        self.learn.freeze()
        if self.at.is_done("frozen"):
            return
        if not self.at.rows:
            self.at.adapted |= adapt_if_asked(self.learn, partial(self._seed, self.learn))
        top = self._features() if cached else None
        learn = self.learn if top is None else top
        rate = self._rate(learn, "frozen", lr, FROZEN_LR)
        solved = self.at.solved
        stage = Stage("frozen", epochs, rate, top is not None, adapted=self.at.adapted)
        stage = replace(stage, solved=None if solved is None else solved.c)
        self._stage(learn, stage, fit_frozen, [] if solved is None else [Solve(solved.c)])
        if solved is not None:
            self.say(line("frozen", f"head solved, {solved}"))
        if self.at.epochs[1]:
            right = right_answers(top) if top is not None else get_preds(self.learn).right
            self.at.right["frozen"] = right.tolist()
        if top is not None:
            hand_over(top, self.learn)
        self._keep("frozen")

    def _unfrozen(self, number: int, epochs: int, lr: Rate, sliced: bool) -> None:
        """Train all layers; `sliced` spreads a single rate over them."""
        self.learn.unfreeze()
        name, own, solved = stage_name(number), [], self.at.solved
        if self.at.is_done(name):
            return
        gradual = self.config.gradual and number == 1 and epochs >= count_groups(self.learn) - 1
        stage = Stage(name, epochs, lr, gradual=gradual)
        if lr == "find" and solved is not None:
            own = [settle := Settle.after(self.learn, solved)]
            if self.at.rows_of(name):  # it goes on in the midst of them
                start = self.path / FOLDER / f"{weights_after(self.at.stages[-1].name)}.pth"
                settle.go_on(load_weights(start), self.at.way)
            stage = replace(stage, solved=solved.c)
        if own and solved is not None and is_like_adam(self.learn.opt_func):
            left = (solved.left_open, len(self.learn.dls.train_ds), self.at.undone)
            self.say(line(name, said_of(rate := rates_for(*left), *left)))
        else:
            rate = self._rate(self.learn, "unfrozen", lr, UNFROZEN_LR.stop)  # found once
            if sliced and not isinstance(rate, slice):
                rate = spread(rate)
        stage = replace(stage, lr=rate)
        self._stage(self.learn, stage, partial(fit_unfrozen, gradual=gradual, stage=name), own)
        self._keep(name)

    def _features(self) -> Learner | None:
        """Build the learner of the head on what the body says; None where that cannot be kept."""
        how: Any = {"views": self.config.views, "seed": self.config.seed, "known": self.at.solved}
        how["reseed"] = partial(self._seed, self.learn)
        try:
            with clocked(self.at.timing, "features"):
                top, self.at.solved, adapted = best_features(self.learn, **how)
        except ModelError as error:
            self.say(line("frozen", f"sees the pictures in each epoch: {error}"))
            return None
        self.at.adapted |= adapted
        if self.config.report and rank() == 0:
            keep_features(self.path, self.learn, top.dls.train.dataset, top.dls.valid.dataset)
        by = ", batch norms adapted to them" if self.at.adapted else ""
        seconds = self.at.timing["features"]
        self.say(line("frozen", f"features of all pictures{by}  {seconds:.0f} s"))
        return top

    def _stage(
        self, learn: Learner, stage: Stage, fit: Callable[..., Any], own: Sequence[Callback] = ()
    ) -> None:
        """Fit, from a known place, so that a stage can be done again without those before it."""
        cached = learn is not self.learn
        cbs = [*L(self.cbs)] if cached else [*L(self.cbs), *self.mixed, self.watch]
        cbs += [*own, self.in_parts, self.best, self.checkpointer, *self.logs(stage.name)]
        self._seed(learn, stage.name, apart=not cached)
        self.checkpointer.cached = cached
        if self.checkpointer.restored:
            self.checkpointer.save()
        with clocked(self.at.timing, stage.name):
            fit(
                learn,
                stage.epochs,
                lr_max=stage.lr,
                schedule=self.config.schedule,
                patience=self.config.patience,
                past=self.at.rows_of(stage.name),
                verbose=self.verbose,
                cbs=[*cbs, *self._together(learn)],
            )
        kept = [cb.way for cb in own if isinstance(cb, Settle)]
        self.at.end(replace(stage, way=kept[0] if kept else 1.0))
        if kept == [0.0]:
            self.say(line(stage.name, "undone: left-out training pictures say that it harmed"))

    def _together(self, learn: Learner) -> list[Any]:
        """What several processes need; on cached features each does the same, and that is quick."""
        if world_size() == 1 or learn is not self.learn:
            return []
        from quickvision.training.distributed import Distributed  # Accelerate may not be installed

        return [Distributed()]

    def _seed(self, learn: Learner, stage: str = "frozen", *, apart: bool = False) -> None:
        """Begin at a stage's seed; `apart` gives each process random numbers of its own."""
        seed_all(learn.dls, stage_seed(self.config.seed, stage), rank() if apart else 0)

    def _rate(self, learn: Learner, name: str, lr: Rate, default: float) -> Any:
        """Find a rate where one is asked for, and has not been found."""
        if lr != "find":
            return lr
        if name in self.at.rates:
            return self.at.rates[name]
        cached = learn is not self.learn
        if not cached:
            self.say(line(name, "trying learning rates"))
        bar = [Bar(f"{name} rates")] if self.verbose else []
        cbs = [self.in_parts, *bar, *self._together(learn)]
        self._seed(learn, apart=not cached)
        with clocked(self.at.timing, f"{name} rates"):
            steps = 100 if cached else None  # they cost next to nothing there
            found = share(find_lr(learn, num_it=steps, default=default, cbs=cbs))
        seconds = self.at.timing[f"{name} rates"]
        self.say(line(name, f"rate {found.lr:.1e}: {found.reason}  {seconds:.0f} s"))
        self.at.lr_finds[name], self.at.rates[name] = found, found.lr
        save_search(self.path, name, found)
        return found.lr

    def _keep(self, stage: str) -> None:
        """Save the weights after a stage, and that it is done."""
        spread_weights(self.learn.model)
        if rank() == 0:
            save_weights(self.path / FOLDER / f"{weights_after(stage)}.pth", self.learn)
        self.checkpointer.save()

    def _finish(self) -> Run:
        """Look at the validation pictures once and write down what was seen."""
        self.say(line("report", "looks at the validation pictures, and writes what it has seen"))
        count_groups(self.learn)
        self.at.best = self.best.row
        run = end(self.learn, self.path, self.spec, self.at)
        self.say(f"\n{run}")
        return run
