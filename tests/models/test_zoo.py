from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from fastai.vision.core import imagenet_stats

import quickvision as qv
from quickvision.base.errors import ModelError
from quickvision.models import zoo as models
from quickvision.models.zoo import download_address, find_arch


def test_torchvision_is_taken_where_both_have_a_name():
    assert find_arch("resnet18").source is torchvision.models.resnet18
    assert find_arch("timm/resnet18").source == "resnet18"
    assert find_arch("torchvision/resnet18").name == "resnet18"


def test_statistics_are_the_weights_own():
    mobile = qv.model_settings("mobilenet_v2")
    assert [list(mobile.mean), list(mobile.std)] == list(imagenet_stats)
    assert qv.model_settings("timm/vit_small_patch16_224").mean == (0.5,) * 3
    assert qv.model_settings("googlenet").std == (0.5,) * 3


@pytest.mark.parametrize(
    ("name", "near"),
    [("resnte34", "did you mean 'resnet34'"), ("timm/resnet_18", "did you mean 'resnet18'")],
)
def test_a_typo_gets_near_names(name, near):
    with pytest.raises(ModelError, match=f"expected a model of torchvision or timm, got .*{near}"):
        find_arch(name)


@pytest.mark.parametrize("arch", [None, 34, torch.nn.Linear(2, 2)])
def test_things_that_name_no_model_are_refused(arch):
    with pytest.raises(TypeError, match="expected a name such as 'resnet34'"):
        find_arch(arch)


def test_the_old_names_of_cadenes_collection_are_understood():
    assert find_arch("se_resnet50").source == "seresnet50"
    assert find_arch("timm/se_resnext50_32x4d").source == "seresnext50_32x4d"


class TestSettings:
    def test_torchvisions_come_from_its_best_weights(self):
        preset = torchvision.models.Inception_V3_Weights.DEFAULT.transforms()
        found = qv.model_settings("inception_v3")
        assert (found.library, found.weights) == ("torchvision", "IMAGENET1K_V1")
        assert found.input_size == preset.crop_size[0] == 299
        assert found.crop_pct == pytest.approx(299 / 342)
        assert (found.interpolation, found.fixed_size) == ("bilinear", False)

    def test_timms_come_from_its_config(self):
        found, cfg = (
            qv.model_settings("vit_small_patch16_224"),
            timm.get_pretrained_cfg("vit_small_patch16_224"),
        )
        assert (found.library, found.weights, found.licence) == ("timm", cfg.tag, "apache-2.0")
        assert (found.input_size, found.crop_pct) == (224, cfg.crop_pct)
        assert (found.interpolation, found.fixed_size) == ("bicubic", True)

    def test_a_model_without_weights_and_a_function_get_imagenets(self, tiny_net):
        for arch in (tiny_net, "timm/test_vit"):
            assert qv.model_settings(arch).input_size in (160, 224)
        assert qv.model_settings(tiny_net).library == ""
        assert qv.model_settings(tiny_net).weights is None


class TestList:
    def test_both_libraries_are_listed_by_pattern(self):
        table = qv.list_models("*resnet18*")
        assert {"torchvision", "timm"} == set(table["library"])
        assert {"resnet18", "timm/resnet18", "resnet18d"} <= set(table["name"])
        assert list(table.columns) == ["name", "library", "parameters", "input_size", "weights"]
        assert qv.list_models("resnet18").equals(table)

    def test_every_name_is_one_that_cnn_learner_takes(self):
        table = qv.list_models("*mobilenetv3*")
        assert [qv.model_settings(name).library for name in table["name"]] == list(table["library"])

    def test_parameters_are_the_whole_models(self):
        table = qv.list_models("test_resnet*").set_index("name")
        whole = timm.create_model("test_resnet")
        assert table.loc["test_resnet", "parameters"] == sum(p.numel() for p in whole.parameters())
        assert qv.list_models("torchvision/resnet18")["parameters"].tolist() == [11_689_512]

    def test_timms_are_counted_once(self, monkeypatch):
        qv.list_models("test_vit*")
        monkeypatch.setattr(models, "_count", None)
        assert len(qv.list_models("test_vit*"))

    def test_only_those_with_weights(self):
        every, some = (
            qv.list_models("*seresnet269d"),
            qv.list_models("*seresnet269d", pretrained=True),
        )
        assert len(some) < len(every)
        assert some["weights"].notna().all()

    def test_nothing_found_is_an_empty_table(self):
        assert qv.list_models("nope*").empty


def test_old_names_of_timm_have_the_settings_of_todays():
    old, new = qv.model_settings("vit_base_patch16_224_in21k"), "vit_base_patch16_224.augreg_in21k"
    assert old.mean == qv.model_settings(new).mean == (0.5, 0.5, 0.5)


def test_weights_that_timm_does_not_have_are_an_error():
    with pytest.raises(qv.ModelError, match="expected weights of timm, got 'resnet50.no_such_tag'"):
        qv.model_settings("resnet50.no_such_tag")


def test_timms_own_names_on_the_hub_are_timms_names():
    for name in ("hf_hub:timm/resnet18.a1_in1k", "hf-hub:timm/resnet18.a1_in1k"):
        found = find_arch(name)
        assert (found.source, found.settings.weights) == ("resnet18.a1_in1k", "a1_in1k")
    for name in ("hf_hub:someone/model", "hf_hub:timm/resnet18.a1_in1k@v1"):
        with pytest.raises(ModelError, match=rf"config\.json says, with weights='{name}'"):
            find_arch(name)


@pytest.mark.parametrize(
    ("arch", "address"),
    [
        ("resnet18", "https://download.pytorch.org/models/resnet18-f37072fd.pth"),
        ("timm/resnet18", "https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.saf"),
    ],
)
def test_where_weights_can_be_downloaded(arch, address):
    assert download_address(find_arch(arch)).startswith(address)


def test_a_network_of_ones_own_is_nowhere():
    assert download_address(find_arch(lambda pretrained=False: None)) == ""
