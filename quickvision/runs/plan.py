"""What a training will take, before it begins."""

from __future__ import annotations

import math
import time
from dataclasses import astuple, dataclass
from pathlib import Path

from fastai.learner import Learner

from quickvision.base.errors import QuickvisionError, RunError
from quickvision.base.figures import spoken
from quickvision.base.processes import world_size
from quickvision.base.progress import Lines
from quickvision.data.understood import understood_of
from quickvision.models.zoo import arch_name
from quickvision.runs.options import RunConfig
from quickvision.training.fit import count_groups
from quickvision.training.guards import count_batches
from quickvision.training.lr_find import search_steps
from quickvision.training.solve import is_single
from quickvision.training.trials import Pace, measure_pace


def make_plan(
    learn: Learner,
    config: RunConfig,
    *,
    cached: bool,
    searches: tuple[bool, bool],
    budgeted: bool = False,
) -> Plan:
    """Time a few steps, and count what is to be done.

    Args:
        learn: The learner that will be trained.
        config: How.
        cached: The frozen stage sees each picture once.
        searches: Whether a rate is searched before the frozen stage, and before the unfrozen.
        budgeted: Epochs will be chosen by it, so that steps that cannot be timed are an error.

    Returns:
        The plan; without a pace, and with the reason in `why`, where steps could not be timed.

    Raises:
        RunError: The steps cannot be timed, and `budgeted`.
    """
    dls = learn.dls
    # Of a solved head is known how the body is to move, and at the end it is solved again.
    settled = cached and config.frozen_epochs > 0 and searches[1] and is_single(learn.model[1])
    searches = (searches[0], searches[1] and not settled)
    steps = [search_steps(count_batches(learn)) if search else 0 for search in searches]
    pace, why = Pace(0, 0, 0, 0), ""
    try:
        pace = measure_pace(learn)
        pace = Pace(*(seconds / world_size() for seconds in astuple(pace)))
    except QuickvisionError:
        raise
    except Exception as error:  # callbacks of its own may be what makes its batches fit
        if budgeted:
            raise RunError(
                f"budget: expected a learner whose steps can be timed, got: {error}; give the"
                " epochs instead"
            ) from error
        why = str(error)
    return Plan(
        pace,
        n_train=len(dls.train_ds),
        n_valid=len(dls.valid_ds),
        bs=dls.train.bs,
        cached=cached,
        views=config.views,
        looks=1 + config.tta,
        settled=settled,
        searched=(steps[0], steps[1]),
        why=why,
    )


def plan_lines(
    learn: Learner,
    plan: Plan,
    epochs: tuple[int, ...],
    path: Path,
    deadline: float | None,
    *,
    told: bool = False,
) -> str:
    """Say what will be done, with its time where that is known.

    Args:
        learn: The learner that will be trained.
        plan: From `make_plan`.
        epochs: Frozen, unfrozen.
        path: The run's folder.
        deadline: When the budget is spent, by `time.perf_counter`; None without one.
        told: What is in the data has been said already.
    """
    n_batches, (frozen_epochs, unfrozen_epochs) = count_batches(learn), epochs
    together = f" in each of {world_size()} processes" if world_size() > 1 else ""
    millions = sum(p.numel() for p in learn.model.parameters()) / 1e6
    frozen = f"{frozen_epochs} frozen{' (on cached features)' if plan.cached else ''}"
    seconds = plan.total(frozen_epochs, unfrozen_epochs)
    stages = [*([frozen] if frozen_epochs else []), f"{unfrozen_epochs} unfrozen"]
    n_classes = len(learn.dls.vocab)
    sides = f"{plan.n_train:,} to train, {plan.n_valid:,} to validate, {n_classes} classes"
    lines = {
        **({} if told else understood_of(learn.dls) or {"pictures": sides}),
        "model": f"{arch_name(learn)}, {millions:.1f} M parameters",
        "plan": f"{' + '.join(stages)} epochs of {n_batches} steps{together}, into {path}",
        "time": f"no estimate: {plan.why}" if plan.why else f"about {spoken(seconds)}",
    }
    if deadline is not None and seconds > deadline - time.perf_counter():
        lines["budget"] = "too short: this is the least that can be done"
    bs = max(4, 2 ** int(math.log2(max(plan.n_train, 10) / 10)))
    if n_batches < 6 and bs < plan.bs:
        lines["advice"] = f"{n_batches} steps an epoch are few: bs={bs} makes more of them"
    return str(Lines(lines))


