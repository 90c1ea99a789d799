from __future__ import annotations

import os
import random

import numpy as np
import pytest
import torch
from fastai.data.core import DataLoaders
from fastai.layers import AdaptiveConcatPool2d
from torch import nn

import quickvision as qv
from quickvision.base.errors import RunError
from quickvision.models.compute import (
    check_precision,
    deterministic,
    evaluating,
    fold_code,
    folded,
    one_picture,
    speed_up,
)

CPU = torch.device("cpu")


def test_a_cpu_computes_in_float32():
    assert check_precision("auto", CPU) == "float32"
    assert check_precision("float32", CPU) == "float32"


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_half_precision_that_the_device_does_not_have(precision):
    with pytest.raises(
        qv.ModelError, match=f"expected 'float32' on this cpu device, got '{precision}"
    ):
        check_precision(precision, CPU)


def test_an_unknown_precision_names_the_known(class_folders, tiny_net):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    with pytest.raises(ValueError, match="'fp16', got 'int8'"):
        qv.cnn_learner(dls, tiny_net, weights=None, precision="int8")


def test_convolutions_with_batch_norm_are_laid_out_channels_last(learn):
    conv = learn.model[0][3]
    assert conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert not conv.weight.is_contiguous()


def test_the_layout_changes_no_result(class_folders, tiny_net):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    learn = qv.cnn_learner(dls, tiny_net, weights=None)
    fast = qv.get_preds(learn).probs
    learn.model.to(memory_format=torch.contiguous_format)
    torch.testing.assert_close(torch.tensor(qv.get_preds(learn).probs), torch.tensor(fast))


def test_a_script_folds_to_the_same_bits():
    from torch.fx.experimental.optimization import fuse

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3))
    x = torch.randn(4, 3, 16, 16)
    model(x)  # moves the statistics
    names = {"body": model, "fuse": fuse, "torch": torch}
    before = {k: v.clone() for k, v in model.state_dict().items()}
    code = fold_code(model, x)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert code == fold_code(model, None)
    model.eval()
    exec(code, names)
    assert torch.equal(names["body"](x), folded(model, x)(x))
    assert not torch.equal(names["body"](x), model(x))


def test_a_script_does_not_fold_what_the_run_does_not():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x):
            return self.norm(x) if x.sum() > 0 else x  # cannot be traced

    x = torch.randn(2, 3, 4, 4)
    assert fold_code(Branching(), x) == fold_code(nn.Conv2d(3, 3, 1), x) == ""


def test_folded_batch_norms_answer_the_same():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3))
    x = torch.randn(4, 3, 16, 16)
    model(x)  # moves the statistics
    before = {k: v.clone() for k, v in model.eval().state_dict().items()}
    fast = folded(model, x)
    torch.testing.assert_close(fast(x), model(x), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fast.modules())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_a_model_that_cannot_be_traced_is_copied():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x):
            return self.norm(x) if x.mean() > 0 else -x

    model = Branches().eval()
    fast = folded(model, torch.ones(1, 3, 4, 4))
    assert fast is not model
    assert isinstance(fast, Branches)


def test_a_compiled_learner_keeps_the_names_of_its_weights(class_folders, tiny_net, monkeypatch):
    calls = []
    monkeypatch.setattr(nn.Module, "compile", lambda self, *a, **k: calls.append(type(self)))
    dls = qv.from_folder(class_folders, size=32, bs=6)
    learn = qv.cnn_learner(dls, tiny_net, weights=None, compile=True)
    assert calls == [type(learn.model)]
    assert not any("_orig_mod" in name for name in learn.model.state_dict())


def test_loaders_that_name_no_device(class_folders, tiny_net, tmp_path):
    made = qv.from_folder(class_folders, size=32, bs=6)
    dls = DataLoaders(made.train, made.valid)
    dls.device = None
    run = qv.train(
        dls, arch=tiny_net, lr=1e-3, frozen_epochs=1, unfrozen_epochs=1, out=tmp_path, verbose=False
    )
    assert len(run.history) == 2


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


def test_on_a_cpu_nothing_is_set(head, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with deterministic(head, CPU):
        assert not torch.are_deterministic_algorithms_enabled()
        assert "forward" not in vars(head[0].mp)
        assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


@pytest.mark.parametrize(("norm", "moved"), [(nn.BatchNorm2d, True), (nn.InstanceNorm2d, False)])
def test_only_models_with_batch_norm_are_laid_out_anew_and_values_stay(learn, norm, moved):
    learn.model = nn.Sequential(nn.Conv2d(3, 8, 3), norm(8), nn.Conv2d(8, 4, 3))
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    speed_up(learn, "float32")
    after = learn.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert (after["2.weight"].stride() != before["2.weight"].stride()) is moved


def test_evaluation_ends_with_the_mode_that_each_module_had():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    model[1].eval()
    seen = []

    def broken_off():
        with evaluating(model):
            seen.extend(module.training for module in model.modules())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert seen == [False] * 3
    assert [module.training for module in model.modules()] == [True, True, False]


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


def test_one_picture_leaves_random_states_as_they_are(learn):
    before = random.getstate(), torch.get_rng_state(), learn.dls.valid.rng.getstate()
    numpys = np.random.get_state()[1].tolist()
    picture = one_picture(learn.dls.valid)
    assert picture.shape == (1, 3, 32, 32)
    assert type(picture) is torch.Tensor
    assert torch.equal(picture, one_picture(learn.dls.valid))
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert learn.dls.valid.rng.getstate() == before[2]
    assert np.random.get_state()[1].tolist() == numpys
