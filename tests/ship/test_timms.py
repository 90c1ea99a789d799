from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from quickvision.models.body import make_body
from quickvision.models.head import make_head
from quickvision.models.zoo import find_arch
from quickvision.ship.timms import as_timms, timms_name


def trained(name, head="native", c=3, side=64):
    """A network of lively weights, as if it had been trained."""
    arch = find_arch(name)
    side = arch.settings.input_size if arch.settings.fixed_size else side
    body, features, pooled = make_body(
        arch, None, torch.randn(1, 3, side, side), native=head == "native"
    )
    model = nn.Sequential(body, make_head(features, c, pooled=pooled, head=head)).eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean, 0, 0.1)
            nn.init.uniform_(norm.running_var, 0.5, 2)
    return model, arch, side


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("resnet18", "resnet18"),
        ("mobilenet_v2", "mobilenetv2_100"),
        ("mobilenet_v3_small", "mobilenetv3_small_100"),  # another epsilon in its norms
        ("efficientnet_b0", "efficientnet_b0"),
        ("mnasnet0_5", "mnasnet_050"),
        ("densenet121", "densenet121"),
        ("timm/test_convnext", "test_convnext"),
        ("timm/test_vit", "test_vit"),
    ],
)
def test_it_answers_alike_under_timms_names(name, theirs):
    model, arch, side = trained(name)
    found = as_timms(model, arch, c=3, shape=(3, side, side))
    assert found.name == theirs
    x = torch.randn(2, 3, side, side)
    plain = timm.create_model(theirs, num_classes=3)
    plain.load_state_dict(found.model.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(plain.eval()(x), model(x), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convnext_tiny", "swin_t", "vit_b_32"])
def test_transformers_of_torchvision_are_timms_too(name):
    model, arch, side = trained(name, side=224)
    assert not isinstance(as_timms(model, arch, c=3, shape=(3, side, side)), str)


def test_a_single_layer_on_feature_maps_is_timms_where_it_pools_alike():
    model, arch, side = trained("resnet18", "linear")
    assert as_timms(model, arch, c=3, shape=(3, side, side)).name == "resnet18"
    model, arch, side = trained("timm/test_convnext", "linear")  # timm norms after pooling
    said = as_timms(model, arch, c=3, shape=(3, side, side))
    assert "test_convnext" in said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shufflenet_v2_x0_5", "timm has no shufflenet_v2_x0_5"),
        ("squeezenet1_1", "timm has no squeezenet1_1"),
    ],
)
def test_why_there_is_none(name, said):
    model, arch, side = trained(name)
    assert as_timms(model, arch, c=3, shape=(3, side, side)) == said


def test_pictures_that_timm_would_not_take_are_no_error():
    model, arch, side = trained("swin_t", side=64)  # torchvision's takes any size
    found = as_timms(model, arch, c=3, shape=(3, side, side))
    assert isinstance(found, str) or found.args == {"img_size": 64}


def test_other_answers_are_not_claimed(monkeypatch):
    model, arch, side = trained("resnet18")
    model[0].bn1.eps = 0.5  # inside the norm, where no weight says it
    model[0].relu = nn.Tanh()
    said = as_timms(model, arch, c=3, shape=(3, side, side))
    assert said == "timm's resnet18 answers otherwise with its weights"


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("regnet_y_400mf", "regnety_004"),
        ("regnet_x_1_6gf", "regnetx_016"),
        ("regnet_y_32gf", "regnety_320"),
        ("convnext_tiny", "convnext_tiny"),
        ("timm/convnext_tiny.fb_in22k", "convnext_tiny"),
        ("vit_b_16", "vit_base_patch16_224"),
        ("maxvit_t", ""),
    ],
)
def test_what_timm_calls_it(name, theirs):
    assert timms_name(find_arch(name)) == theirs


def test_the_model_stays_as_it_was():
    model, arch, side = trained("mobilenet_v3_small")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    rng = torch.get_rng_state()
    as_timms(model, arch, c=3, shape=(3, side, side))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), rng)
