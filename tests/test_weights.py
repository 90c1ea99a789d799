from __future__ import annotations

import re

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from quickvision.base.errors import ModelError
from quickvision.models.body import load_weights, make_body
from quickvision.models.zoo import find_arch


def loaded(arch, file):
    return make_body(arch, file, torch.zeros(1, 3, 64, 64))[0]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_whole_models_file_is_loaded(tmp_path, suffix):
    arch, file = find_arch("shufflenet_v2_x0_5"), tmp_path / f"weights{suffix}"
    whole = arch.source()
    (save_file if suffix == ".safetensors" else torch.save)(whole.state_dict(), file)
    body = loaded(arch, file)
    assert torch.equal(body[0][0].weight, whole.conv1[0].weight)
    assert torch.equal(body[-1][1].running_var, whole.conv5[1].running_var)


def test_another_classifier_or_none_is_no_hindrance(tmp_path):
    arch, file = find_arch("shufflenet_v2_x0_5"), tmp_path / "weights.pth"
    state = arch.source(num_classes=3).state_dict()
    torch.save(
        {"state_dict": {k: v for k, v in state.items() if "bias" not in k or "fc" not in k}},
        file,
    )
    body = loaded(arch, file)
    assert torch.equal(body[0][0].weight, state["conv1.0.weight"])


def test_timm_files_load(tmp_path):
    arch, file = find_arch("timm/test_resnet"), tmp_path / "weights.safetensors"
    whole = timm.create_model("test_resnet", num_classes=7)
    save_file(whole.state_dict(), file)
    body = loaded(arch, file)
    assert torch.equal(next(body.model.parameters()), next(whole.parameters()))


def test_another_archs_file_is_refused_and_nothing_changes(tmp_path):
    arch, file = find_arch("shufflenet_v2_x0_5"), tmp_path / "weights.pth"
    torch.save(torchvision.models.shufflenet_v2_x1_0().state_dict(), file)
    model = arch.source()
    before = model.conv1[0].weight.clone()
    with pytest.raises(ModelError, match="weights of shufflenet_v2_x0_5 in .*other shapes"):
        load_weights(model, model, file, name=arch.name)
    assert torch.equal(model.conv1[0].weight, before)


def test_files_that_are_no_state_dict(tmp_path):
    arch = find_arch("shufflenet_v2_x0_5")
    for name, write in {
        "empty.pth": lambda f: f.write_bytes(b""),
        "text.pth": lambda f: f.write_text("x"),
        "text.safetensors": lambda f: f.write_text("x"),
        "list.pth": lambda f: torch.save([1, 2], f),
        "code.pth": lambda f: torch.save(torchvision.models.alexnet, f),
    }.items():
        write(tmp_path / name)
        with pytest.raises(ModelError, match="expected a state dict"):
            loaded(arch, tmp_path / name)
    with pytest.raises(ModelError, match="'default', None or a file, got nothing at"):
        loaded(arch, tmp_path / "gone.pth")


def test_torchvisions_older_files_load(tmp_path):
    """Without batch counters (resnet34's), and with `norm.1` for `norm1` (densenet's)."""
    arch, file = find_arch("densenet121"), tmp_path / "weights.pth"
    state = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): tensor
        for name, tensor in arch.source().state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert any("norm.1" in name for name in state)
    torch.save(state, file)
    body = loaded(arch, file)
    kernel = body[0].denseblock1.denselayer1.conv1.weight
    assert torch.equal(kernel, state["features.denseblock1.denselayer1.conv.1.weight"])
