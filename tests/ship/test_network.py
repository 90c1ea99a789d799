from __future__ import annotations

import pytest
import torch
from torch import nn

import quickvision as qv
from quickvision.ship.bundle import Network
from quickvision.ship.network import build, calibrated, last_linear, whole_network

SHAPE = (3, 32, 32)


def learner_of(colours, **options):
    dls = qv.from_folder(colours, size=32, bs=6, check=False)
    return qv.cnn_learner(dls, **{"weights": None, "arch": "timm/test_resnet", **options})


@pytest.mark.parametrize(
    ("options", "head"),
    [
        ({}, "whole"),
        ({"dropout": 0.3}, "whole"),
        ({"head": "fastai"}, "fastai"),
        ({"head": "fastai", "hidden": (), "dropout": 0.0}, "fastai"),
        ({"head": "fastai", "hidden": (32, 16), "activation": "gelu"}, "fastai"),
        ({"arch": "squeezenet1_1"}, "linear"),
        ({"arch": "shufflenet_v2_x0_5"}, "native"),
        ({"arch": "shufflenet_v2_x0_5", "head": "linear", "dropout": 0.2}, "linear"),
    ],
)
def test_a_model_is_built_again_by_its_names_alone(colours, options, head):
    learn = learner_of(colours, **options)
    network, model, why_not = whole_network(learn.model, learn.arch, c=3, shape=SHAPE)
    assert network.head == head
    assert bool(why_not) == (head != "whole")
    again = build(network, 3, (32, 32))
    again.load_state_dict(model.state_dict())
    x = torch.randn(2, *SHAPE)
    with torch.no_grad():
        torch.testing.assert_close(again(x), learn.model.eval()(x), rtol=1e-3, atol=1e-4)


def test_what_no_library_can_build_is_refused(colours, tiny_net):
    learn = learner_of(colours, arch=tiny_net)
    with pytest.raises(qv.ModelError, match=r"a function of your own; export\(..., onnx=True\)"):
        whole_network(learn.model, learn.arch, c=3, shape=SHAPE)
    learn = learner_of(colours)
    learn.model[1] = nn.Sequential(*learn.model[1], nn.Linear(3, 8), nn.PReLU(), nn.Linear(8, 3))
    with pytest.raises(qv.ModelError, match="layers that cnn_learner does not build"):
        whole_network(learn.model, learn.arch, c=3, shape=SHAPE)
    with pytest.raises(qv.ModelError, match="got one that the learner has no name for; export"):
        whole_network(nn.Linear(3, 3), None, c=3, shape=SHAPE)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (Network("timm", "os.system"), "expected a model of timm or torchvision"),
        (Network("", "resnet18"), "expected a model of timm or torchvision"),
        (Network("hf_hub", "x/y"), "expected a model of timm or torchvision"),
        (Network("timm", "local-dir:model"), "expected a model of timm or torchvision"),
        (Network("timm", "../resnet18"), "expected a model of timm or torchvision"),
        (Network("timm", "test_resnet", {"pretrained_cfg": 1}), "in a model's arguments"),
        (Network("timm", "test_resnet", {"in_chans": 10**9}), "in a model's arguments"),
        (Network("timm", "test_resnet", {"in_chans": "3"}), "in a model's arguments"),
        (Network("torchvision", "resnet18"), "expected timm's model as a whole"),
        (Network("timm", "test_resnet", head="eval"), "expected a head of ours"),
        (Network("timm", "test_resnet", head="fastai", activation="x"), "an activation of ours"),
    ],
)
def test_a_strangers_network_is_one_of_the_lists_or_none(network, said):
    with pytest.raises(qv.BundleError, match=said):
        build(network, 3, (32, 32))


@pytest.mark.parametrize(
    "network",
    [
        Network("timm", "test_resnet"),
        Network("torchvision", "shufflenet_v2_x0_5", head="native"),
        Network("torchvision", "squeezenet1_1", head="linear"),
        Network("torchvision", "resnet18", head="fastai", hidden=(16,)),
    ],
)
def test_an_empty_one_takes_no_memory(network):
    model = build(network, 3, (64, 64), empty=True)
    assert all(parameter.is_meta for parameter in model.parameters())


def test_one_that_cannot_be_built_empty_is_built_all_the_same():
    model = build(Network("torchvision", "regnet_y_400mf", head="native"), 3, (64, 64), empty=True)
    assert sum(parameter.numel() for parameter in model.parameters()) > 1e6


@pytest.mark.parametrize("arch", ["timm/test_resnet", "timm/test_vit", "timm/test_convnext"])
def test_the_temperature_is_in_the_last_layer(arch):
    model = build(Network("timm", arch.removeprefix("timm/")), 3, (160, 160))
    warm = calibrated(model, 2.5)
    x = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        torch.testing.assert_close(warm(x) * 2.5, model(x))
    assert isinstance(last_linear(model), nn.Linear)
