from __future__ import annotations

from types import SimpleNamespace

import fastai.vision.all
import pytest
import torch
from fastai.vision.learner import create_head
from torch import nn

from quickvision.models.head import ACTIVATIONS, head_code, make_head

MAPS, VECTORS = torch.rand(4, 8, 5, 5), torch.rand(4, 8)


def kinds(head):
    return [type(layer).__name__ for layer in head]


def test_fastais_head_is_fastais():
    made = make_head(8, 3, head="fastai")
    assert str(made) == str(create_head(8, 3))
    assert made(MAPS).shape == (4, 3)


@pytest.mark.parametrize("name", ["native", "linear"])
def test_a_single_layer_is_average_pooling_and_one_layer(name):
    head = make_head(8, 3, head=name)
    assert kinds(head) == ["AdaptiveAvgPool2d", "Flatten", "Linear"]
    expected = nn.functional.linear(MAPS.mean((2, 3)), head[-1].weight, head[-1].bias)
    torch.testing.assert_close(head(MAPS), expected)
    assert "Dropout" in kinds(make_head(8, 3, head=name, dropout=0.2))


@pytest.mark.parametrize("head", ["fastai", "linear"])
def test_features_that_are_pooled_are_not_pooled_again(head):
    made = make_head(8, 3, head=head, pooled=True)
    assert made(VECTORS).shape == (4, 3)
    assert made[-1].in_features == (8 if head == "linear" else 512)


def test_hidden_layers_dropout_and_activation():
    head = make_head(8, 3, head="fastai", hidden=(32, 16), dropout=0.4, activation="gelu")
    assert [layer.out_features for layer in head if isinstance(layer, nn.Linear)] == [32, 16, 3]
    assert [layer.p for layer in head if isinstance(layer, nn.Dropout)] == [0.2, 0.2, 0.4]
    assert kinds(head).count("GELU") == 2
    assert "ReLU" not in kinds(head)
    assert head(MAPS).shape == (4, 3)


def test_no_hidden_layer():
    assert kinds(make_head(8, 3, head="fastai", hidden=())).count("Linear") == 1


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"head": "fastai"},
        {"head": "fastai", "hidden": (32, 16), "dropout": 0.4, "activation": "gelu"},
        {"head": "fastai", "hidden": (), "dropout": 0, "activation": "silu"},
        {"head": "linear"},
        {"head": "linear", "dropout": 0.2},
    ],
)
def test_the_code_of_a_head_builds_the_same(options, pooled):
    made = make_head(8, 3, pooled=pooled, **options)
    names = {**vars(fastai.vision.all), "dls": SimpleNamespace(c=3)}
    exec(head_code(made, countable=False, **options), names)
    assert str(names["head"]) == str(made)


@pytest.mark.parametrize("activation", [*ACTIVATIONS, lambda: nn.Softplus(beta=2)])
def test_every_activation_trains(activation):
    head = make_head(8, 3, activation=activation)
    head(MAPS).sum().backward()
    assert all(p.grad is not None for p in head.parameters())


def test_a_module_that_is_given_stays_as_it_is(class_folders, tiny_net):
    import quickvision as qv

    dls = qv.from_folder(class_folders, size=32, bs=6)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3))
    before = head[2].weight.clone()
    learn = qv.cnn_learner(dls, tiny_net, weights=None, head=head)
    qv.fit_unfrozen(learn, 1, lr_max=1e-2, verbose=False)
    assert torch.equal(head[2].weight, before)
    assert str(learn.model[1]) == str(head)
