from __future__ import annotations

import random
import urllib.error

import pytest
import torch
from fastai.data.transforms import Normalize
from fastai.learner import Learner
from fastai.metrics import accuracy
from fastai.optimizer import Adam
from torch import nn

import quickvision as qv
from quickvision.models import zoo as models
from quickvision.models.zoo import find_arch


@pytest.fixture
def dls(class_folders):
    return qv.from_folder(class_folders, size=32, bs=4)


def norms(dls):
    return [
        [t.mean.flatten().tolist() for t in dl.after_batch.fs if isinstance(t, Normalize)]
        for dl in dls.loaders
    ]


def test_a_plain_learner_comes_back(dls):
    learn = qv.cnn_learner(dls, "mobilenet_v2", weights=None)
    assert type(learn) is Learner
    assert [m.name for m in learn.metrics] == ["error_rate", "accuracy"]
    assert learn.model(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


def test_metrics_head_and_learner_options_pass_through(dls, tmp_path):
    head = {"head": "fastai", "hidden": [16]}
    learn = qv.cnn_learner(
        dls, "mobilenet_v2", weights=None, metrics=accuracy, path=tmp_path, wd=0.3, **head
    )
    assert (learn.path, learn.wd, learn.metrics[0].name) == (tmp_path, 0.3, "accuracy")
    assert learn.model[1][4].out_features == 16


def test_a_file_of_weights_freezes_the_body(dls, tmp_path):
    torch.save(find_arch("mobilenet_v2").source().state_dict(), tmp_path / "w.pth")
    learn = qv.cnn_learner(dls, "mobilenet_v2", weights=tmp_path / "w.pth")
    assert learn.pretrained
    kernels = [p for p in learn.model[0].parameters() if p.ndim == 4]
    assert not any(p.requires_grad for p in kernels)
    assert all(p.requires_grad for p in learn.model[1].parameters())
    assert len(learn.opt.param_lists) == 3


def test_callables_and_timm_names_build(dls, tiny_net):
    assert qv.cnn_learner(dls, tiny_net, weights=None).model[1][-1].out_features == 3
    assert qv.cnn_learner(dls, "timm/test_resnet", weights=None).model[1][-1].out_features == 3


def test_always_normalised_and_the_loaders_given_stay_as_they_were(dls):
    one = qv.cnn_learner(dls, "mobilenet_v2", weights=None)
    two = qv.cnn_learner(dls, "timm/test_resnet", weights=None)
    assert norms(dls) == [[], []]
    assert norms(one.dls)[0][0] == pytest.approx([0.485, 0.456, 0.406])
    assert len(norms(two.dls)[1]) == 1


def test_a_second_learner_does_not_keep_the_first_ones_statistics(dls, tiny_net, monkeypatch):
    half = models.ModelSettings("half", "", mean=(0.5,) * 3, std=(0.5,) * 3)
    one = qv.cnn_learner(dls, "mobilenet_v2", weights=None)
    monkeypatch.setattr(
        "quickvision.models.learner.find_arch", lambda a: models.Arch("half", tiny_net, half)
    )
    two = qv.cnn_learner(one.dls, "half", weights=None)
    assert norms(two.dls) == [[[0.5] * 3]] * 2
    assert norms(one.dls)[0][0] == pytest.approx([0.485, 0.456, 0.406])


def test_the_copy_keeps_what_was_left_out_and_the_order(dls):
    dls.train.rng.random()  # not where a new loader begins
    learn = qv.cnn_learner(dls, "timm/test_resnet", weights=None)
    assert learn.dls.skipped is dls.skipped
    assert learn.dls.vocab == dls.vocab
    assert learn.dls.train.rng.getstate() == dls.train.rng.getstate()


def test_pythons_random_state_stays(dls):
    state = random.getstate()
    qv.cnn_learner(dls, "timm/test_resnet", weights=None)
    assert random.getstate() == state


def test_without_network_three_ways_out_are_named(dls, monkeypatch):
    def offline(*args, **kwargs):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(qv.ModelError, match="Three ways out: .*online.*weights=FILE.*=None") as no:
        qv.cnn_learner(dls, "mobilenet_v2")
    file = "https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth"
    assert f"download {file} elsewhere, copy it to this machine" in str(no.value)


def test_weights_that_are_not_there_are_said_before_the_pictures_are_read(tmp_path):
    (tmp_path / "mobilenet_v2_imagenet.pth").touch()
    with pytest.raises(qv.ModelError, match=r"got nothing at .*did you mean '.*_imagenet.pth'\?"):
        qv.train(tmp_path / "no pictures", weights=tmp_path / "mobilenet_v2.pth")


def test_a_download_with_a_wrong_checksum_is_a_model_error(dls, monkeypatch):
    def damaged(*args, **kwargs):
        raise RuntimeError('invalid hash value (expected "7ebf99e0", got "00")')

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", damaged)
    with pytest.raises(qv.ModelError, match="cannot build mobilenet_v2: invalid hash"):
        qv.cnn_learner(dls, "mobilenet_v2")


def test_a_model_that_cannot_take_this_size_is_refused(dls):
    with pytest.raises(qv.ModelError, match="vit_tiny_patch16_224 cannot take pictures of 32 x 32"):
        qv.cnn_learner(dls, "timm/vit_tiny_patch16_224", weights=None)


def test_a_model_without_pooling_is_refused(dls):
    def flat(pretrained=False):
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 5))

    with pytest.raises(qv.ModelError, match="cannot tell flat's body from its head"):
        qv.cnn_learner(dls, flat, weights=None, head="linear")


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"cut": -1}, TypeError, "cut: neither .* here it is a function of your own as arch="),
        ({"pretrained": False}, TypeError, "pretrained: neither .* here it is weights="),
        ({"opt": "sgd", "opt_func": Adam}, TypeError, "opt_func: says the same as opt="),
        ({"loss": "focal", "loss_func": Adam}, TypeError, "loss_func: says the same as loss="),
        ({"class_weights": "balanced", "loss_func": Adam}, TypeError, "set in the loss_func"),
        ({"momentum": 0.9, "moms": (0.9,) * 3}, TypeError, "moms: says the same as momentum="),
        (
            {"head": "fastai", "activation": torch.nn.GELU()},
            TypeError,
            "expected a name, or a class as nn.GELU",
        ),
        ({"hidden": (16,)}, TypeError, "hidden: goes with head='fastai'; 'native' is a single"),
        ({"momentum": 0.9, "opt": "Adadelta"}, TypeError, "momentum: Adadelta has none"),
        ({"weights": True}, TypeError, "weights: expected 'default', None or a file"),
        ({"head": nn.Linear(8, 3)}, qv.ModelError, "head: it cannot take"),
        ({"head": nn.Flatten()}, qv.ModelError, "an output for each of 3 classes"),
        ({"arch": "vit_b_16"}, qv.ModelError, "size=224: it takes no others than 224 x 224"),
    ],
)
def test_options_that_would_be_lost_or_make_no_model(dls, options, error, match):
    with pytest.raises(error, match=match):
        qv.cnn_learner(dls, **({"arch": "timm/test_resnet", "weights": None} | options))


