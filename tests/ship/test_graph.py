from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import quickvision as qv
from quickvision.data.view import View
from quickvision.ship.bundle import Bundle, Network
from quickvision.ship.graph import Divided, Whole, write_onnx
from quickvision.ship.network import build, last_linear

PLAIN = Bundle(
    vocab=("a", "ß", "漢"),
    view=View((32, 32)),
    mean=(0.4, 0.5, 0.6),
    std=(0.2, 0.25, 0.3),
    network=Network("timm", "test_resnet"),
)
# What people train, each with the side that it takes.
MODELS = {
    "resnet18": 64, "mobilenetv2_100": 64, "convnext_tiny": 64, "efficientnet_b0": 64,
    "vit_small_patch16_224": 224, "swin_tiny_patch4_window7_224": 224,
}  # fmt: skip


def pictures(rng, n, side):
    """Pictures that differ in colour, as well as in their noise."""
    colours = rng.integers(0, 256, (n, 1, 1, 3))
    noise = rng.integers(-60, 60, (n, side, side, 3))
    return (colours + noise).clip(0, 255).astype(np.uint8)


def parity(name, side, folder):
    import onnxruntime

    bundle = replace(PLAIN, view=View((side, side)), network=Network("timm", name))
    torch.manual_seed(0)
    model = build(bundle.network, 3, (side, side))
    rng, whole = np.random.default_rng(0), Whole(model, bundle).eval()
    shown = pictures(rng, 8, side)
    with torch.no_grad():  # new weights answer alike whatever they see: so that they do not
        for norm in (part for part in model.modules() if isinstance(part, nn.BatchNorm2d)):
            norm.reset_running_stats()
            norm.momentum = None
        whole.train()(torch.from_numpy(shown))
        whole.eval()
        last = last_linear(model)
        said = torch.log(whole(torch.from_numpy(shown)))
        far = 3 / said.std(0).mean()
        last.weight.mul_(far)
        last.bias.copy_(-far * said.mean(0))
        assert whole(torch.from_numpy(shown)).std(0).max() > 0.05
    write_onnx(model, bundle, folder / "model.onnx")
    assert [p.name for p in folder.iterdir()] == ["model.onnx"], "all in one file"
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    for n in (1, 3, 8):
        x = pictures(rng, n, side)
        (said,) = session.run(None, {"image": x})
        with torch.no_grad():
            expected = whole(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(said, expected, atol=1e-4)
        assert (said.argmax(1) == expected.argmax(1)).all()
        np.testing.assert_allclose(said.sum(1), 1, atol=1e-5)
    return session


def test_the_graph_answers_as_the_network_does(tmp_path):
    session = parity("test_resnet", 32, tmp_path)
    (image,) = session.get_inputs()
    assert (image.name, image.type, image.shape[1:]) == ("image", "tensor(uint8)", [32, 32, 3])
    assert isinstance(image.shape[0], str)
    said = session.get_modelmeta().custom_metadata_map
    assert json.loads(said["labels"]) == ["a", "ß", "漢"]
    assert json.loads(said["preprocess"])["size"] == [32, 32]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_what_people_train_answers_alike(tmp_path, name):
    parity(name, MODELS[name], tmp_path)


def test_a_temperature_divides():
    model = torch.nn.Linear(4, 3)
    x = torch.randn(2, 4)
    with torch.no_grad():
        torch.testing.assert_close(Divided(model, 2.0)(x), model(x) / 2)


def test_what_to_install_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    model = build(PLAIN.network, 3, (32, 32))
    with pytest.raises(qv.BundleError, match=r"pip install 'quickvision\[onnx\]'"):
        write_onnx(model, PLAIN, tmp_path / "model.onnx")
