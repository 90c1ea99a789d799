"""What a training will take, before it begins."""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass
from pathlib import Path

from fastai.learner import Learner
from torch import nn

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
from quickvision.training.solve import is_single, seconds_to_judge
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
    dls, epochs = learn.dls, (config.frozen_epochs, config.unfrozen_epochs)
    judged = cached and epochs[0] > 0 and is_single(learn.model[1])
    # Of a solved head is known how the body is to move, and at the end it is solved again.
    settled = judged and searches[1]
    usual = search_steps(count_batches(learn))
    steps = (
        (CACHED_SEARCH if cached else usual) * searches[0],
        usual * (searches[1] and not settled),
    )
    pace, why = Pace(0, 0, 0, 0, 0), ""
    try:
        pace = measure_pace(learn, steps=epochs[1] > 0 or not cached)
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
        searched=steps,
        judged=_seconds_to_judge(learn, config.views) if judged else 0.0,
        drawn=DRAWN * config.plots,
        reported=config.report,
        why=why,
    )


def _seconds_to_judge(learn: Learner, views: int) -> float:
    last = [layer for layer in learn.model[1].modules() if isinstance(layer, nn.Linear)][-1]
    n = len(learn.dls.train_ds)
    return (1 + views) * seconds_to_judge(n, last.in_features, last.out_features)


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
    plural = "epoch" if sum(epochs) == 1 else "epochs"
    seconds = plan.total(frozen_epochs, unfrozen_epochs)
    unfrozen = f"{unfrozen_epochs} unfrozen"
    stages = [text for text, n in ((frozen, frozen_epochs), (unfrozen, unfrozen_epochs)) if n]
    n_classes = len(learn.dls.vocab)
    sides = f"{plan.n_train:,} to train, {plan.n_valid:,} to validate, {n_classes} classes"
    lines = {
        **({} if told else understood_of(learn.dls) or {"pictures": sides}),
        "model": f"{arch_name(learn)}, {millions:.1f} M parameters",
        "plan": f"{' + '.join(stages)} {plural} of {n_batches} steps{together}, into {path}",
        "time": f"no estimate: {plan.why}" if plan.why else f"about {spoken(seconds)}",
    }
    if deadline is not None:
        lines["budget"] = plan.limit(epochs, deadline - time.perf_counter())
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


HEAD_STEP = 4e-3  # seconds that a step of a head on cached features takes
CACHED_SEARCH = 100  # steps of a rate finder there
BACK = 0.5  # share of a step's way back that a frozen body takes: its norm layers train
# Seconds of the end: tables; plots; the report alone, and for each picture (labels that look
# wrong, pictures that look alike); how many pictures it shows, and explains by heat maps.
TABLES, DRAWN, PAGE, EACH, SHOWN, HEATED = 0.3, 1.5, 0.6, 5e-4, 100, 24
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
        settled: After the unfrozen stage the training pictures are looked at once more, and the
            head is judged and solved again.
        searched: Steps of the rate finders: of the frozen stage, and of the unfrozen one.
        judged: Seconds of judging heads on training pictures that are left out in turn.
        drawn: Seconds of drawing plots.
        reported: A report is made.
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
    judged: float = 0.0
    drawn: float = 0.0
    reported: bool = False
    why: str = ""

    @property
    def look(self) -> float:
        """Seconds of one pass over the validation pictures."""
        return self.n_valid * (self.pace.again + self.pace.forward)

    @property
    def opened(self) -> float:
        """Seconds that pictures take more than later, when they are read for the first time."""
        return (self.n_train + self.n_valid) * max(0.0, self.pace.load - self.pace.again)

    @property
    def unfrozen_epoch(self) -> float:
        """Seconds of an epoch with all layers training."""
        return self.n_train * (self.pace.again + self.pace.augment + self.pace.step) + self.look

    def frozen(self, epochs: int) -> float:
        """Seconds of the frozen stage, its rate finder with it."""
        if not epochs:
            return 0.0
        p, search = self.pace, self.searched[0]
        steps = epochs * self.n_train / self.bs + search
        if self.cached:
            passes = self.n_train * (1 + self.views) * (p.again + p.forward) + self.look
            views = self.n_train * self.views * p.augment
            return passes + views + self.judged + HEAD_STEP * steps
        step = p.forward + BACK * (p.step - p.forward)
        return steps * self.bs * (p.again + p.augment + step) + epochs * self.look

    def unfrozen(self, epochs: int) -> float:
        """Seconds of the unfrozen stage, its rate finder with it."""
        if not epochs:
            return 0.0
        search = self.searched[1] * self.bs * (self.unfrozen_epoch - self.look) / self.n_train
        again = self.n_train * (self.pace.again + self.pace.forward) + self.judged
        return search + epochs * self.unfrozen_epoch + (again if self.settled else 0.0)

    @property
    def end(self) -> float:
        """Seconds of the end: predictions, tables, plots and report."""
        p, n = self.pace, self.n_train + self.n_valid
        page = PAGE + EACH * n + min(SHOWN, n) * p.again + min(HEATED, self.n_valid) * p.forward
        return self.looks * self.look + TABLES + self.drawn + (page if self.reported else 0.0)

    def total(self, frozen_epochs: int, unfrozen_epochs: int) -> float:
        """Seconds of everything, the report with it."""
        stages = self.frozen(frozen_epochs) + self.unfrozen(unfrozen_epochs)
        return self.opened + stages + self.end

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
        unfrozen = self.left_over(budget - self.opened - self.frozen(frozen_epochs))
        return frozen_epochs, unfrozen if frozen_epochs else max(unfrozen, 1)

    def left_over(self, budget: float) -> int:
        """Pick the unfrozen epochs, ten at most, that fit with the report into these seconds."""
        fitting = [n for n in range(1, MOST + 1) if self.unfrozen(n) + self.end <= budget]
        return max(fitting, default=0)

    def limit(self, epochs: tuple[int, ...], budget: float) -> str:
        """Say what limits the epochs that a budget has picked.

        Args:
            epochs: Frozen and unfrozen, as picked.
            budget: Seconds that are left.
        """
        frozen, unfrozen = epochs
        over = budget - self.total(frozen, unfrozen)
        if over < 0:
            return "too short: this is the least that can be done"
        if unfrozen >= MOST and over > self.unfrozen_epoch:
            return (
                f"{spoken(over)} are left over, because a budget picks {MOST} unfrozen epochs at"
                f" most; for more, give unfrozen_epochs={2 * MOST} and no budget"
            )
        if not unfrozen and over > self.unfrozen(1):
            return f"{spoken(over)} are left over, because unfrozen_epochs=0 was asked for"
        return "no unfrozen epoch fits" if not unfrozen else "one more epoch would not fit"
