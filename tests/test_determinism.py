from __future__ import annotations

import pytest
import torch
from fastai.layers import AdaptiveConcatPool2d
from torch import nn

import quickvision as qv
from quickvision.base.errors import RunError
from quickvision.models.compute import deterministic


@pytest.fixture
def head():
    return nn.Sequential(AdaptiveConcatPool2d(), nn.Flatten(), nn.Linear(12, 3))


def test_the_maximum_is_the_same_and_so_are_gradients(head):
    x = torch.randn(4, 6, 5, 5)
    plain = torch.autograd.grad(head(x).square().sum(), list(head.parameters()))
    with deterministic(head, torch.device("cuda")):  # a CPU does not mind
        assert torch.are_deterministic_algorithms_enabled()
        assert "forward" in vars(head[0].mp)
        exact = torch.autograd.grad(head(x).square().sum(), list(head.parameters()))
    assert "forward" not in vars(head[0].mp)
    assert not torch.are_deterministic_algorithms_enabled()
    assert all(torch.allclose(a, b) for a, b in zip(plain, exact, strict=True))


def test_a_layer_without_such_an_algorithm_is_named_and_all_is_put_back(head):
    with (
        pytest.raises(RunError, match="deterministic: expected layers .*bicubic2d_backward"),
        deterministic(head, torch.device("cuda")),
    ):
        raise RuntimeError("upsample_bicubic2d_backward has no deterministic implementation")
    assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(RuntimeError, match="other"), deterministic(head, torch.device("cuda")):
        raise RuntimeError("something other")


def test_on_a_cpu_it_changes_nothing(class_folders, tiny_net, tmp_path):
    losses = []
    for exact in (False, True):
        dls = qv.from_folder(class_folders, size=32, bs=6)
        run = qv.train(
            dls, arch=tiny_net, frozen_epochs=1, unfrozen_epochs=1, lr=1e-3, out=tmp_path,
            deterministic=exact, verbose=False,
        )  # fmt: skip
        losses.append(run.history["valid_loss"].tolist())
    assert losses[0] == losses[1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_two_runs_are_the_same_to_the_bit(class_folders, tmp_path):
    weights = []
    for _ in range(2):
        run = qv.train(
            class_folders, arch="resnet18", weights=None, size=64, bs=6, lr=1e-3, out=tmp_path,
            frozen_epochs=0, unfrozen_epochs=2, deterministic=True, verbose=False,
        )  # fmt: skip
        weights.append(run.learn.model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
