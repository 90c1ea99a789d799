from __future__ import annotations

import re

import pytest
import timm
import torch
import torchvision
from fastai.vision.core import imagenet_stats
from fastai.vision.learner import create_body, model_meta
from safetensors.torch import save_file

from quickvision.errors import ModelError
from quickvision.models import find_arch, load_body, three_groups


def test_torchvision_is_taken_where_both_have_a_name():
    assert find_arch("resnet18").source is torchvision.models.resnet18
    assert find_arch("timm/resnet18").source == "resnet18"
    assert find_arch("torchvision/resnet18").name == "resnet18"


def test_statistics_are_the_weights_own():
    assert find_arch("mobilenet_v2").stats == imagenet_stats
    assert find_arch("timm/vit_small_patch16_224").stats == ([0.5] * 3, [0.5] * 3)
    assert find_arch("googlenet").stats == ([0.5] * 3, [0.5] * 3)


@pytest.mark.parametrize(
    ("name", "near"),
    [("resnte34", "did you mean 'resnet34'"), ("timm/resnet_18", "did you mean 'resnet18'")],
)
def test_a_typo_gets_near_names(name, near):
    with pytest.raises(ModelError, match=f"expected a model of torchvision or timm, got .*{near}"):
        find_arch(name)


@pytest.mark.parametrize("arch", [None, 34, torch.nn.Linear(2, 2)])
def test_things_that_name_no_model_are_refused(arch):
    with pytest.raises(TypeError, match="expected a name such as 'resnet34'"):
        find_arch(arch)


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2_x1_0", "regnet_y_400mf"])
def test_torchvision_models_that_fastai_cannot_cut_get_three_groups(name):
    arch = find_arch(name)
    body = create_body(
        arch.source(weights=None), pretrained=False, cut=model_meta[arch.source]["cut"]
    )
    groups = three_groups(torch.nn.Sequential(body, torch.nn.Linear(2, 2)))
    assert len(groups) == 3
    assert all(groups)
    assert sum(map(len, groups)) == len(list(body.parameters())) + 2
    assert body.eval()(torch.zeros(1, 3, 64, 64)).ndim == 4


class TestLoadBody:
    def body(self, arch):
        return create_body(arch.source(), pretrained=False, cut=model_meta[arch.source]["cut"])

    @pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
    def test_a_whole_models_file_is_loaded(self, tmp_path, suffix):
        arch, file = find_arch("shufflenet_v2_x0_5"), tmp_path / f"weights{suffix}"
        whole = arch.source()
        (save_file if suffix == ".safetensors" else torch.save)(whole.state_dict(), file)
        body = self.body(arch)
        load_body(body, arch, file)
        assert torch.equal(body[0][0].weight, whole.conv1[0].weight)
        assert torch.equal(body[-1][1].running_var, whole.conv5[1].running_var)

    def test_another_classifier_or_none_is_no_hindrance(self, tmp_path):
        arch, file = find_arch("shufflenet_v2_x0_5"), tmp_path / "weights.pth"
        state = arch.source(num_classes=3).state_dict()
        torch.save(
            {"state_dict": {k: v for k, v in state.items() if "bias" not in k or "fc" not in k}},
            file,
        )
        body = self.body(arch)
        load_body(body, arch, file)
        assert torch.equal(body[0][0].weight, state["conv1.0.weight"])

    def test_timm_files_load(self, tmp_path):
        arch, file = find_arch("timm/test_resnet"), tmp_path / "weights.safetensors"
        whole = timm.create_model("test_resnet", num_classes=7)
        save_file(whole.state_dict(), file)
        body = torch.nn.Module()
        body.model = timm.create_model("test_resnet", num_classes=0)
        load_body(body, arch, file)
        assert torch.equal(next(body.model.parameters()), next(whole.parameters()))

    def test_another_archs_file_is_refused_and_nothing_changes(self, tmp_path):
        arch, file = find_arch("shufflenet_v2_x0_5"), tmp_path / "weights.pth"
        torch.save(torchvision.models.shufflenet_v2_x1_0().state_dict(), file)
        body = self.body(arch)
        before = body[0][0].weight.clone()
        with pytest.raises(ModelError, match="weights of shufflenet_v2_x0_5 in .*other shapes"):
            load_body(body, arch, file)
        assert torch.equal(body[0][0].weight, before)

    def test_files_that_are_no_state_dict(self, tmp_path):
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
                load_body(self.body(arch), arch, tmp_path / name)
        with pytest.raises(ModelError, match="'default', None or a file, got nothing at"):
            load_body(self.body(arch), arch, tmp_path / "gone.pth")

    def test_torchvisions_older_files_load(self, tmp_path):
        """Without batch counters (resnet34's), and with `norm.1` for `norm1` (densenet's)."""
        arch, file = find_arch("densenet121"), tmp_path / "weights.pth"
        state = {
            re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): tensor
            for name, tensor in arch.source().state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        assert any("norm.1" in name for name in state)
        torch.save(state, file)
        body = self.body(arch)
        load_body(body, arch, file)
        kernel = body[0].denseblock1.denselayer1.conv1.weight
        assert torch.equal(kernel, state["features.denseblock1.denselayer1.conv.1.weight"])
