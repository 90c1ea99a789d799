from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import quickvision as qv
from quickvision.ship.bundle import sha256_of


def changed(folder, **network):
    """Say something else of the network, as a stranger could."""
    file = folder / "config.json"
    said = json.loads(file.read_text())
    said["quickvision"]["network"] |= network
    file.write_text(json.dumps(said))
    return folder


def trusted(folder, name):
    """Write a changed file's hash down, as a stranger could."""
    file = folder / "config.json"
    said = json.loads(file.read_text())
    said["quickvision"]["sha256"][name] = sha256_of(folder / name)
    file.write_text(json.dumps(said))
    return folder


@pytest.mark.parametrize("engine", ["torch", "onnx", "auto"])
def test_it_answers_as_the_learner_does(shipped, learner, engine):
    ask = qv.load_model(shipped, engine=engine)
    files = list(learner.dls.valid_ds.items)
    said, theirs = ask.predict_proba(files), qv.Predictor(learner).predict_proba(files)
    temperature = json.loads((shipped / "config.json").read_text())["quickvision"]["temperature"]
    sharp = theirs.astype(np.float64) ** (1 / temperature)
    np.testing.assert_allclose(said, sharp / sharp.sum(axis=1, keepdims=True), atol=1e-4)
    assert (said.argmax(1) == theirs.argmax(1)).all()
    assert ask.vocab == ("blue", "green", "red")
    one = ask.predict(files[0])
    assert one.prob == pytest.approx(float(said[0].max()), abs=1e-5)


def test_auto_takes_onnx_where_it_is(shipped):
    assert "OnnxEngine" in repr(qv.load_model(shipped))
    assert "TorchEngine" in repr(qv.load_model(shipped, engine="torch"))


def test_what_is_not_there_is_said(learner, shipped, tmp_path):
    plain = qv.export(learner, tmp_path / "plain", calibrate=False, verbose=False)
    with pytest.raises(qv.BundleError, match=r"got a model without: export with onnx=True"):
        qv.load_model(plain, engine="onnx")
    with pytest.raises(ValueError, match="engine: expected"):
        qv.load_model(plain, engine="tensorrt")
    (plain / "model.safetensors").unlink()
    with pytest.raises(qv.BundleError, match="expected model.safetensors in"):
        qv.load_model(plain)


CODE = """
import sys
import quickvision as qv
ask = qv.load_model(sys.argv[1], engine="onnx")
assert ask.predict(sys.argv[2]).label in ask.vocab
heavy = {"torch", "fastai", "pandas", "scipy", "matplotlib", "timm", "torchvision"}
print(sorted(heavy & {*sys.modules}))
"""


