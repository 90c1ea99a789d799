from __future__ import annotations

import os
import random
import zipfile

import numpy as np
import pytest
import torch
from fastai.torch_core import no_random

import quickvision as qv
from quickvision.runs.checkpoints import (
    Checkpoint,
    FitState,
    load_checkpoint,
    random_states,
    save_checkpoint,
    seed_all,
    set_random_states,
)
from quickvision.runs.progress import Progress, Stage
from quickvision.training.lr_find import LRFind


def flip(file):
    """Change one byte of the first tensor."""
    data = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as parts:
        info = max(parts.infolist(), key=lambda part: part.file_size)
    data[info.header_offset + 200] ^= 1
    file.write_bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(file.read_bytes()[:5000]),
        lambda file: file.write_bytes(b""),
        flip,
        lambda file: torch.save(torch.nn.Linear(2, 2), file),
        lambda file: torch.save([1], file),
        lambda file: torch.save(torch.ones(3), file),
    ],
    ids=["cut short", "empty", "one bit", "code", "no checkpoint", "a tensor"],
)
def test_a_damaged_checkpoint_is_said_and_the_one_before_it_offered(stopped, damage):
    last = stopped / "checkpoints" / "last.pt"
    damage(last)
    spoilt = last.read_bytes()
    with pytest.raises(qv.RunError, match=r"last.pt.*the one before it, before.pt, is whole"):
        qv.resume(stopped, verbose=False)
    assert last.read_bytes() == spoilt
    assert len(qv.resume(stopped, before=True, verbose=False).history) == 4


def test_code_in_a_checkpoint_never_runs(stopped, tmp_path):
    class Bad:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    for name in ("last.pt", "before.pt"):
        torch.save({"rows": Bad()}, stopped / "checkpoints" / name)
    with pytest.raises(qv.RunError, match="expected a checkpoint of tensors and plain values"):
        qv.resume(stopped, verbose=False)
    assert not (tmp_path / "owned").exists()


def test_a_kill_between_two_renames_costs_an_epoch(tmp_path):
    one = {"stage": "frozen", "epoch": 1}
    save_checkpoint(tmp_path, Checkpoint(Progress(rows=[one]), {}))
    save_checkpoint(tmp_path, Checkpoint(Progress(rows=[one, {**one, "epoch": 2}]), {}))
    assert load_checkpoint(tmp_path).progress.where == "after frozen epoch 2"
    assert load_checkpoint(tmp_path, before=True).progress.rows == [one]
    (tmp_path / "last.pt").unlink()
    assert load_checkpoint(tmp_path).progress.rows == [one]
    (tmp_path / "before.pt").unlink()
    assert load_checkpoint(tmp_path) is None


def test_random_states_come_back_from_a_file(learn, tmp_path):
    def drawn():
        return random.random(), np.random.rand(), torch.rand(1).item(), learn.dls.rng.random()

    fit = FitState({"hypers": []}, {}, [random_states(learn.dls)], (3, torch.tensor(0.5)))
    save_checkpoint(tmp_path, Checkpoint(Progress(), {"w": torch.ones(2)}, fit))
    first, other = drawn(), drawn()
    back = load_checkpoint(tmp_path)
    set_random_states(back.fit.random[0], learn.dls)
    assert drawn() == first != other
    assert (back.fit.opt, back.fit.smooth_loss) == ({"hypers": []}, (3, torch.tensor(0.5)))
    assert torch.equal(back.model["w"], torch.ones(2))


def test_how_far_a_run_is_comes_back_from_a_file(tmp_path):
    found = LRFind(1e-3, "steep", np.array([1e-4, 1e-3]), np.array([1.0, 0.5]), (1e-4, 1e-3))
    stages = [Stage("frozen", 2, slice(1e-4, 1e-3), cached=True), Stage("unfrozen", 1, 1e-4)]
    at = Progress((2, 1), stages, {"frozen": 1e-3}, {"frozen": found}, {"data": 0.5})
    save_checkpoint(tmp_path, Checkpoint(at, {}))
    loaded = load_checkpoint(tmp_path)
    back = loaded.progress
    assert loaded.fit is None
    assert (back.epochs, back.stages, back.rates) == (at.epochs, stages, at.rates)
    assert (back.rows, back.best, back.timing) == ([], None, {"data": 0.5})
    assert back.lr_finds["frozen"].lr_range == (1e-4, 1e-3)
    np.testing.assert_array_equal(back.lr_finds["frozen"].losses, found.losses)
    assert back.is_done("frozen")
    assert not Progress((2, 1)).is_done("frozen")


def test_further_stages_and_what_they_are_compared_with_come_back_too(tmp_path):
    at = Progress((2, 1, 3), right={"frozen": [True, False], "unfrozen": [True, True]}, way=0.75)
    save_checkpoint(tmp_path, Checkpoint(at, {}))
    assert load_checkpoint(tmp_path).progress == at


def test_what_was_right_after_the_frozen_stage_is_read_as_it_was_written_once(tmp_path):
    for written, read in (([True, False], {"frozen": [True, False]}), (None, {})):
        state = Checkpoint(Progress((2, 1)), {}).to_plain() | {"right": written}
        del state["way"]
        torch.save(state, tmp_path / "last.pt")
        back = load_checkpoint(tmp_path).progress
        assert (back.right, back.way) == (read, None)


def test_one_seed_for_all_that_draws(learn):
    def drawn():
        numbers = (torch.rand(1).item(), np.random.rand(), random.random())
        return numbers, [dl.rng.random() for dl in learn.dls.loaders]

    with no_random(reproducible=False):
        seed_all(learn.dls, 3)
        numbers, orders = drawn()
        seed_all(learn.dls, 3)
        assert drawn() == (numbers, orders)
        seed_all(learn.dls, 3, apart=1)
        others, same_orders = drawn()
    assert not {*others} & {*numbers}
    assert same_orders == orders


@pytest.mark.parametrize("lost", ["epochs", "stages", "rows", "model", "opt"])
def test_what_is_no_checkpoint_of_a_run_is_said(tmp_path, lost):
    state = Checkpoint(Progress(), {}).to_plain()
    del state[lost]
    torch.save(state, tmp_path / "last.pt")
    with pytest.raises(qv.RunError, match=f"expected a run's checkpoint, got .*last.pt.*{lost}"):
        load_checkpoint(tmp_path)


def test_a_gpu_that_was_not_there_keeps_its_random_state(learn, monkeypatch):
    states = random_states(learn.dls) | {"cuda": []}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    put_back = []
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", put_back.append)
    set_random_states(states, learn.dls)
    assert put_back == []


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_checkpoint_that_cannot_be_moved_into_place_costs_none(tmp_path, monkeypatch, at):
    save_checkpoint(tmp_path, Checkpoint(Progress(), {"w": torch.ones(1)}))
    moves = []

    def move(*paths):
        moves.append(paths)
        if len(moves) > at:
            raise OSError("held by a scanner")
        return replace(*paths)

    replace = os.replace
    monkeypatch.setattr(os, "replace", move)
    with pytest.raises(qv.RunError, match="held by a scanner"):
        save_checkpoint(tmp_path, Checkpoint(Progress(), {"w": torch.zeros(1)}))
    assert torch.equal(load_checkpoint(tmp_path).model["w"], torch.ones(1))
