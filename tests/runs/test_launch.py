from __future__ import annotations

import sys

import pytest
import torch
from fastai.metrics import accuracy
from made import ROOT

import quickvision as qv
from quickvision.base.errors import ModelError, RunError


@pytest.mark.slow
def test_from_a_notebook(class_folders, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)  # the children have none: gloo
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run = qv.train(
        class_folders, arch="timm/resnet10t", weights=None, size=32, bs=5, lr=1e-3, gpus=2,
        frozen_epochs=0, unfrozen_epochs=2, out=tmp_path,
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "in each of 2 processes" in said
    assert said.count("written to") == 1
    assert len(run.history) == 2
    assert run.accuracy.n == 7
    assert run.history["accuracy"].iloc[-1] == pytest.approx(run.accuracy.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:bs=20 makes 1 step:quickvision.DataWarning")
def test_what_the_processes_say_of_an_error_is_passed_on(class_folders, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with pytest.raises(RunError, match="^expected at least one batch .* lower bs$"):
        qv.train(
            class_folders, arch="timm/resnet10t", weights=None, size=32, bs=20, gpus=2, out=tmp_path
        )


@pytest.mark.parametrize(
    ("gpus", "there", "kind", "text"),
    [
        (2, 0, ModelError, "expected a GPU .*, got none on this machine; leave gpus= out"),
        (4, 2, ModelError, "expected at most 2, which this machine has, got 4"),
        (0, 0, ValueError, "whole number from 1, got 0"),
        (True, 0, ValueError, "whole number from 1, got True"),
        ("all", 0, ValueError, "whole number from 1, got 'all'"),
    ],
)
def test_gpus_that_are_not_there(class_folders, tmp_path, monkeypatch, gpus, there, kind, text):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    with pytest.raises(kind, match=text):
        qv.train(class_folders, gpus=gpus, out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_functions_cannot_be_given_to_other_processes(
    class_folders, tiny_net, tmp_path, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(TypeError, match="gpus: arch, model.metrics: cannot be given to other"):
        qv.train(
            class_folders,
            arch=tiny_net,
            size=32,
            bs=5,
            metrics=accuracy,
            gpus=2,
            out=tmp_path / "runs",
        )
    assert not (tmp_path / "runs").exists()


def test_accelerate_is_asked_for(class_folders, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(RunError, match=r"pip install accelerate"):
        qv.train(class_folders, gpus=2, out=tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(RunError, match=r"pip install accelerate"):
        qv.train(class_folders, out=tmp_path)
