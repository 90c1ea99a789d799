from __future__ import annotations

import re
from dataclasses import replace

import pytest
from fastai.callback.core import Callback
from fastai.learner import Learner
from fastai.metrics import accuracy
from torch import nn

import quickvision as qv
from quickvision.runs.plan import HEAD_STEP, PAGE, TABLES, Plan
from quickvision.training.trials import Pace

PLAN = Plan(
    Pace(load=0.01, again=0.01, augment=0.01, forward=0.02, step=0.08),
    n_train=100,
    n_valid=50,
    bs=10,
    cached=True,
    searched=(0, 30),
)


def test_the_parts_add_up():
    assert PLAN.look == pytest.approx(50 * 0.03)
    assert PLAN.unfrozen_epoch == pytest.approx(100 * 0.1 + 1.5)
    assert PLAN.unfrozen(2) == pytest.approx(30 * 10 * 0.1 + 2 * 11.5)
    assert PLAN.frozen(4) == pytest.approx(150 * 0.03 + 40 * HEAD_STEP)
    assert PLAN.end == pytest.approx(1.5 + TABLES)
    assert PLAN.total(4, 2) == pytest.approx(PLAN.frozen(4) + PLAN.unfrozen(2) + PLAN.end)


def test_the_first_look_at_a_picture_may_cost_more():
    kept = replace(PLAN, pace=replace(PLAN.pace, load=0.05))  # the others come from memory
    assert kept.total(4, 2) - PLAN.total(4, 2) == pytest.approx(150 * 0.04)
    assert kept.total(0, 2) - PLAN.total(0, 2) == pytest.approx(150 * 0.04)
    assert kept.left_over(60) == PLAN.left_over(60)  # the frozen stage has read them


def test_heads_are_judged_before_and_after_the_body_moves():
    judged = replace(PLAN, judged=3.0)
    assert judged.frozen(4) - PLAN.frozen(4) == pytest.approx(3)
    assert judged.unfrozen(2) == PLAN.unfrozen(2)
    settled = replace(judged, settled=True)
    assert settled.unfrozen(2) - judged.unfrozen(2) == pytest.approx(100 * 0.03 + 3)


def test_plots_and_report_count_where_they_are_made():
    assert replace(PLAN, drawn=2.0).end - PLAN.end == pytest.approx(2)
    assert replace(PLAN, reported=True).end - PLAN.end > PAGE + 24 * 0.02
    assert replace(PLAN, looks=3).end - PLAN.end == pytest.approx(2 * 1.5)


def test_without_cached_features_each_frozen_epoch_costs():
    ordinary = replace(PLAN, cached=False)
    assert ordinary.frozen(4) == pytest.approx(4 * (100 * (0.02 + 0.05) + 1.5))
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
    assert ordinary.fit(20, 4) == (2, 0)
    assert ordinary.fit(0.1, 4) == (1, 0)
    assert ordinary.fit(0.1, 0) == (0, 1)
    assert PLAN.fit(0.1, 4) == (4, 0)  # on cached features fewer epochs would save nothing


@pytest.mark.parametrize(
    ("plan", "epochs", "budget", "said"),
    [
        (PLAN, (4, 10), 600, "7 min are left over, because a budget picks 10 unfrozen epochs at"),
        (PLAN, (4, 3), PLAN.total(4, 3) + 5, "one more epoch would not fit"),
        (PLAN, (4, 0), PLAN.total(4, 0) + 5, "no unfrozen epoch fits"),
        (PLAN, (4, 0), 600, "10 min are left over, because unfrozen_epochs=0 was asked for"),
        (PLAN, (4, 0), 1, "too short: this is the least that can be done"),
    ],
)
def test_a_budget_says_what_limits_the_epochs(plan, epochs, budget, said):
    assert said in plan.limit(epochs, budget)


def test_a_budget_is_explained_before_the_training(class_folders, tiny_net, tmp_path, capsys):
    options = {"size": 32, "bs": 6, "lr": 1e-3, "frozen_epochs": 1, "unfrozen_epochs": 0}
    qv.train(class_folders, arch=tiny_net, budget="10min", out=tmp_path / "o", **options)
    out = capsys.readouterr().out
    assert "plan         1 frozen (on cached features) epoch of" in out
    assert "budget       10 min are left over, because unfrozen_epochs=0 was asked for" in out
    assert "advice" not in out


def test_a_plan_says_how_long_it_takes(class_folders, tiny_net, tmp_path, capsys):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    qv.train(dls, arch=tiny_net, lr=1e-3, frozen_epochs=1, unfrozen_epochs=1, out=tmp_path / "o")
    out = capsys.readouterr().out
    assert "plan         1 frozen (on cached features) + 1 unfrozen epochs of 4 steps" in out
    assert re.search(r"time +about \d+ s\n", out)


def test_a_learner_that_cannot_be_timed_trains_without_an_estimate(
    class_folders, tiny_net, tmp_path, capsys
):
    class Unpack(Callback):
        """Makes batches fit a model that takes something else."""

        def before_batch(self):
            self.learn.xb = ({"picture": self.xb[0]},)

    class Dicts(nn.Sequential):
        def forward(self, x):
            return super().forward(x["picture"])

    dls = qv.from_folder(class_folders, size=32, bs=6)
    learn = Learner(dls, Dicts(tiny_net(), nn.Linear(10, 3)), metrics=accuracy, cbs=Unpack())
    options = {"frozen_epochs": 0, "unfrozen_epochs": 1, "lr": 1e-3, "out": tmp_path / "o"}
    run = qv.train(learn, **options)
    assert len(run.history) == 1
    assert "time         no estimate: " in capsys.readouterr().out
    with pytest.raises(qv.RunError, match="budget: expected a learner whose steps can be timed"):
        qv.train(learn, budget="1min", **options)
