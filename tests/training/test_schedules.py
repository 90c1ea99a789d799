from __future__ import annotations

import fastai.vision.all
import numpy as np
import pytest
from fastai.callback.core import Callback, CancelFitException

import quickvision as qv
from quickvision.training.schedules import SCHEDULES, Patience, fit_code, fit_scheduled


class Rates(Callback):
    """Write down the rates of all groups, once a step."""

    order = 100

    def __init__(self):
        self.seen = []

    def after_step(self):
        self.seen.append([group["lr"] for group in self.opt.hypers])


class Worse:
    """A loss that grows from one look at the validation pictures to the next."""

    def __init__(self):
        self.looks = 0.0

    def __call__(self, out, targs):
        self.looks += 0.0 if out.requires_grad else 1.0
        return out.sum() * 0 + self.looks


def rates(learn, schedule, epochs=3, lr=1e-2, **options):
    watch = Rates()
    qv.fit_unfrozen(
        learn, epochs, lr_max=lr, schedule=schedule, cbs=watch, verbose=False, **options
    )
    return np.array(watch.seen)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("opt", ["adamw", "adadelta"])
def test_every_schedule_keeps_the_ratio_of_the_groups(class_folders, tiny_net, schedule, opt):
    learn = qv.cnn_learner(qv.from_folder(class_folders, size=32, bs=6), tiny_net, opt=opt)
    seen = rates(learn, schedule, lr=slice(1e-4, 1e-2))
    assert len(seen) == 3 * len(learn.dls.train)
    np.testing.assert_allclose(seen[:, 2] / seen[:, 0], 100, rtol=1e-3)
    assert seen.max() <= 1e-2 * 1.001


@pytest.mark.parametrize("schedule", sorted({*SCHEDULES} - {"plateau"}))  # it hangs on the losses
@pytest.mark.parametrize("opt", ["sgd", "adadelta"])
@pytest.mark.slow
def test_the_code_of_a_schedule_has_the_same_rates(class_folders, tiny_net, schedule, opt):
    learn = qv.cnn_learner(qv.from_folder(class_folders, size=32, bs=6), tiny_net, opt=opt)
    for lr in (slice(1e-4, 1e-2), slice(None, 1e-2)):
        expected = rates(learn, schedule, epochs=4, lr=lr)
        names = {**vars(fastai.vision.all), "learn": learn, "watch": Rates()}
        code = fit_code(learn, schedule, 4, lr, ["watch"], groups=3)
        with learn.no_bar(), learn.no_logging():
            eval(f"learn.{code}", names)
        np.testing.assert_allclose(names["watch"].seen, expected, err_msg=code)


def test_shapes_of_the_schedules(learn):
    n = len(learn.dls.train)
    cycle = rates(learn, "one_cycle")[:, -1]
    assert 0 < cycle.argmax() < len(cycle) / 2
    assert cycle[0] < cycle.max() / 20
    assert (np.diff(rates(learn, "cosine")[:, -1]) < 0).all()
    flat = rates(learn, "flat_cos", epochs=4)[:, -1]
    assert (flat[: 3 * n] == 1e-2).all()
    assert flat[-1] < 3e-3
    assert (rates(learn, "constant") == 1e-2).all()


def test_a_step_is_a_tenth_after_each_third_of_the_epochs(learn):
    n = len(learn.dls.train)
    seen = rates(learn, "step", epochs=6)[:, -1]
    expected = np.repeat([1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4], n)
    np.testing.assert_allclose(seen, expected)
    np.testing.assert_allclose(rates(learn, "step", epochs=2)[:, -1], np.repeat([1e-2, 1e-3], n))


@pytest.mark.parametrize("opt", ["adamw", "adadelta"])
def test_a_plateau_takes_a_tenth(class_folders, tiny_net, opt):
    """Also from an optimiser of torch's, of whose rates fastai's callback changes a copy."""
    learn = qv.cnn_learner(qv.from_folder(class_folders, size=32, bs=6), tiny_net, opt=opt)
    learn.metrics = []
    learn.loss_func = Worse()
    n = len(learn.dls.train)
    seen = rates(learn, "plateau", epochs=3)[:, -1]
    np.testing.assert_allclose(seen, np.repeat([1e-2, 1e-2, 1e-3], n))


def test_patience_stops_a_stage_and_says_so(learn, capsys):
    table = qv.fit_unfrozen(learn, 12, lr_max=1e-7, schedule="constant", patience=2)
    assert len(table) < 12 or table["valid_loss"].is_monotonic_decreasing
    said = capsys.readouterr().out
    assert ("stopped: no lower validation loss for 2 epochs" in said) == (len(table) < 12)
    assert "No improvement since" not in said


def test_patience_counts_epochs_without_a_lower_loss(learn):
    table = qv.fit_unfrozen(learn, 20, lr_max=3.0, schedule="constant", patience=2, verbose=False)
    losses = table["valid_loss"].to_numpy()
    assert len(losses) < 20
    assert losses[-2:].min() >= losses[:-2].min()


def test_an_unknown_schedule_names_near_ones(learn):
    with pytest.raises(ValueError, match="got 'cosin'; did you mean 'cosine'"):
        fit_scheduled(learn, "cosin", 1, 1e-3)


def test_a_loss_that_is_no_number_is_waited_for_and_then_forgotten():
    patience = Patience(2)
    patience.best, patience.waited = np.inf, 0
    for loss in (1.0, np.nan, 0.9, 0.8, np.nan, 0.7, np.nan):
        patience.see(loss)
    assert (patience.best, patience.waited) == (0.7, 1)
    with pytest.raises(CancelFitException):
        patience.see(0.7)
