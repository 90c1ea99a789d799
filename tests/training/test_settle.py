from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

import quickvision as qv
from quickvision.training.settle import Settle, go_back, judge_again


@pytest.fixture
def trained(class_folders, tiny_net, tmp_path):
    """A learner whose head is solved on its frozen body, and how."""
    dls = qv.from_folder(class_folders, size=32, bs=6)
    learn = qv.cnn_learner(dls, tiny_net, path=tmp_path, seed=3)
    top = qv.feature_learner(learn)
    return learn, qv.solve_head(top)


def never_worse(solved):
    """So that the body's way is kept, whatever it is worth."""
    return replace(solved, loss=1e9)


def test_a_body_that_has_lost_goes_back_altogether(trained):
    learn, solved = trained
    start = state(learn)
    settle = Settle(learn, start, 1.0, replace(solved, loss=-1.0))
    qv.fit_unfrozen(learn, 1, lr_max=1e-2, cbs=[settle], verbose=False)
    assert settle.way == 0
    body = learn.model[0].state_dict(prefix="0.")
    assert all(torch.equal(weight, start[name]) for name, weight in body.items())


def state(learn):
    return {k: v.clone() for k, v in learn.model.state_dict().items()}


def test_go_back_leaves_weights_between():
    one, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    start = {k: v.clone() for k, v in one.state_dict().items()}
    end = other.weight.detach().clone()
    go_back(other, start, 0.25)
    torch.testing.assert_close(other.weight.detach(), start["weight"] * 0.75 + end * 0.25)


@pytest.mark.parametrize("way", [0.0, 0.5, 1.0])
def test_the_body_goes_back_and_the_head_is_solved_on_it(trained, way):
    learn, solved = trained
    start = state(learn)
    torch.manual_seed(0)
    plain = qv.fit_unfrozen(learn, 2, lr_max=1e-2, verbose=False)
    end = state(learn)
    learn.model.load_state_dict(start)
    torch.manual_seed(0)
    learn.dls.train.rng.seed(0)
    settle = Settle(learn, start, way, never_worse(solved))
    history = qv.fit_unfrozen(learn, 2, lr_max=1e-2, cbs=[settle], verbose=False)
    name = next(k for k in start if k.endswith("0.weight"))
    if way == 0:
        assert torch.equal(learn.model.state_dict()[name], start[name])
    else:
        assert not torch.equal(learn.model.state_dict()[name], start[name])
    if way == 0:  # the same features, the same penalty: the same head
        last = list(start)[-2]
        torch.testing.assert_close(
            learn.model.state_dict()[last], start[last], rtol=0.05, atol=0.02
        )
    assert len(history) == len(plain) == 2
    assert set(end) == set(start)
    loss = float(learn.validate()[0])
    assert loss == pytest.approx(history["valid_loss"].iloc[-1], rel=1e-3), "it was validated after"


def test_a_drift_of_all_features_is_caught(trained):
    """What fine-tuning does to pictures that are all alike: a shift that no step of a head keeps up
    with."""
    learn, solved = trained
    before = float(learn.validate()[1])
    with torch.no_grad():
        norms = [m for m in learn.model[0].modules() if isinstance(m, torch.nn.BatchNorm2d)]
        norms[-1].bias += 3.0
    drifted = float(learn.validate()[1])
    settle = Settle(learn, state(learn), 1.0, never_worse(solved))
    qv.fit_unfrozen(learn, 1, lr_max=1e-9, cbs=[settle], verbose=False)
    after = float(learn.validate()[1])
    assert drifted > before
    assert after <= before


def test_steps_of_gradual_before_the_last_are_left_alone(trained):
    learn, solved = trained
    start, seen = state(learn), []
    settle = Settle(learn, start, 0.0, solved)
    real = settle.before_validate

    def watched():
        real()
        same = all(
            torch.equal(w, start[name])
            for name, w in learn.model[0].state_dict(prefix="0.").items()
        )
        seen.append((learn.opt.frozen_idx, same))

    settle.before_validate = watched
    qv.fit_unfrozen(learn, 3, lr_max=1e-2, gradual=True, cbs=[settle], verbose=False)
    assert [same for frozen, same in seen if frozen > 0] == [False] * sum(f > 0 for f, _ in seen)
    assert seen[-1] == (0, True)


def test_losses_of_the_callback_are_those_of_plain_torch(trained):
    learn, solved = trained
    settle = Settle(learn, state(learn), 0.5, solved)
    history = qv.fit_unfrozen(learn, 1, lr_max=1e-3, cbs=[settle], verbose=False)
    with torch.no_grad():
        batches = list(learn.dls.valid)
        out = torch.cat([learn.model.eval()(x.as_subclass(torch.Tensor)) for x, _ in batches])
        y = torch.cat([y.as_subclass(torch.Tensor) for _, y in batches])
    assert float(F.cross_entropy(out, y)) == pytest.approx(history["valid_loss"].iloc[-1], rel=1e-3)


def test_a_fit_that_patience_ends_is_settled_too(trained):
    learn, solved = trained
    start = state(learn)
    settle = Settle(learn, start, 0.0, solved)
    options = {"lr_max": 1.0, "schedule": "constant", "patience": 1, "verbose": False}
    history = qv.fit_unfrozen(learn, 6, cbs=[settle], **options)
    assert len(history) < 6
    body = learn.model[0].state_dict(prefix="0.")
    names = [name for name, _ in learn.model.named_parameters() if name in body]
    assert all(torch.equal(body[name], start[name]) for name in names)


def test_it_is_known_what_was_kept_once_it_is_settled(trained):
    learn, solved = trained
    settle = Settle(learn, state(learn), 0.5, never_worse(solved))
    assert settle.kept is None
    qv.fit_unfrozen(learn, 1, lr_max=1e-3, cbs=[settle], verbose=False)
    assert settle.kept == 0.5


@pytest.mark.parametrize(("rows", "kept", "goes_back"), [(2, None, True), (2, 0.0, False)])
@pytest.mark.parametrize("epochs", [2, 3])
def test_where_a_fit_goes_on_that_patience_has_ended_it_is_settled_once(
    trained, rows, kept, goes_back, epochs
):
    learn, solved = trained
    past = [{"stage": "unfrozen", "epoch": n + 1, "valid_loss": 1.0} for n in range(rows)]
    settle = Settle(learn, state(learn), 0.5, never_worse(solved))
    start = {name: torch.zeros_like(weight) for name, weight in state(learn).items()}
    settle.go_on(start, kept)
    before = state(learn)
    options = {"lr_max": 1e-3, "schedule": "constant", "patience": 1, "verbose": False}
    qv.fit_unfrozen(learn, epochs, past=past, cbs=[settle], **options)
    gone = goes_back and epochs > rows  # a fit that was whole has been settled, said or not
    name = "0.0.weight"
    torch.testing.assert_close(state(learn)[name], before[name] / (2 if gone else 1))


def test_a_stage_is_judged_by_heads_on_what_the_body_says_now(trained):
    learn, solved = trained
    before = state(learn)
    assert judge_again(learn, solved).loss == pytest.approx(solved.loss, rel=1e-3)
    with torch.no_grad():
        learn.model[0][0].weight.zero_()
    blind = judge_again(learn, solved)
    assert blind.loss > 2 * solved.loss or blind.accuracy < solved.accuracy
    assert (blind.c, blind.left_open) == (solved.c, solved.left_open)
    now = state(learn)
    assert all(torch.equal(now[name], before[name]) for name in now if name != "0.0.weight")
