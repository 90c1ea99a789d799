from __future__ import annotations

import pytest
import torch
from fastai.data.core import DataLoaders
from torch import nn

import quickvision as qv
from quickvision.models.compute import check_precision, folded

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
    with pytest.raises(ValueError, match="expected 'auto', 'float32', 'bf16', 'fp16', got 'int8'"):
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
