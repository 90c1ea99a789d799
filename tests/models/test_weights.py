from __future__ import annotations

import argparse
import json
import pathlib
import re

import huggingface_hub
import numpy as np
import pytest
import torch
import torchvision
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from safetensors.torch import save_file

import quickvision as qv
from quickvision.base.errors import ModelError
from quickvision.models.weights import is_on_hub, read_weights

STATE = {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)}
ADVICE = r"weights_only|add_safe_globals|safe_globals"


def test_a_plain_state_dict_is_found_in_either_kind_of_file(tmp_path):
    torch.save(STATE, tmp_path / "x.pth")
    save_file(STATE, tmp_path / "x.safetensors")
    for name in ("x.pth", "x.safetensors"):
        stored = read_weights(tmp_path / name)
        assert list(stored.states) == [""]
        assert torch.equal(stored.states[""]["a.weight"], STATE["a.weight"])
        assert (stored.config, stored.unread, stored.arch) == ({}, (), None)


def test_state_dicts_are_found_by_what_they_are_however_deep(tmp_path):
    p = torch.nn.Parameter(torch.zeros(2))
    p.grad = torch.ones(2)
    opt = torch.optim.AdamW([p])
    opt.step()
    content = {"epoch": 3, "nets": {"student": STATE}, "w": STATE, "optimizer": opt.state_dict()}
    torch.save(content, tmp_path / "x.pth")
    assert list(read_weights(tmp_path / "x.pth").states) == ["['nets']['student']", "['w']"]


class Recorder:
    """An object whose unpickling would be seen."""

    made = 0

    def __reduce__(self):
        return _record, ()


def _record():
    Recorder.made += 1


@pytest.mark.parametrize(
    ("beside", "named"),
    [
        (argparse.Namespace(lr=1), "argparse.Namespace"),
        (np.float64(0.9), "numpy"),
        (np.arange(3), "numpy"),
        (pathlib.PurePosixPath("a"), "pathlib"),
        (Recorder(), "_record"),
    ],
)
def test_objects_beside_the_tensors_are_named_and_never_made(tmp_path, beside, named):
    torch.save({"state_dict": STATE, "args": beside}, tmp_path / "x.pth")
    stored = read_weights(tmp_path / "x.pth")
    assert torch.equal(stored.states["['state_dict']"]["a.weight"], STATE["a.weight"])
    assert any(named in name for name in stored.unread)
    assert Recorder.made == 0


class Options(dict):
    """A dict of a class of its own, whose items torch's reader sets on nothing else."""


class Elsewhere:
    def __reduce__(self):
        import os

        return os.getenv, ("HOME",)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"state_dict": STATE, "args": Options(lr=1)}, "Options"),
        ({"state_dict": STATE, "args": Elsewhere()}, r"os\.getenv"),
        (torchvision.models.alexnet, "alexnet"),
        (torch.nn.Linear(2, 2), r"Linear.*torch\.save\(model\.state_dict\(\), file\)"),
    ],
)
def test_what_cannot_be_read_safely_is_refused_without_torchs_advice(tmp_path, content, named):
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(ModelError, match=rf"expected a state dict.*{named}") as caught:
        read_weights(tmp_path / "x.pth")
    assert "['state_dict'], file)" in str(caught.value)
    assert not re.search(ADVICE, str(caught.value))


def test_files_from_before_torch_1_6(tmp_path):
    old = {"_use_new_zipfile_serialization": False}
    torch.save({"state_dict": STATE}, tmp_path / "x.pth.tar", **old)
    assert list(read_weights(tmp_path / "x.pth.tar").states) == ["['state_dict']"]
    torch.save({"state_dict": STATE, "args": argparse.Namespace()}, tmp_path / "y.pth", **old)
    with pytest.raises(ModelError, match=r"argparse\.Namespace.*save the tensors alone"):
        read_weights(tmp_path / "y.pth")


@pytest.mark.filterwarnings("ignore")
def test_files_that_hold_no_state_dict(tmp_path):
    script = torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2))
    for name, write in {
        "empty.pth": lambda f: f.write_bytes(b""),
        "text.pth": lambda f: f.write_text("x"),
        "text.safetensors": lambda f: f.write_text("x"),
        "list.pth": lambda f: torch.save([1, 2], f),
        "script.pth": lambda f: script.save(str(f)),
    }.items():
        write(tmp_path / name)
        with pytest.raises(ModelError, match="expected a state dict") as caught:
            read_weights(tmp_path / name)
        assert "weights_only" not in str(caught.value)


def test_nothing_there(tmp_path):
    with pytest.raises(ModelError, match="'default', None or a file, got nothing at"):
        read_weights(tmp_path / "gone.pth")