def check_gradual(learn: Learner, config: RunConfig) -> None:
    """See that `gradual` goes with this learner, before anything is written.

    Raises:
        ValueError: It has no weights to unfreeze, or fewer epochs than groups.
    """
    if not config.gradual:
        return
    if not getattr(learn, "pretrained", True):
        raise ValueError("gradual: goes with weights; without them all layers train at once")
    steps = count_groups(learn) - 1
    if config.budget is None and config.unfrozen_epochs < steps:
        raise ValueError(
            f"gradual: expected at least {steps} unfrozen epochs, one for each layer group that"
            f" is unfrozen, got {config.unfrozen_epochs}"
        )


HEAD_STEP = 2e-3  # seconds that a step of a head on cached features takes, on two cores
REPORT = 3.0  # seconds that tables and plots take
MOST = 10  # unfrozen epochs that a budget is spent on at most


@dataclass(frozen=True)
class Plan:
    """What a training is going to do, and how long each part takes at a pace.

    Attributes:
        pace: Seconds a picture.
        n_train: Pictures in an epoch.
        n_valid: Pictures that are validated after each.
        bs: Pictures in a step.
        cached: The frozen stage trains on cached features.
        views: Augmented feature passes beside the plain one.
        looks: Passes over the validation pictures at the end.
        settled: After the unfrozen stage the training pictures are looked at once more.
        searched: Steps of the rate finders: of the frozen stage, and of the unfrozen one.
        why: Why no pace could be measured; empty where it was.
    """

    pace: Pace
    n_train: int
    n_valid: int
    bs: int
    cached: bool
    views: int = 0
    looks: int = 1
    settled: bool = False
    searched: tuple[int, int] = (0, 0)
    why: str = ""

    @property
    def look(self) -> float:
        """Seconds of one pass over the validation pictures."""
        return self.n_valid * (self.pace.load + self.pace.forward)

    @property
    def unfrozen_epoch(self) -> float:
        """Seconds of an epoch with all layers training."""
        return self.n_train * (self.pace.load + self.pace.augment + self.pace.step) + self.look

    def frozen(self, epochs: int) -> float:
        """Seconds of the frozen stage, its rate finder with it."""
        if not epochs:
            return 0.0
        p, search = self.pace, self.searched[0]
        steps = epochs * self.n_train / self.bs + search
        if self.cached:
            passes = self.n_train * (1 + self.views) * (p.load + p.forward) + self.look
            return passes + self.n_train * self.views * p.augment + HEAD_STEP * steps
        return steps * self.bs * (p.load + p.augment + p.forward) + epochs * self.look

    def unfrozen(self, epochs: int) -> float:
        """Seconds of the unfrozen stage, its rate finder with it."""
        if not epochs:
            return 0.0
        search = self.searched[1] * self.bs * (self.unfrozen_epoch - self.look) / self.n_train
        again = self.n_train * (self.pace.load + self.pace.forward) if self.settled else 0.0
        return search + epochs * self.unfrozen_epoch + again

    def total(self, frozen_epochs: int, unfrozen_epochs: int) -> float:
        """Seconds of everything, the report with it."""
        seen = self.looks * self.look
        return self.frozen(frozen_epochs) + self.unfrozen(unfrozen_epochs) + seen + REPORT

    def fit(self, budget: float, frozen_epochs: int) -> tuple[int, int]:
        """Pick the epochs that fit: frozen ones first, then unfrozen ones, ten at most.

        On cached features a frozen epoch costs next to nothing, and none is taken away.

        Args:
            budget: Seconds.
            frozen_epochs: Frozen epochs that are wanted; 0 where there is nothing to freeze.

        Returns:
            Frozen and unfrozen epochs, one of either at least.
        """
        while not self.cached and frozen_epochs > 1 and self.total(frozen_epochs, 0) > budget:
            frozen_epochs -= 1
        unfrozen = self.left_over(budget - self.frozen(frozen_epochs))
        return frozen_epochs, unfrozen if frozen_epochs else max(unfrozen, 1)

    def left_over(self, budget: float) -> int:
        """Pick the unfrozen epochs, ten at most, that fit with the report into these seconds."""
        fitting = [n for n in range(1, MOST + 1) if self.total(0, n) <= budget]
        return max(fitting, default=0)