def test_no_validation_pictures(dls):
    dls.loaders[1] = dls.train.new(dls.train_ds.new_empty())
    with pytest.raises(qv.DataError, match="expected validation pictures in dls, got none"):
        qv.cnn_learner(dls, "timm/test_resnet", weights=None)


@pytest.mark.parametrize("arch", ["resnet18", "timm/test_resnet"])
def test_the_same_random_numbers_are_drawn_as_by_fastai(dls, arch):
    from fastai.vision.learner import vision_learner

    source, ends = find_arch(arch).source, []
    for build in (
        lambda: qv.cnn_learner(dls, arch, weights=None, head="fastai"),
        lambda: vision_learner(dls, source, pretrained=False),
    ):
        torch.manual_seed(1)
        ends.append((list(build().model.state_dict().values()), torch.rand(1)))
    (ours, next_of_ours), (fastais, next_of_fastais) = ends
    assert len(ours) == len(fastais)
    assert all(map(torch.equal, ours, fastais))
    assert torch.equal(next_of_ours, next_of_fastais)


@pytest.mark.parametrize("allowed", [True, False])
def test_torchs_rules_for_tf32_stay(dls, allowed):
    rules = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [rule.allow_tf32 for rule in rules]
    try:
        for rule in rules:
            rule.allow_tf32 = allowed
        qv.cnn_learner(dls, "timm/test_resnet", weights=None, precision="float32")
        assert [rule.allow_tf32 for rule in rules] == [allowed, allowed]
    finally:
        for rule, was in zip(rules, before, strict=True):
            rule.allow_tf32 = was
