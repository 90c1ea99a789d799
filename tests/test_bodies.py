from __future__ import annotations

import pytest
import torch
from fastai.torch_core import get_random_states
from fastai.vision.learner import create_timm_model, create_vision_model
from torch import nn

import quickvision as qv
from quickvision.models import body as room
from quickvision.models.body import make_body
from quickvision.models.zoo import find_arch

# The smallest pictures, in pixels, that each can take.
BACKBONES = {
    "resnet18": 32, "resnet34": 32, "resnet50": 32, "densenet121": 32, "densenet161": 32,
    "vgg16_bn": 32, "inception_v3": 75, "googlenet": 32, "squeezenet1_1": 32, "mobilenet_v2": 32,
    "mobilenet_v3_small": 32, "mobilenet_v3_large": 32, "efficientnet_b0": 32,
    "regnet_y_400mf": 32, "shufflenet_v2_x1_0": 32, "convnext_tiny": 32, "vit_b_16": 224,
    "swin_t": 32, "maxvit_t": 224, "timm/resnet26d": 32, "se_resnet50": 32,
    "timm/convnext_tiny": 32, "vit_small_patch16_224": 224, "timm/efficientnet_b0": 32,
    "mobilenetv3_small_100": 32, "timm/inception_v3": 75, "swin_tiny_patch4_window7_224": 224,
}  # fmt: skip


@pytest.fixture(scope="module")
def loaders(tmp_path_factory):
    from PIL import Image

    root = tmp_path_factory.mktemp("grey")
    for i, name in enumerate(("a", "b")):
        (root / name).mkdir()
        for j in range(6):
            Image.new("RGB", (75, 75), (100 * i + 9 * j, 20 * j, 90)).save(root / name / f"{j}.png")
    kept = {}

    def of(size):
        if size not in kept:
            kept[size] = qv.from_folder(root, size=size, bs=4)
        return kept[size]

    return of


@pytest.mark.slow
@pytest.mark.parametrize("head", ["fastai", "linear"])
@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_builds_and_trains_a_step_in_three_groups(loaders, name, head):
    learn = qv.cnn_learner(loaders(BACKBONES[name]), name, weights=None, head=head)
    x, y = learn.dls.one_batch()
    out = learn.model.train()(x)
    assert out.shape == (4, 2)
    learn.loss_func(out, y).backward()
    groups = learn.splitter(learn.model)
    assert len(groups) == 3
    assert all(len(group) for group in groups)
    # In the order from input to head, each parameter once.
    inside = [id(p) for group in groups for p in group]
    assert inside == [id(p) for p in learn.model.parameters()]
    trained = [p for p in groups[0] if p.grad is not None and p.grad.abs().sum() > 0]
    assert trained, "the first group learns"


# What stands right behind the last feature map, in the whole model.
BEHIND = {
    "googlenet": "avgpool", "inception_v3": "avgpool", "efficientnet_b0": "avgpool",
    "mobilenet_v3_small": "avgpool", "regnet_y_400mf": "avgpool", "convnext_tiny": "avgpool",
    "swin_t": "avgpool", "vit_b_16": "heads", "maxvit_t": "classifier", "densenet121": None,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", BEHIND)
def test_the_body_says_what_the_whole_model_says_before_its_classifier(name, monkeypatch):
    arch = find_arch(name)
    size = BACKBONES.get(name, 64)
    x = torch.rand(2, 3, max(size, 64), max(size, 64))
    whole = arch.source(weights=None, **({"init_weights": True} if "aux" in str(arch) else {}))
    seen = []
    if BEHIND[name]:
        part = getattr(whole, BEHIND[name])
        part.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    else:
        whole.features.register_forward_hook(lambda _, args, out: seen.append(out.clone()))
    with torch.no_grad():
        whole.eval()(x)
    monkeypatch.setattr("quickvision.models.zoo._TORCHVISION", {})
    same = type(arch)(arch.name, lambda **_: whole, arch.settings)
    cut = {"cut": -1} if name == "densenet121" else None
    if cut:
        monkeypatch.setitem(room.model_meta, same.source, cut)
    body, features, _ = make_body(same, None, x[:1])
    with torch.no_grad():
        out = body.eval()(x)
    assert features == out.shape[1]
    torch.testing.assert_close(out, seen[0])


def test_the_same_random_numbers_are_drawn_as_by_fastai():
    """So that the plain fastai script of a run begins with the same head."""
    for name in ("resnet18", "timm/test_resnet"):
        arch, ends = find_arch(name), []
        for build in (
            lambda arch=arch: make_body(arch, None, torch.zeros(1, 3, 64, 64)),
            lambda arch=arch: (
                create_timm_model(arch.source, 2, pretrained=False, init=None)
                if isinstance(arch.source, str)
                else create_vision_model(
                    arch.source, 2, pretrained=False, custom_head=None, init=None
                )
            ),
        ):
            torch.manual_seed(1)
            out = build()
            if isinstance(out[0], nn.Sequential) and len(out) == 2 and len(out[0]) != 2:
                pass
            ends.append(out[0])
        ours, fastais = ends
        first = next(iter(ours.parameters()))
        assert torch.equal(first, next(iter(fastais.parameters())))


def test_grey_pictures_get_a_first_layer_of_their_own():
    body, features, pooled = make_body(find_arch("resnet18"), None, torch.zeros(1, 1, 64, 64))
    assert body(torch.zeros(2, 1, 64, 64)).shape == (2, 512, 2, 2)
    assert (features, pooled) == (512, False)


def test_random_states_of_python_and_numpy_stay():
    before = get_random_states()
    make_body(find_arch("timm/test_vit"), None, torch.zeros(1, 3, 160, 160))
    after = get_random_states()
    assert before["random_state"] == after["random_state"]


def test_a_model_that_has_no_weights_says_so(class_folders):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    with pytest.raises(qv.ModelError, match="expected weights of coatnet_0_224 .*weights=None"):
        qv.cnn_learner(dls, "coatnet_0_224")
