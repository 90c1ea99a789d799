"""What a training will take, before it begins."""

from __future__ import annotations

import math
import time
from dataclasses import astuple
from pathlib import Path

from fastai.learner import Learner

from quickvision.runs.run_options import RunConfig
from quickvision.base.errors import QuickvisionError, RunError
from quickvision.training.lr_find import count_batches, search_steps
from quickvision.training.trials import Pace, Plan, measure_pace, spoken
from quickvision.base.processes import world_size
from quickvision.runs.run import arch_name
from quickvision.training.fit import count_groups


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
    steps = [search_steps(count_batches(learn)) * search for search in searches]
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
        searched=(steps[0], steps[1]),
        why=why,
    )


def plan_lines(
    learn: Learner, plan: Plan, epochs: tuple[int, int], path: Path, deadline: float | None
) -> str:
    """Say what will be done, with its time where that is known.

    Args:
        learn: The learner that will be trained.
        plan: From `make_plan`.
        epochs: Frozen, unfrozen.
        path: The run's folder.
        deadline: When the budget is spent, by `time.perf_counter`; None without one.
    """
    n_batches, (frozen_epochs, unfrozen_epochs) = count_batches(learn), epochs
    together = f" in each of {world_size()} processes" if world_size() > 1 else ""
    millions = sum(p.numel() for p in learn.model.parameters()) / 1e6
    frozen = f"{frozen_epochs} frozen{' (on cached features)' if plan.cached else ''}"
    seconds = plan.total(frozen_epochs, unfrozen_epochs)
    stages = [frozen] * bool(frozen_epochs) + [f"{unfrozen_epochs} unfrozen"]
    lines = {
        "data": f"{plan.n_train:,} train, {plan.n_valid:,} valid, {len(learn.dls.vocab)} classes",
        "model": f"{arch_name(learn)}, {millions:.1f} M parameters",
        "plan": f"{' + '.join(stages)} epochs of {n_batches} steps{together}, into {path}",
        "time": f"no estimate: {plan.why}" if plan.why else f"about {spoken(seconds)}",
    }
    if deadline is not None and seconds > deadline - time.perf_counter():
        lines["budget"] = "too short: this is the least that can be done"
    bs = max(4, 2 ** int(math.log2(max(plan.n_train, 10) / 10)))
    if n_batches < 6 and bs < plan.bs:
        lines["advice"] = f"{n_batches} steps an epoch are few: bs={bs} makes more of them"
    return "\n".join(f"{name:<13}{text}" for name, text in lines.items())


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
