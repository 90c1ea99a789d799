from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from quickvision.base.errors import ModelError
from quickvision.models.fitting import Target, find_fit, pair_in_order, timm_filter
from quickvision.models.weights import Stored, read_weights


def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 8, 3))


class Wrapped(nn.Module):
    """A model whose own names begin with `model.`."""

    def __init__(self):
        super().__init__()
        self.model = small()


def fit(states, model, *, cut=None, timm_name=None, **config):
    states = states if isinstance(next(iter(states.values())), dict) else {"": states}
    stored = Stored(Path("x.pth"), states, config)
    return find_fit(stored, Target.of(model, model, cut, timm_name), name="net")


def begun(state, prefix):
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "_orig_mod.", "model.", "backbone.", "_orig_mod.module.", "a.b.c.", "0.model.",
     "module.encoder_q."],
)  # fmt: skip
@pytest.mark.parametrize("make", [small, Wrapped])
def test_a_prefix_goes_where_the_wanted_names_are_then_there(prefix, make):
    state = make().state_dict()
    other = {"head.weight": torch.zeros(3), "n_averaged": torch.tensor(1)}
    one, among = fit(begun(state, prefix) | other, make())
    assert (one.prefix, len(among)) == (prefix, 1)
    assert all(torch.equal(one.tensors[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("inside", ["module", "_orig_mod", "_fsdp_wrapped_module"])
def test_wrappers_of_parts_of_a_model_go_too(inside):
    state = small().state_dict()
    one, _ = fit({re.sub(r"^2", f"2.{inside}", name): t for name, t in state.items()}, small())
    assert torch.equal(one.tensors["2.weight"], state["2.weight"])


def test_a_whole_file_is_not_taken_for_one_with_a_prefix():
    state = Wrapped().state_dict()
    assert fit(state, Wrapped())[0].prefix == ""
    with pytest.raises(ModelError):
        fit(small().state_dict(), Wrapped())


@pytest.mark.parametrize(
    ("keys", "taken"),
    [
        (["['state_dict']", "['state_dict_ema']"], 1),
        (["['model']", "['model_ema']"], 1),
        (["['ema']['shadow']", "['net']"], 0),
        (["['student']", "['teacher']"], 1),
        (["['model']", "['averaged_model']"], 1),
        (["['one']", "['schema']"], 0),
    ],
)
def test_an_averaged_one_is_taken_else_the_first(keys, taken):
    states = {key: small().state_dict() for key in keys}
    one, among = fit(states, small())
    assert (one.keys, len(among)) == (keys[taken], 2)


def test_the_same_twice_is_no_choice():
    state = small().state_dict()
    assert len(fit({"['a']": state, "['ema']": dict(state)}, small())[1]) == 1


def test_of_two_prefixes_the_first_of_the_file():
    state = begun(small().state_dict(), "encoder_q.") | begun(small().state_dict(), "encoder_k.")
    one, among = fit(state, small())
    assert (one.prefix, len(among)) == ("encoder_q.", 2)


def test_what_does_not_fit_is_no_candidate():
    state = small().state_dict()
    ema = {name: tensor[:2] if tensor.ndim else tensor for name, tensor in state.items()}
    assert fit({"['model']": state, "['ema']": ema}, small())[0].keys == "['model']"


def test_names_of_a_cut_body():
    model = torchvision.models.resnet18()
    cut = nn.Sequential(*list(model.children())[:-2])
    state = begun(nn.Sequential(*list(torchvision.models.resnet18().children())[:-2]).state_dict(),
                  "0.")  # fmt: skip
    stored = Stored(Path("x"), {"": state | {"1.2.weight": torch.zeros(3, 512)}}, {})
    one, _ = find_fit(stored, Target.of(model, cut, cut, None), name="resnet18")
    assert (one.how, one.prefix) == ("cut", "0.")
    assert torch.equal(one.tensors["layer4.1.conv2.weight"], state["0.7.1.conv2.weight"])


def test_a_larger_models_file_is_refused():
    """All that resnet18 wants is in resnet34's file, by names and shapes."""
    model, larger = torchvision.models.resnet18(), torchvision.models.resnet34().state_dict()
    match = r"122 tensors 0 are missing.*96 are there of further layers.*layer1\.2\.conv1"
    with pytest.raises(ModelError, match=match):
        fit(larger, model)
    with pytest.raises(ModelError, match="further layers"):
        fit(begun(larger, "module."), model)


def test_a_classifier_is_no_further_layer():
    with torch.device("meta"):
        model, state = torchvision.models.vgg11(), torchvision.models.vgg11().state_dict()
    model.classifier[6] = nn.Identity()
    assert "classifier.6.weight" not in fit(state, model)[0].tensors


def test_an_error_counts_names_the_file_and_its_arch():
    match = (
        r"weights of net in x\.pth, got others: of 9 tensors 2 are missing and 1 have other shapes,"
        r" the first being '2\.weight' \(its 7 .*'0\.weight', '0\.bias'.*arch='resnet9'"
    )
    state = small().state_dict()
    state.pop("2.weight")
    state.pop("2.bias")
    state["0.bias"] = torch.zeros(1)
    with pytest.raises(ModelError, match=match):
        fit(state, small(), arch="resnet9")
    with pytest.raises(ModelError, match="name the arch that the file was made with$"):
        fit({"x": torch.zeros(1)}, small())


PUBLISHED = {
    "vit_tiny_patch16_224": "vision_transformer",
    "vit_small_patch14_dinov2": "vision_transformer",
    "vit_tiny_r_s16_p8_224": "vision_transformer_hybrid",
    "deit_tiny_distilled_patch16_224": "deit",
    "swin_tiny_patch4_window7_224.ms_in1k": "swin_transformer",
    "convnext_atto": "convnext",
    "eva02_tiny_patch14_224": "eva",
    "beit_base_patch16_224": "beit",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_timm_keeps_its_conversion_beside_the_function_that_builds(name):
    """No documented place: where it moves, files as their authors publish them are refused."""
    home = __import__(f"timm.models.{PUBLISHED[name]}", fromlist=["x"])
    assert timm_filter(name) is home.checkpoint_filter_fn
    assert timm_filter("resnet18") is None


def of_timm(state, name, **options):
    model = timm.create_model(name, num_classes=0, **options)
    return fit(state, model, timm_name=name)[0], model


@pytest.mark.parametrize("prefix", ["", "module.backbone."])
def test_positions_of_another_size_are_resized_by_timm(prefix):
    small_one = timm.create_model("vit_tiny_patch16_224", depth=1, img_size=96)
    one, model = of_timm(begun(small_one.state_dict(), prefix), "vit_tiny_patch16_224", depth=1)
    assert (one.how, one.prefix) == ("filter", prefix)
    assert one.tensors["pos_embed"].shape == model.pos_embed.shape
    weight = small_one.blocks[0].mlp.fc1.weight
    assert torch.equal(one.tensors["blocks.0.mlp.fc1.weight"], weight)


def test_patches_of_another_size_are_another_model():
    state = timm.create_model("vit_tiny_patch16_224", depth=1, patch_size=32).state_dict()
    with pytest.raises(ModelError, match="other shapes"):
        of_timm(state, "vit_tiny_patch16_224", depth=1)


def test_published_names_that_timm_knows():
    state = timm.create_model("convnext_atto").state_dict()
    facebooks = {
        re.sub(r"stages\.(\d)\.blocks", r"stages.\1", re.sub(r"stages\.(\d)\.downsample",
            r"downsample_layers.\1", name)).replace("stem.", "downsample_layers.0.")
        .replace("conv_dw", "dwconv").replace("mlp.fc", "pwconv").replace("head.norm", "norm")
        .replace("head.fc", "head"): tensor
        for name, tensor in state.items()
    }  # fmt: skip
    assert not any(".blocks." in name for name in facebooks)
    one, _ = of_timm(facebooks, "convnext_atto")
    assert one.how == "filter"
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, state[name].reshape(tensor.shape))
    with pytest.raises(ModelError):
        of_timm(facebooks, "convnext_femto")


def test_old_swin_files_have_buffers_that_are_no_layers():
    state = timm.create_model("swin_tiny_patch4_window7_224").state_dict()
    state["layers.0.blocks.1.attn_mask"] = torch.zeros(64, 49, 49)
    assert of_timm(state, "swin_tiny_patch4_window7_224")[0].how == "names"


def test_an_export_under_timms_names_is_paired_in_order(tmp_path):
    theirs = timm.create_model("mobilenetv2_100", num_classes=5)
    said = {
        "quickvision": {"network": {"arch": "mobilenet_v2"}}, "architecture": "mobilenetv2_100",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(said))
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    stored = read_weights(tmp_path)
    model = torchvision.models.mobilenet_v2()
    model.classifier[1] = nn.Identity()
    one, _ = find_fit(stored, Target.of(model, model, None, None), name="mobilenet_v2")
    assert one.how == "order"
    model.load_state_dict(dict(one.tensors), strict=False)
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        theirs.reset_classifier(0)
        torch.testing.assert_close(model.eval()(x), theirs.eval()(x))
    other = torchvision.models.mobilenet_v3_small()
    with pytest.raises(ModelError, match="arch='mobilenet_v2'"):
        find_fit(stored, Target.of(other, other, None, None), name="mobilenet_v3_small")


def test_order_pairs_one_to_one_or_not_at_all():
    size = torch.Size
    one = {"a.weight": size([4]), "a.running_mean": size([4]), "b.weight": size([8, 4, 1, 1])}
    two = {"x.weight": size([4]), "x.running_mean": size([4]), "y.weight": size([8, 4])}
    assert pair_in_order(one, two) == dict(zip(one, two, strict=True))
    assert pair_in_order(one, two | {"z.weight": size([4])}) == {}
    assert pair_in_order(one | {"c.weight": size([4])}, two) == {}
    swapped = {"x.running_mean": size([4]), "x.weight": size([4]), "y.weight": size([8, 4])}
    assert pair_in_order(one, swapped) == {}
