from __future__ import annotations

import json

import pytest
import torch
from torch import nn

import quickvision as qv
from quickvision.training import trials as batch_size
from quickvision.training.trials import largest_batch, search


@pytest.mark.parametrize("most", [8, 16, 40, 64, 1000])
@pytest.mark.parametrize("limit", [1, 8, 15, 16, 17, 100, 5000])
def test_the_search_finds_the_largest_multiple_of_eight(most, limit):
    tried = []

    def fits(n):
        tried.append(n)
        return n <= limit

    good = [n for n in range(8, most + 1, 8) if n <= limit]
    assert search(fits, most) == max(good, default=8)
    assert len(tried) == len(set(tried)) <= 12
    assert all(n % 8 == 0 and n <= most for n in tried)


class Small(nn.Module):
    """A body in a memory that holds 20 pictures."""

    def forward(self, x):
        if len(x) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return x


def test_what_does_not_fit_is_seen_and_the_learner_stays(learn):
    learn.model[0].insert(0, Small())
    before = {name: value.clone() for name, value in learn.model.state_dict().items()}
    trial = batch_size._trial(learn)
    assert [trial(n) for n in (8, 16, 24, 16, 64)] == [True, True, False, True, False]
    assert search(trial, 64) == 16
    after = learn.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in learn.model.parameters())


def test_other_errors_are_not_swallowed(learn):
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("expected scalar type Float")

    learn.model[0].insert(0, Broken())
    with pytest.raises(RuntimeError, match="scalar type"):
        batch_size._trial(learn)(8)


def test_a_run_with_bs_auto_writes_down_what_was_found(class_folders, tmp_path, capsys):
    run = qv.train(
        class_folders, arch="timm/resnet10t", weights=None, size=32, bs="auto", lr=1e-3,
        frozen_epochs=0, unfrozen_epochs=1, out=tmp_path,
    )  # fmt: skip
    assert "batch        8 pictures, as bs='auto' finds" in capsys.readouterr().out
    assert json.loads((run.path / "config.json").read_text())["pictures"]["bs"] == 8
    assert run.learn.dls.train.bs == run.learn.dls.valid.bs == 8
    assert len(run.learn.dls.train) == 29 // 8
    again = qv.resume(run.path, verbose=False)
    assert again.learn.dls.train.bs == 8


def test_enough_pictures_get_the_usual_batch_on_a_cpu(learn, monkeypatch):
    monkeypatch.setattr(batch_size, "STEPS", 1)
    assert largest_batch(learn) == 24
    monkeypatch.setattr(batch_size, "ON_CPU", 16)
    assert largest_batch(learn) == 16


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_a_larger_picture_means_a_smaller_batch(class_folders, monkeypatch):
    monkeypatch.setattr(batch_size, "STEPS", 0.001)
    found = {}
    for size in (64, 512):
        dls = qv.from_folder(class_folders, size=size, bs=8)
        found[size] = largest_batch(qv.cnn_learner(dls, "resnet50", weights=None))
    assert 8 <= found[512] < found[64]
