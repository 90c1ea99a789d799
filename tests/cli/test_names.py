from __future__ import annotations

import pytest
import timm
import torchvision.models
from timm.models import _registry

import quickvision as qv
from quickvision.cli import names


def test_the_names_are_those_that_the_libraries_say():
    assert {*names.names_in("timm")} == {*timm.list_models()}
    theirs = torchvision.models.list_models(module=torchvision.models)
    assert {*names.names_in("torchvision")} == {*theirs}


@pytest.mark.parametrize("arch", ["resnte34", "timm/resnet34x", "torchvision/resnest50", "rsnet18"])
def test_what_is_no_name_is_refused_in_the_librarys_words(arch):
    with pytest.raises(qv.ModelError) as theirs:
        qv.model_settings(arch)
    with pytest.raises(qv.ModelError) as ours:
        names.look_at_archs(["resnet18", arch])
    assert str(ours.value) == str(theirs.value)


def test_old_names_tags_and_addresses_are_let_pass():
    some = ["se_resnet50", "hf_hub:timm/x", "vit_base_patch16_224.x", "timm/test_resnet", "alexnet"]
    assert names.look_at_archs([*some, *_registry._deprecated_models]) is None


@pytest.mark.parametrize("pattern", ["*resnet*", "timm/test_", "resnet34.tv", "torchvision/vgg*"])
def test_patterns_that_match_are_let_pass(pattern):
    assert names.look_for_models(pattern) is None


@pytest.mark.parametrize("pattern", ["zzz", "timm/alexnet", "torchvision/*test_*"])
def test_patterns_that_match_nothing_are_refused(pattern):
    assert qv.list_models(pattern).empty
    with pytest.raises(qv.ModelError, match="expected models whose names match"):
        names.look_for_models(pattern)
