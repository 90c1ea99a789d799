from __future__ import annotations

import copy

import pytest
import timm
import torch
import torchvision
from torch import nn

from quickvision.models.body import body_code, layer_groups, make_body
from quickvision.models.native import last_layer, without_code, without_last
from quickvision.models.zoo import find_arch

# The smallest of each family, the pixels that it takes, and the layer that it ends with.
ENDS = {
    "resnet18": (32, "fc"), "densenet121": (32, "classifier"), "vgg11_bn": (32, "classifier.6"),
    "inception_v3": (75, "fc"), "googlenet": (32, "fc"), "mobilenet_v2": (32, "classifier.1"),
    "mobilenet_v3_small": (32, "classifier.3"), "efficientnet_b0": (32, "classifier.1"),
    "regnet_y_400mf": (32, "fc"), "shufflenet_v2_x0_5": (32, "fc"),
    "convnext_tiny": (32, "classifier.2"), "vit_b_16": (224, "heads.head"), "swin_t": (32, "head"),
}  # fmt: skip


def built(name):
    options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    return getattr(torchvision.models, name)(weights=None, **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENDS)
def test_the_body_and_its_own_last_layer_say_what_the_whole_network_says(name):
    size, expected = ENDS[name]
    whole = built(name).eval()
    whole.transform_input = False  # what centres pictures is ours
    x = torch.rand(2, 3, size, size)
    with torch.no_grad():
        said = whole(x)
    last = last_layer(whole, x[:1])
    assert last == expected
    layer = whole.get_submodule(last)
    body = copy.deepcopy(whole)
    assert without_last(body, last) == layer.in_features
    with torch.no_grad():
        torch.testing.assert_close(layer(body.eval()(x)), said)
        assert body.train()(x).shape == (2, layer.in_features), "no further outputs in training"


def test_squeezenet_ends_otherwise_and_is_cut():
    model = torchvision.models.squeezenet1_1(weights=None)
    assert last_layer(model, torch.rand(1, 3, 64, 64)) == ""
    picture = torch.rand(1, 3, 64, 64)
    body, features, pooled = make_body(find_arch("squeezenet1_1"), None, picture, native=True)
    assert (features, pooled) == (512, False)
    assert body(torch.rand(2, 3, 64, 64)).shape[1] == 512


def test_a_layer_that_something_follows_is_not_the_last():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Softmax(1))
    assert last_layer(model, torch.rand(1, 3, 2, 2)) == ""


def test_looking_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4))
    model[0].eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    assert last_layer(model, torch.rand(1, 3, 2, 2)) == "2"
    assert [m.training for m in model] == [False, True, True]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not model[2]._forward_hooks


@pytest.mark.parametrize("name", ["timm/test_resnet", "timm/test_convnext", "timm/test_vit"])
def test_timms_network_says_the_same_with_its_own_layer(name):
    whole = timm.create_model(name.removeprefix("timm/")).eval()
    size = whole.default_cfg["input_size"][-1]
    x = torch.rand(2, 3, size, size)
    body, features, pooled = make_body(find_arch(name), None, x[:1], native=True)
    body.load_state_dict(whole.state_dict(), strict=False)
    assert pooled
    with torch.no_grad():
        out = body.eval()(x)
        torch.testing.assert_close(whole.get_classifier()(out), whole(x), rtol=1e-4, atol=1e-4)
    assert features == out.shape[1]


def test_grey_pictures():
    grey = torch.rand(1, 1, 64, 64)
    for name in ("resnet18", "timm/test_resnet"):
        body, features, _ = make_body(find_arch(name), None, grey, native=True)
        assert body(torch.rand(2, 1, 64, 64)).shape == (2, features)


def test_a_function_of_ones_own(tiny_net):
    tiny_net.__name__ = "tiny"
    body, features, pooled = make_body(
        find_arch(tiny_net), None, torch.rand(1, 3, 32, 32), native=True
    )
    assert (features, pooled) == (16, True)
    assert body(torch.rand(2, 3, 32, 32)).shape == (2, 16)


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "mobilenet_v3_small"])
def test_the_code_of_a_body_builds_the_same(name):
    arch = find_arch(name)
    body, _, _ = make_body(arch, None, torch.rand(1, 3, 64, 64), native=True)
    names = {"torchvision": torchvision, "nn": nn}
    exec(body_code(arch, None, body, native=True), names)
    assert str(names["body"]) == str(body)
    with torch.no_grad():
        assert names["body"].train()(torch.rand(2, 3, 64, 64)).ndim == 2


def test_the_code_names_what_was_taken_off():
    whole = torchvision.models.resnet18(weights=None)
    body = copy.deepcopy(whole)
    without_last(body, "fc")
    assert without_code(body, whole) == ["body.set_submodule('fc', nn.Identity())"]


def test_groups_go_from_input_to_head():
    body, features, _ = make_body(
        find_arch("resnet18"), None, torch.rand(1, 3, 64, 64), native=True
    )
    model = nn.Sequential(body, nn.Linear(features, 3))
    groups = layer_groups(model, n=3)
    inside = [id(p) for group in groups for p in group]
    assert len(groups) == 3
    assert inside == [id(p) for p in model.parameters()]
