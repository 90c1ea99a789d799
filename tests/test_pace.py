from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from quickvision.base.figures import spoken, to_seconds
from quickvision.runs.plan import REPORT, Plan
from quickvision.training.trials import Pace, measure_pace

PLAN = Plan(
    Pace(load=0.01, augment=0.01, forward=0.02, step=0.08),
    n_train=100,
    n_valid=50,
    bs=10,
    cached=True,
    searched=(0, 30),
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10min", 600),
        ("10 min", 600),
        ("1.5h", 5400),
        ("45", 45),
        (45, 45),
        (0.5, 0.5),
    ],
)
def test_times_are_read(text, seconds):
    assert to_seconds(text) == seconds


@pytest.mark.parametrize("text", ["soon", "", "-5", "0", 0, -1, "10 parsecs", True, float("nan")])
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match="expected a time such as '10min' or seconds"):
        to_seconds(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (50, "50 s"), (240, "4 min"), (5400, "1.5 h")]
)
def test_times_are_said(seconds, text):
    assert spoken(seconds) == text


def test_the_parts_add_up():
    assert PLAN.look == pytest.approx(50 * 0.03)
    assert PLAN.unfrozen_epoch == pytest.approx(100 * 0.1 + 1.5)
    assert PLAN.unfrozen(2) == pytest.approx(30 * 10 * 0.1 + 2 * 11.5)
    assert PLAN.frozen(4) == pytest.approx(150 * 0.03, rel=0.05)
    assert PLAN.total(0, 0) == pytest.approx(1.5 + REPORT)
    assert PLAN.total(4, 2) == pytest.approx(PLAN.frozen(4) + PLAN.unfrozen(2) + 1.5 + REPORT)


def test_without_cached_features_each_frozen_epoch_costs():
    ordinary = replace(PLAN, cached=False)
    assert ordinary.frozen(4) == pytest.approx(4 * (100 * 0.04 + 1.5))
    assert ordinary.frozen(4) > 3 * PLAN.frozen(4)


def test_views_cost_a_pass_each():
    more = replace(PLAN, views=2).frozen(1) - PLAN.frozen(1)
    assert more == pytest.approx(2 * 100 * 0.04)


def test_a_budget_picks_the_most_unfrozen_epochs_that_fit():
    for budget in (60, 75, 100):
        frozen, unfrozen = PLAN.fit(budget, 4)
        assert frozen == 4
        assert PLAN.total(4, unfrozen) <= budget < PLAN.total(4, unfrozen + 1)
    assert PLAN.fit(1e6, 4) == (4, 10)


def test_a_small_budget_lowers_the_frozen_epochs_and_never_leaves_nothing():
    ordinary = replace(PLAN, cached=False)
    assert ordinary.fit(16, 4) == (2, 0)
    assert ordinary.fit(0.1, 4) == (1, 0)
    assert ordinary.fit(0.1, 0) == (0, 1)
    assert PLAN.fit(0.1, 4) == (4, 0)  # on cached features fewer epochs would save nothing


def test_measuring_leaves_the_learner_as_it_was(learn):
    learn.freeze()
    learn.model.train()
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    grads = [p.requires_grad for p in learn.model.parameters()]
    rng, split = torch.get_rng_state(), learn.dls.train.after_batch.split_idx
    pace = measure_pace(learn)
    assert min(pace.load, pace.forward, pace.step) > 0
    assert pace.step > pace.forward
    assert learn.model.training
    assert [p.requires_grad for p in learn.model.parameters()] == grads
    assert all(p.grad is None for p in learn.model.parameters())
    assert all(torch.equal(v, before[k]) for k, v in learn.model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), rng)
    assert learn.dls.train.after_batch.split_idx == split