def write_run(folder, *stages, **config):
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"quickvision": "0", **config}))
    for stage in stages:
        state = {f"0.{name}": tensor for name, tensor in STATE.items()}
        torch.save({"model": state, "opt": None}, folder / "checkpoints" / f"{stage}.pth")
    return folder


def test_a_runs_folder_gives_its_last_stage_and_its_arch(tmp_path):
    run = write_run(tmp_path / "a-001", "stage-1", arch="resnet34")
    assert read_weights(run).file.name == "stage-1.pth"
    run = write_run(tmp_path / "a-002", "stage-1", "stage-2", "best", arch="resnet34")
    stored = read_weights(str(run))
    assert (stored.file.name, stored.arch) == ("stage-2.pth", "resnet34")
    run = write_run(tmp_path / "a-003", "stage-2", "stage-9", "stage-10", "best", arch="resnet34")
    assert read_weights(run).file.name == "stage-10.pth"  # it was trained further
    stored = read_weights(run / "checkpoints" / "best.pth")
    assert (list(stored.states), stored.arch) == (["['model']"], "resnet34")


def test_a_folder_without_weights_says_what_was_looked_for(tmp_path):
    with pytest.raises(ModelError, match=r"run \(with checkpoints/stage-\*.pth.*has neither$"):
        read_weights(tmp_path)
    run = write_run(tmp_path / "a-001")
    with pytest.raises(ModelError, match="this run has finished no stage"):
        read_weights(run)
    with pytest.raises(ModelError, match=r"newest of those in it is .*a-001"):
        read_weights(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"quickvision": {"network": 1}, "arch": 3}'])
def test_settings_that_are_damaged_are_as_none(tmp_path, text):
    run = write_run(tmp_path / "a-001", "stage-1")
    (run / "config.json").write_text(text)
    assert read_weights(run).arch is None


def test_an_exported_folder(tmp_path):
    said = {"quickvision": {"network": {"arch": "mobilenet_v2"}}, "architecture": "mobilenetv2_100"}
    (tmp_path / "config.json").write_text(json.dumps(said))
    save_file(STATE, tmp_path / "model.safetensors")
    stored = read_weights(tmp_path)
    assert (stored.file.name, stored.arch) == ("model.safetensors", "mobilenet_v2")


def hub(monkeypatch, folder, asked=None):
    """Let the Hub be a folder."""

    def download(repository, name, *, revision=None):
        if asked is not None:
            asked.append((repository, name, revision))
        if not (folder / name).is_file():
            raise EntryNotFoundError(name)
        return str(folder / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)


@pytest.mark.parametrize("suffix", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("prefix", ["hf_hub", "hf-hub"])
def test_names_on_the_hub(tmp_path, monkeypatch, suffix, prefix):
    asked: list = []
    hub(monkeypatch, tmp_path, asked)
    (save_file if suffix.endswith("s") else torch.save)(STATE, tmp_path / suffix)
    (tmp_path / "config.json").write_text('{"architecture": "resnet18"}')
    stored = read_weights(f"{prefix}:timm/resnet18.a1_in1k@main")
    assert (stored.file.name, stored.arch) == (suffix, "resnet18")
    assert {(repository, revision) for repository, _, revision in asked} == {
        ("timm/resnet18.a1_in1k", "main")
    }


def test_code_on_the_hub_is_not_run(tmp_path, monkeypatch):
    hub(monkeypatch, tmp_path)
    torch.save({"m": Recorder(), "n": Options(a=1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="objects that only code of their own"):
        read_weights("hf_hub:someone/model")
    assert Recorder.made == 0
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match="expected model.safetensors in hf_hub:someone/model"):
        read_weights("hf_hub:someone/model")


def test_a_name_that_the_hub_cannot_have():
    with pytest.raises(ModelError, match="expected hf_hub:OWNER/NAME"):
        read_weights("hf_hub:a/b/c")


def test_what_is_on_the_hub():
    assert is_on_hub("hf_hub:timm/resnet18")
    assert is_on_hub("hf-hub:timm/resnet18@v1")
    assert not any(map(is_on_hub, ["default", "hf_hub.pth", "runs/a-001", None]))


def test_offline_the_three_ways_out_are_named(class_folders, monkeypatch):
    def offline(*args, **kwargs):
        raise LocalEntryNotFoundError("cannot reach the Hub")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    dls = qv.from_folder(class_folders, size=32, bs=4)
    with pytest.raises(qv.ModelError, match="Three ways out: .*online.*weights=FILE.*=None"):
        qv.cnn_learner(dls, "timm/test_resnet", weights="hf_hub:timm/test_resnet.r160_in1k")
