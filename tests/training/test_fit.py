from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.progress import ShowGraphCallback

import quickvision as qv


def test_history_has_a_row_an_epoch(learn):
    history = qv.fit_unfrozen(learn, 2, lr_max=slice(1e-4, 1e-2), verbose=False)
    assert list(history) == [
        "stage", "epoch", "train_loss", "valid_loss", "error_rate", "accuracy", "lr", "seconds",
    ]  # fmt: skip
    assert history["epoch"].tolist() == [1, 2]
    assert set(history["stage"]) == {"unfrozen"}
    assert history["lr"].max() == pytest.approx(1e-2, rel=0.2)
    assert np.allclose(history["error_rate"] + history["accuracy"], 1)


def test_frozen_trains_only_the_head(learn):
    def convs():
        return [p.clone() for p in learn.model[0].parameters() if p.ndim == 4]

    before, head = convs(), learn.model[1][-1].weight.clone()
    history = qv.fit_frozen(learn, 1, verbose=False)
    assert all(torch.equal(a, b) for a, b in zip(before, convs(), strict=True))
    assert not torch.equal(head, learn.model[1][-1].weight)
    assert history["stage"].tolist() == ["frozen"]
    qv.fit_unfrozen(learn, 1, verbose=False)
    assert not any(torch.equal(a, b) for a, b in zip(before, convs(), strict=True))


def test_a_rate_that_was_found_can_be_passed_on(learn):
    found = qv.LRFind(3e-3, "", np.array([]), np.array([]))
    assert qv.fit_frozen(learn, 1, lr_max=found, verbose=False)["lr"][0] == pytest.approx(
        3e-3, rel=0.3
    )


def test_callbacks_and_options_go_to_fastai(learn):
    seen = []

    class Look(Callback):
        def after_epoch(self):
            seen.append(self.epoch)

    qv.fit_frozen(learn, 2, cbs=[Look()], pct_start=0.5, verbose=False)
    assert seen == [0, 1]


def test_says_one_line_an_epoch_without_carriage_returns(learn, capsys):
    qv.fit_frozen(learn, 2)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert "\r" not in out + err
    assert err == ""
    assert "frozen 2/2" in out
    assert "n=7)" in out


def test_verbose_false_is_silent(learn, capsys):
    qv.fit_frozen(learn, 1, verbose=False)
    qv.find_lr(learn, num_it=20)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(learn, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    qv.fit_frozen(learn, 1)
    assert "frozen 1/1 train" in capsys.readouterr().err


def test_fastais_progress_bar_is_there_again_afterwards(learn):
    qv.fit_frozen(learn, 1, verbose=False)
    assert "ProgressCallback" in [type(cb).__name__ for cb in learn.cbs]
    assert "EpochLog" not in [type(cb).__name__ for cb in learn.cbs]


@pytest.mark.parametrize("epochs", [0, -1, 1.5, "2"])
def test_epochs_out_of_range(learn, epochs):
    with pytest.raises(ValueError, match="expected a whole number from 1"):
        qv.fit_frozen(learn, epochs)


@pytest.mark.parametrize("lr", [0, -1e-3, slice(0, 1e-3), slice(1e-5, -1)])
def test_rates_out_of_range(learn, lr):
    with pytest.raises(ValueError, match="expected rates above 0"):
        qv.fit_unfrozen(learn, 1, lr_max=lr)


def test_a_loader_without_batches_is_refused(learn):
    learn.dls.train = learn.dls.train.new(bs=64)
    for step in (qv.find_lr, qv.fit_frozen, qv.fit_unfrozen):
        with pytest.raises(qv.DataError, match="at least one batch.* got 29 pictures for bs=64"):
            step(learn)


@pytest.mark.slow
def test_the_same_seed_trains_the_same_weights(class_folders, tiny_net, tmp_path):
    def weights(seed):
        run = qv.train(
            class_folders, arch=tiny_net, weights=None, frozen_epochs=1, unfrozen_epochs=1,
            seed=seed, out=tmp_path, verbose=False, size=32, bs=6,
        )  # fmt: skip
        return torch.cat([p.flatten() for p in run.learn.model.parameters()])

    state = random.getstate()
    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
    assert random.getstate() == state


def test_a_loss_that_is_no_number_stops_and_says_what_to_try(learn):
    with pytest.raises(
        qv.RunError, match=r"got nan in unfrozen epoch 1, batch 2, .*try a tenth of that rate"
    ):
        qv.fit_unfrozen(learn, 2, lr_max=1e30, schedule="constant", verbose=False)


def test_weights_are_as_they_were_before_a_batch_without_a_loss(learn):
    class Spoil(Callback):
        def after_pred(self):
            if self.training and self.epoch == 1 and self.iter == 2:
                self.learn.pred = self.pred * float("inf")

        def before_batch(self):
            weights.append([p.detach().clone() for p in self.model.parameters()])

    weights = []
    with pytest.raises(qv.RunError, match=r"in unfrozen epoch 2, batch 3, at a rate of"):
        qv.fit_unfrozen(learn, 2, lr_max=1e-3, cbs=Spoil(), verbose=False)
    assert all(
        torch.equal(a, b) for a, b in zip(weights[-1], learn.model.parameters(), strict=True)
    )


def test_a_callback_that_stops_the_first_epoch_is_no_history(learn):
    class Stop(Callback):
        def before_epoch(self):
            raise CancelFitException

    with pytest.raises(qv.RunError, match="expected a finished epoch, got none"):
        qv.fit_frozen(learn, 2, cbs=Stop(), verbose=False)


def test_a_found_rate_is_spread_over_the_groups_unfrozen(learn):
    qv.fit_unfrozen(learn, 1, lr_max=qv.LRFind(2e-3, "", np.array([]), np.array([])), verbose=False)
    first, _, head = (hyper["lr"] for hyper in learn.opt.hypers)
    assert head / first == pytest.approx(100)


def test_fit_options_of_fastai_keep_working(learn):
    qv.fit_unfrozen(learn, 2, verbose=False)
    learn.recorder.add_time = False
    history = qv.fit_unfrozen(learn, 2, start_epoch=1, lr_max=[1e-5, 1e-4, 1e-3], verbose=False)
    assert history["epoch"].tolist() == [2]


def test_a_stage_is_called_what_you_like(learn, capsys):
    assert qv.fit_unfrozen(learn, 1, stage="once more")["stage"].tolist() == ["once more"]
    assert "once more 1/1" in capsys.readouterr().out
    last = qv.fit_unfrozen(learn, 2, gradual=True, stage="unfrozen-2", verbose=False)
    assert last["stage"].tolist()[-1] == "unfrozen-2"


def test_what_draws_into_fastais_progress_bar_is_refused(learn):
    with pytest.raises(TypeError, match="got ShowGraphCallback; plot_history shows the same"):
        qv.fit_frozen(learn, 1, lr_max=1e-3, cbs=ShowGraphCallback())
