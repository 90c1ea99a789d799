from __future__ import annotations

import re

import pytest
import timm
import torch
import torchvision
from fastai.torch_core import get_random_states
from fastai.vision.learner import TimmBody, create_timm_model, create_vision_model
from safetensors.torch import save_file
from torch import nn

import quickvision as qv
from quickvision.models import body as room
from quickvision.models.body import cut_classifier, layer_groups, make_body
from quickvision.models.zoo import find_arch

# The smallest of each family, and the smallest pictures, in pixels, that it can take. The larger
# ones are built of the same blocks by the same function; `resnet50` has other blocks.
BACKBONES = {
    "resnet18": 32, "resnet50": 32, "densenet121": 32, "vgg11_bn": 32, "inception_v3": 75,
    "googlenet": 32, "squeezenet1_1": 32, "mobilenet_v2": 32, "mobilenet_v3_small": 32,
    "efficientnet_b0": 32, "regnet_y_400mf": 32, "shufflenet_v2_x0_5": 32, "convnext_tiny": 32,
    "vit_b_16": 224, "swin_t": 32, "maxvit_t": 224, "timm/resnet10t": 32, "se_resnet50": 32,
    "timm/convnext_atto": 32, "vit_tiny_patch16_224": 224, "timm/efficientnet_b0": 32,
    "mobilenetv3_small_050": 32, "timm/inception_v3": 75, "swin_tiny_patch4_window7_224": 224,
}  # fmt: skip
HEADS = [(name, "fastai") for name in BACKBONES]  # a head sees a body's features, and these alone:
HEADS += [(name, "linear") for name in ("resnet18", "vit_tiny_patch16_224", "squeezenet1_1")]


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
@pytest.mark.parametrize(("name", "head"), HEADS)
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


LARGER = [
    "resnet34", "densenet161", "vgg16_bn", "mobilenet_v3_large", "shufflenet_v2_x1_0",
    "timm/resnet26d", "timm/convnext_tiny", "vit_small_patch16_224", "mobilenetv3_small_100",
]  # fmt: skip


@pytest.mark.parametrize("name", LARGER)
def test_their_larger_relatives_are_found(name):
    assert find_arch(name).name.endswith(name.removeprefix("timm/"))


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
    assert before["numpy_state"][1].tolist() == after["numpy_state"][1].tolist()


def test_a_model_that_has_no_weights_says_so(class_folders):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    with pytest.raises(qv.ModelError, match="expected weights of coatnet_0_224 .*weights=None"):
        qv.cnn_learner(dls, "coatnet_0_224")


def loaded(arch, file):
    return make_body(arch, file, torch.zeros(1, 3, 64, 64))[0]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_whole_models_file_is_loaded(tmp_path, suffix):
    arch, file = find_arch("shufflenet_v2_x0_5"), tmp_path / f"weights{suffix}"
    whole = arch.source()
    (save_file if suffix == ".safetensors" else torch.save)(whole.state_dict(), file)
    body = loaded(arch, file)
    assert torch.equal(body[0][0].weight, whole.conv1[0].weight)
    assert torch.equal(body[-1][1].running_var, whole.conv5[1].running_var)


def test_another_classifier_or_none_is_no_hindrance(tmp_path):
    arch, file = find_arch("shufflenet_v2_x0_5"), tmp_path / "weights.pth"
    state = arch.source(num_classes=3).state_dict()
    torch.save(
        {"state_dict": {k: v for k, v in state.items() if "bias" not in k or "fc" not in k}},
        file,
    )
    body = loaded(arch, file)
    assert torch.equal(body[0][0].weight, state["conv1.0.weight"])


def test_timm_files_load(tmp_path):
    arch, file = find_arch("timm/test_resnet"), tmp_path / "weights.safetensors"
    whole = timm.create_model("test_resnet", num_classes=7)
    save_file(whole.state_dict(), file)
    body = loaded(arch, file)
    assert torch.equal(next(body.model.parameters()), next(whole.parameters()))


def test_torchvisions_older_files_load(tmp_path):
    """Without batch counters (resnet34's), and with `norm.1` for `norm1` (densenet's)."""
    arch, file = find_arch("densenet121"), tmp_path / "weights.pth"
    state = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): tensor
        for name, tensor in arch.source().state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert any("norm.1" in name for name in state)
    torch.save(state, file)
    body = loaded(arch, file)
    kernel = body[0].denseblock1.denselayer1.conv1.weight
    assert torch.equal(kernel, state["features.denseblock1.denselayer1.conv.1.weight"])


def model(body):
    return nn.Sequential(body, nn.Linear(2, 2))


def sizes(model, **options):
    return [len(group) for group in layer_groups(model, **options)]


def test_the_last_group_is_the_head_and_the_others_are_about_as_large():
    first, second, head = sizes(model(cut_classifier(torchvision.models.mobilenet_v2())))
    assert head == 2
    assert abs(first - second) < 12


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_as_many_groups_as_asked_for(n):
    net = model(cut_classifier(torchvision.models.mobilenet_v2()))
    groups = layer_groups(net, n=n)
    assert len(groups) == n
    assert [id(p) for g in groups for p in g] == [id(p) for p in net.parameters()]


def test_none_makes_a_group_of_each_stage():
    assert len(layer_groups(model(cut_classifier(torchvision.models.mobilenet_v2())), n=None)) == 20
    body = TimmBody(timm.create_model("test_resnet", num_classes=0))
    assert len(layer_groups(model(body), n=None)) == 6  # stem, four stages, head


def test_timms_matcher_says_what_belongs_together():
    body = TimmBody(timm.create_model("vit_small_patch16_224", num_classes=0))
    stem = layer_groups(model(body), n=None)[0]
    named = {id(p): name for name, p in body.model.named_parameters()}
    assert {named[id(p)].split(".")[0] for p in stem} == {"cls_token", "pos_embed", "patch_embed"}


def test_a_part_with_most_of_the_tensors_is_opened():
    body = cut_classifier(torchvision.models.vit_b_16(image_size=32))
    assert max(sizes(model(body), n=None)) < 20  # no more than one encoder layer


def test_a_body_of_few_stages_gets_few_groups():
    assert sizes(model(nn.Sequential(nn.Conv2d(3, 8, 3))), n=5) == [2, 2]
    assert sizes(model(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)))) == [2, 2, 2]


@pytest.mark.parametrize("n", [2, 3, 4, 5, None])
def test_resnets_layers_stay_whole(n):
    body = cut_classifier(torchvision.models.resnet18())
    places = {id(p): i for i, g in enumerate(layer_groups(model(body), n=n)) for p in g}
    for layer in body[4:]:
        assert len({places[id(p)] for p in layer.parameters()}) == 1
