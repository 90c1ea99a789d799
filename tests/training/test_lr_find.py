from __future__ import annotations

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.torch_core import get_random_states

import quickvision as qv
from quickvision.training.lr_find import _pick


def snapshot(learn):
    weights = {k: v.clone() for k, v in learn.model.state_dict().items()}
    states = get_random_states()
    numbers = (
        states["random_state"],
        states["numpy_state"][1].tolist(),
        states["torch_state"].tolist(),
    )
    return weights, numbers, learn.dls.train.rng.getstate()


def same(one, two):
    weights = all(torch.equal(one[0][k], two[0][k]) for k in one[0])
    return weights and one[1:] == two[1:]


class TestFindLR:
    def test_returns_a_rate_a_reason_and_the_curve(self, learn):
        found = qv.find_lr(learn, num_it=40)
        assert 1e-6 < found.lr < 1
        assert float(found) == found.lr
        assert "from the middle of the range where the loss falls" in found.reason
        assert found.lrs.shape == found.losses.shape
        assert (np.diff(found.lrs) > 0).all()

    def test_leaves_everything_as_it_was(self, learn, tmp_path):
        before = snapshot(learn)
        qv.find_lr(learn, num_it=20)
        assert same(before, snapshot(learn))
        assert learn.opt is None
        assert not (tmp_path / "out").exists()

    def test_leaves_the_optimiser_of_an_earlier_fit_as_it_was(self, learn):
        qv.fit_unfrozen(learn, 1, verbose=False)
        parameter = learn.opt.all_params()[0][0]
        moment = learn.opt.state[parameter]["grad_avg"].clone()
        hypers = [dict(h) for h in learn.opt.hypers]
        qv.find_lr(learn, num_it=20)
        assert torch.equal(learn.opt.state[parameter]["grad_avg"], moment)
        assert [dict(h) for h in learn.opt.hypers] == hypers

    def test_leaves_everything_as_it_was_when_broken_off(self, learn):
        class Stop(Callback):
            def after_batch(self):
                if self.train_iter == 5:
                    raise KeyboardInterrupt

        before = snapshot(learn)
        learn.add_cb(Stop())
        with pytest.raises(KeyboardInterrupt):
            qv.find_lr(learn)
        assert same(before, snapshot(learn))

    def test_works_after_a_fit(self, learn):
        qv.fit_unfrozen(learn, 2, lr_max=1e-2, verbose=False)
        assert len(qv.find_lr(learn).lrs) >= 10

    def test_an_exploding_curve_gives_the_default_and_says_so(self):
        found = _pick(np.geomspace(1e-6, 1, 8), np.full(8, np.nan), 2e-3)
        assert (found.lr, len(found.lrs)) == (2e-3, 0)
        assert "exploded" in found.reason

    def test_a_flat_curve_gives_the_default_and_says_so(self):
        found = _pick(np.geomspace(1e-6, 1, 40), np.ones(40), 2e-3)
        assert found.lr == 2e-3
        assert "never fell" in found.reason

    def test_the_range_is_the_longest_fall_and_holds_the_pick(self):
        lrs = np.logspace(-6, 0, 60)
        losses = np.concatenate([np.full(10, 2.0), np.linspace(2, 1, 30), np.linspace(1, 5, 20)])
        found = _pick(lrs, losses, default=2e-3)
        assert found.lr_range == (pytest.approx(lrs[9], rel=0.3), pytest.approx(lrs[40], rel=0.3))
        assert found.lr_range[0] < found.lr < found.lr_range[1]
        assert f"{found.lr_range[0]:.1e} to {found.lr_range[1]:.1e}" in found.reason

    @pytest.mark.parametrize("seed", range(20))
    def test_the_range_holds_fastais_pick_on_noisy_curves_too(self, seed):
        rng = np.random.default_rng(seed)
        lrs, losses = np.logspace(-6, 0, 80), np.cumsum(rng.normal(-0.05, 0.3, 80)) + 20
        found = _pick(lrs, losses, default=2e-3)
        assert found.lr_range[0] <= found.lr <= found.lr_range[1]

    def test_works_on_a_read_only_disk(self, learn, tmp_path):
        learn.path = tmp_path / "nowhere" / "to" / "write"
        before = set(tmp_path.rglob("*"))
        assert qv.find_lr(learn, num_it=20).lr > 0
        assert set(tmp_path.rglob("*")) == before

    def test_the_pick_lies_on_the_fall_of_the_curve(self):
        lrs = np.geomspace(1e-6, 1, 60)
        losses = 1 - 0.8 / (1 + (1e-3 / lrs) ** 2) + np.where(lrs > 0.1, 3 * lrs, 0)
        assert 1e-4 < _pick(lrs, losses, 1.0).lr < 1e-1

    @pytest.mark.parametrize(
        "options", [{"num_it": 5}, {"start_lr": 1, "end_lr": 0.1}, {"start_lr": 0}]
    )
    def test_options_out_of_range(self, learn, options):
        with pytest.raises(ValueError, match="expected"):
            qv.find_lr(learn, **options)


def test_the_finder_leaves_recorder_and_mode_as_they_were(learn):
    qv.fit_unfrozen(learn, 1, verbose=False)
    values, losses = list(learn.recorder.values), list(learn.recorder.losses)
    learn.model.eval()
    qv.find_lr(learn, num_it=20)
    assert (learn.recorder.values, learn.recorder.losses) == (values, losses)
    assert not learn.model.training
