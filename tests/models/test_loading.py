from __future__ import annotations

import argparse
import re
import warnings

import huggingface_hub
import pytest
import timm
import torch
import torchvision
from fastai.vision import all as fastais
from fastai.vision.learner import create_body
from safetensors.torch import load_file, save_file
from torch import nn

import quickvision as qv
from quickvision.base.errors import DataWarning, ModelError
from quickvision.models.body import body_code, make_body
from quickvision.models.loading import load_weights
from quickvision.models.zoo import find_arch


def states(name="resnet18", n=1, **options):
    return [getattr(torchvision.models, name)(**options).state_dict() for _ in range(n)]


def built(name, file, *, native=True, size=64):
    return make_body(find_arch(name), file, torch.zeros(1, 3, size, size), native=native)[0]


def executed(code, **more):
    """Run the code of a body as a script would, and return the body."""
    names = {**vars(fastais), **more, "timm": timm, "torchvision": torchvision}
    exec(code, names)
    return names["body"]


def begun(state, prefix):
    return {prefix + name: tensor for name, tensor in state.items()}


def cut_one(state):
    model = torchvision.models.resnet18()
    model.load_state_dict(state)
    return nn.Sequential(create_body(model, cut=-2), nn.Linear(2, 2)).state_dict()


WRITTEN = {
    "plain": lambda s: s,
    "a prefix": lambda s: begun(s, "module."),
    "a checkpoint": lambda s: {"epoch": 1, "state_dict": begun(s, "_orig_mod.module.")},
    "both averaged and not": lambda s: {"model": states()[0], "model_ema": s},
    "two encoders": lambda s: {
        "state_dict": begun(s, "module.encoder_q.") | begun(states()[0], "module.encoder_k.")
    },
    "parts that are wrapped": lambda s: {
        re.sub(r"^layer(\d)", r"layer\1.module", name): tensor for name, tensor in s.items()
    },
    "another classifier": lambda s: s | {"fc.weight": torch.zeros(30, 512)},
    "a cut body and a head": lambda s: {"model": cut_one(s), "opt": {"state": []}},
    "the library's own and a head": lambda s: begun(s, "0.") | {"1.0.weight": torch.zeros(2, 512)},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
def test_weights_as_the_world_writes_them_load_and_the_code_gives_the_same(tmp_path, write, native):
    (state,) = states()
    file = tmp_path / "x.pth"
    torch.save(write(state), file)
    body = built("resnet18", file, native=native)
    name = "layer4.1.conv2.weight" if native else "7.1.conv2.weight"
    assert torch.equal(body.state_dict()[name], state["layer4.1.conv2.weight"])
    code = body_code(find_arch("resnet18"), file, body, native=native)
    same = executed(code).state_dict()
    assert all(torch.equal(tensor, same[name]) for name, tensor in body.state_dict().items()), code


def test_the_code_for_timms_conversion_gives_the_same(tmp_path):
    file = tmp_path / "x.pth"
    torch.save(timm.create_model("vit_tiny_patch16_224", img_size=96).state_dict(), file)
    body = built("vit_tiny_patch16_224", file, size=224)
    code = body_code(find_arch("vit_tiny_patch16_224"), file, body, native=True)
    assert "timm.models.vision_transformer.checkpoint_filter_fn(state, model)" in code
    same = executed(code).state_dict()
    assert all(torch.equal(tensor, same[name]) for name, tensor in body.state_dict().items())


def test_the_code_for_plain_files_is_one_line(tmp_path):
    file = tmp_path / "x.pth"
    torch.save(states()[0], file)
    code = body_code(find_arch("resnet18"), file, built("resnet18", file), native=True)
    line = f"model.load_state_dict(torch.load({str(file)!r}, weights_only=True), strict=False)"
    assert line in code.splitlines()


def test_the_code_says_what_it_cannot_do(tmp_path):
    file = tmp_path / "x.pth"
    torch.save({"model": states()[0], "args": argparse.Namespace()}, file)
    body = built("resnet18", file)
    code = body_code(find_arch("resnet18"), file, body, native=True)
    assert re.search(r"state = \.\.\.  # .*x\.pth\['model'\], saved alone.*argparse", code)
    file.unlink()
    code = body_code(find_arch("resnet18"), file, body, native=True)
    assert f"model.load_state_dict(..., strict=False)  # {file}" in code


def test_the_code_for_the_hub(tmp_path, monkeypatch):
    def download(repository, name, *, revision=None):
        assert (repository, revision) == ("timm/test_resnet.r160_in1k", None)
        if not (tmp_path / name).is_file():
            raise huggingface_hub.errors.EntryNotFoundError(name)
        return str(tmp_path / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "model.safetensors")
    name = "hf_hub:timm/test_resnet.r160_in1k"
    body = built("timm/test_resnet", name)
    code = body_code(find_arch("timm/test_resnet"), name, body, native=True)
    assert "from huggingface_hub import hf_hub_download" in code
    assert "load_file(hf_hub_download('timm/test_resnet.r160_in1k', 'model.safetensors'))" in code
    same = executed(code, load_file=load_file).state_dict()
    assert torch.equal(same["conv1.0.weight"], body.state_dict()["conv1.0.weight"])


def test_a_choice_is_said_and_nothing_else(tmp_path):
    one, two = states(n=2)
    torch.save({"model": one, "model_ema": two}, tmp_path / "two.pth")
    match = r"2 different sets .* fit resnet18: taken is the averaged one, \['model_ema'\]; not"
    with pytest.warns(DataWarning, match=match):
        body = built("resnet18", tmp_path / "two.pth")
    assert torch.equal(body.conv1.weight, two["conv1.weight"])
    torch.save({"model": one, "optimizer": {}}, tmp_path / "one.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        built("resnet18", tmp_path / "one.pth")


def test_another_archs_file_is_refused_and_nothing_changes(tmp_path):
    file = tmp_path / "weights.pth"
    torch.save(torchvision.models.shufflenet_v2_x1_0().state_dict(), file)
    model = torchvision.models.shufflenet_v2_x0_5()
    before = model.conv1[0].weight.clone()
    with pytest.raises(ModelError, match="weights of shufflenet_v2_x0_5 in .*other shapes"):
        load_weights(model, model, file, name="shufflenet_v2_x0_5")
    assert torch.equal(model.conv1[0].weight, before)


OWN = {"arch": "timm/test_resnet", "weights": None, "frozen_epochs": 0, "unfrozen_epochs": 1}
OWN |= {"bs": 6, "size": 32, "lr_unfrozen": 1e-3, "verbose": False}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_run_is_a_start_for_other_classes(class_folders, tmp_path):
    run = qv.train(class_folders, out=tmp_path / "o", **OWN)
    wanted = {k: v.cpu() for k, v in run.learn.model[0].state_dict().items() if v.ndim == 4}
    saved = [run.learn.save(tmp_path / "mine"), run.learn.save(tmp_path / "bare", with_opt=False)]
    kept = run.path / "checkpoints"
    two = class_folders.rename(tmp_path / "two")
    for file in (two / "red").iterdir():
        file.unlink()
    (two / "red").rmdir()
    dls = qv.from_folder(two, size=32, bs=4)
    for weights in (run.path, str(run.path), kept / "best.pth", kept / "last.pt", *saved):
        for head in ("native", "linear"):
            learn = qv.cnn_learner(dls, "timm/test_resnet", weights=weights, head=head)
            body = learn.model[0] if head == "native" else learn.model[0].model
            state = body.state_dict()
            assert all(torch.equal(state[name], tensor) for name, tensor in wanted.items())
            assert learn.pretrained
    with pytest.raises(qv.ModelError, match=r"made with arch='timm/test_resnet', as the config"):
        qv.cnn_learner(dls, "resnet18", weights=run.path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_name_on_the_hub_is_kept_as_it_is_in_a_runs_settings(
    class_folders, tmp_path, monkeypatch
):
    def download(repository, name, *, revision=None):
        if not (tmp_path / name).is_file():
            raise huggingface_hub.errors.EntryNotFoundError(name)
        return str(tmp_path / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "model.safetensors")
    options = OWN | {"weights": "hf_hub:timm/test_resnet.r160_in1k"}
    run = qv.train(class_folders, out=tmp_path / "o", **options)
    assert (
        '"weights": "hf_hub:timm/test_resnet.r160_in1k"' in (run.path / "config.json").read_text()
    )


def test_a_run_of_another_arch_whose_tensors_fit_is_named(tmp_path):
    state = timm.create_model("tf_efficientnet_b0").state_dict()
    body = begun({k: v for k, v in state.items() if not k.startswith("classifier")}, "0.")
    (tmp_path / "checkpoints").mkdir()
    torch.save({"model": body}, tmp_path / "checkpoints" / "stage-1.pth")
    (tmp_path / "config.json").write_text('{"arch": "timm/tf_efficientnet_b0.ns_jft_in1k"}')
    with pytest.warns(DataWarning, match="made with arch='timm/tf_efficientnet_b0.*fit .*too"):
        built("timm/efficientnet_b0", tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built("timm/tf_efficientnet_b0", tmp_path)