def test_onnx_needs_neither_torch_nor_fastai(shipped, learner):
    file = learner.dls.valid_ds.items[0]
    done = subprocess.run(
        [sys.executable, "-c", CODE, shipped, file], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_folder_alone_answers(shipped, learner, tmp_path):
    picture = tmp_path / "x.png"
    picture.write_bytes(learner.dls.valid_ds.items[0].read_bytes())
    code = """import quickvision as qv
print(qv.load_model("model", engine="torch").predict("x.png"))"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.split(" (")[0] == qv.load_model(shipped).predict(picture).label


class TestAStrangersFolder:
    @pytest.mark.parametrize("name", ["model.safetensors", "model.onnx"])
    def test_weights_that_were_changed(self, shipped, name):
        file = shipped / name
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        engine = "onnx" if name == "model.onnx" else "torch"
        with pytest.raises(qv.BundleError, match="as it was exported, got another"):
            qv.load_model(shipped, engine=engine)

    @pytest.mark.skipif(os.name == "nt", reason="links need rights there")
    @pytest.mark.parametrize("name", ["model.safetensors", "model.onnx", "config.json"])
    def test_links(self, shipped, name, tmp_path):
        (shipped / name).rename(tmp_path / "elsewhere")
        (shipped / name).symlink_to(tmp_path / "elsewhere")
        engine = "onnx" if name == "model.onnx" else "torch"
        with pytest.raises(qv.BundleError, match="got a link"):
            qv.load_model(shipped, engine=engine)

    @pytest.mark.parametrize(
        "network",
        [
            {"arch": "resnet18"},
            {"arch": "vit_giant_patch14_dinov2"},  # four gigabytes, if it were built
            {"arch": "test_convnext"},
            {"head": "native"},
            {"library": "torchvision", "arch": "resnet18", "head": "linear"},
        ],
    )
    def test_another_network_than_the_weights_are_of(self, shipped, network):
        with pytest.raises(qv.BundleError, match=r"tensors of .* in .*safetensors, got"):
            qv.load_model(changed(shipped, **network), engine="torch")

    @pytest.mark.parametrize("arch", ["os.system", "__import__", "hf_hub:x/y", "resnet18; rm"])
    def test_a_network_that_no_library_has(self, shipped, arch):
        with pytest.raises(qv.BundleError, match="expected a model of timm or torchvision"):
            qv.load_model(changed(shipped, arch=arch), engine="torch")

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\xff" * 64,
            (10**12).to_bytes(8, "little") + b"{}",
            (20_000_000).to_bytes(8, "little") + b" " * 20_000_000,
            (2).to_bytes(8, "little") + b"[]",
            (13).to_bytes(8, "little") + b'{"a": "weird"}',
            b"\x80\x04cos\nsystem\n(S'echo'\ntR.",  # a pickle that runs a command
        ],
    )
    def test_files_that_are_no_tensors(self, shipped, content):
        (shipped / "model.safetensors").write_bytes(content)
        with pytest.raises(qv.BundleError, match="expected (tensors|the .* tensors)"):
            qv.load_model(trusted(shipped, "model.safetensors"), engine="torch")

    def test_tensors_of_other_shapes_and_kinds(self, shipped):
        import safetensors.torch

        file = shipped / "model.safetensors"
        state = safetensors.torch.load_file(file)
        name = next(key for key, tensor in state.items() if tensor.ndim == 4)
        for other in (state[name].double(), state[name].flatten(), state[name][:1]):
            safetensors.torch.save_file(state | {name: other}, file)
            with pytest.raises(qv.BundleError, match=f"{name!r} is"):
                qv.load_model(trusted(shipped, file.name), engine="torch")
        safetensors.torch.save_file({k: v for k, v in state.items() if k != name}, file)
        with pytest.raises(qv.BundleError, match="is None and not"):
            qv.load_model(trusted(shipped, file.name), engine="torch")

    @pytest.mark.parametrize("content", [b"", b"onnx", b"\x08\x08" * 50])
    def test_files_that_are_no_graph(self, shipped, content):
        (shipped / "model.onnx").write_bytes(content)
        with pytest.raises(qv.BundleError, match="expected a model in"):
            qv.load_model(trusted(shipped, "model.onnx"), engine="onnx")

    def test_a_graph_whose_numbers_lie_elsewhere(self, shipped, tmp_path):
        import onnx

        secret = tmp_path / "secret.bin"
        secret.write_bytes(b"\0" * 4096)
        file = shipped / "model.onnx"
        model = onnx.load(file)
        tensor = next(t for t in model.graph.initializer if len(t.raw_data) > 64)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=str(secret))
        file.write_bytes(model.SerializeToString())
        with pytest.raises(qv.BundleError, match="got a part in other files"):
            qv.load_model(trusted(shipped, file.name), engine="onnx")

    def test_a_graph_of_other_pictures_or_classes(self, shipped):
        file = shipped / "config.json"
        said = json.loads(file.read_text())
        said["quickvision"]["vocab"].append("more")
        file.write_text(json.dumps(said))
        with pytest.raises(qv.BundleError, match=r"expected a model of uint8 .* and 4 classes"):
            qv.load_model(shipped, engine="onnx")
