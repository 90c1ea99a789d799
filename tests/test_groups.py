from __future__ import annotations

import pytest
import timm
import torchvision
from fastai.vision.learner import TimmBody
from torch import nn

from quickvision.models.body import cut_classifier, layer_groups


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
