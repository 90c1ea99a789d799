from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from fastai.vision.augment import Resize
from fastai.vision.data import ImageDataLoaders
from fastai.vision.learner import vision_learner
from PIL import Image

import quickvision as qv

FILES = {"README.md", "config.json", "model.safetensors"}


def learner_of(colours, **options):
    model = {"arch": "timm/test_resnet", "weights": None}
    pictures = {"size": 32, "bs": 6, "check": False}
    for name in ("resize", "flip"):
        if name in options:
            pictures[name] = options.pop(name)
    return qv.cnn_learner(qv.from_folder(colours, **pictures), **{**model, **options})


def names(folder):
    return {p.name for p in Path(folder).iterdir()}


def test_it_writes_a_folder_and_says_what_it_checked(learner, tmp_path, capsys):
    folder = qv.export(learner, tmp_path / "model")
    assert folder == tmp_path / "model"
    assert names(folder) == FILES
    said = capsys.readouterr().out
    assert "14 of 14 answers equal, largest difference of a probability" in said
    assert "opens in timm and transformers: yes" in said
    assert "calibration error" in said
    assert names(tmp_path) == {"model"}, "nothing else stays"
    assert not qv.export(learner, tmp_path / "quiet", verbose=False).is_file()
    assert capsys.readouterr().out == ""


def test_with_onnx_there_is_an_example_that_needs_nothing_of_ours(shipped, learner):
    assert names(shipped) == FILES | {"model.onnx", "predict_onnx.py"}
    files = [str(file) for file in learner.dls.valid_ds.items[:4]]
    done = subprocess.run(
        [sys.executable, shipped / "predict_onnx.py", *files],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    ask = qv.load_model(shipped)
    assert [row[0] for row in rows] == files
    assert [row[1] for row in rows] == [ask.predict(file).label for file in files]
    probs = [float(row[2]) for row in rows]
    np.testing.assert_allclose(probs, [ask.predict(file).prob for file in files], atol=1e-3)


def test_timm_opens_the_folder_and_answers_alike(shipped, learner):
    model = timm.create_model(f"local-dir:{shipped}", pretrained=True).eval()
    assert model.pretrained_cfg["label_names"] == ["blue", "green", "red"]
    config = timm.data.resolve_data_config(model.pretrained_cfg, model=model)
    look = timm.data.create_transform(**config)
    ask = qv.load_model(shipped, engine="torch")
    for file in learner.dls.valid_ds.items:
        with torch.no_grad():
            said = model(look(Image.open(file).convert("RGB"))[None]).softmax(1)[0]
        np.testing.assert_allclose(said, ask.predict_proba([file])[0], atol=1e-4)


def test_transformers_opens_the_folder_and_answers_alike(shipped, learner, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    pipeline = pytest.importorskip("transformers").pipeline
    ask = qv.load_model(shipped, engine="torch")
    pipe = pipeline("image-classification", model=str(shipped))
    for file in learner.dls.valid_ds.items[:6]:
        said = {one["label"]: one["score"] for one in pipe(str(file))}
        expected = ask.predict(file).probs
        assert said == pytest.approx(expected, abs=1e-4)


def test_what_is_no_model_of_timms_cannot_be_half_opened(colours, tmp_path, capsys):
    learn = learner_of(colours, head="fastai")
    folder = qv.export(learn, tmp_path / "model")
    assert "opens in timm and transformers: no: its head is not a single layer" in (
        capsys.readouterr().out
    )
    assert json.loads((folder / "config.json").read_text()).keys() == {"quickvision"}
    with pytest.raises((KeyError, RuntimeError)):
        timm.create_model(f"local-dir:{folder}", pretrained=True)
    files = list(learn.dls.valid_ds.items)
    temperature = json.loads((folder / "config.json").read_text())["quickvision"]["temperature"]
    theirs = qv.Predictor(learn).predict_proba(files).astype(np.float64) ** (1 / temperature)
    expected = theirs / theirs.sum(1, keepdims=True)
    np.testing.assert_allclose(qv.load_model(folder).predict_proba(files), expected, atol=1e-4)


def test_pictures_that_timm_would_see_otherwise_are_not_claimed(colours, tmp_path, capsys):
    learn = learner_of(colours, arch="resnet18", resize="pad")
    qv.export(learn, tmp_path / "pad")
    assert "opens in timm and transformers: yes" in capsys.readouterr().out
    for tfm in learn.dls.valid.after_batch.fs:
        if type(tfm).__name__ == "Normalize":
            tfm.mean.fill_(0.5)
    qv.export(learn, tmp_path / "grey")
    assert "no: it pads with (124, 116, 104)" in capsys.readouterr().out


def test_a_learner_of_fastais_says_how_far_off_its_pictures_are(
    colours, tmp_path, capsys, monkeypatch
):
    from torchvision.models import resnet18

    dls = ImageDataLoaders.from_folder(
        colours, valid_pct=0.3, seed=0, item_tfms=Resize(32), bs=6, num_workers=0
    )
    learn = vision_learner(dls, resnet18, pretrained=False)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 1e-3)
    monkeypatch.setattr("quickvision.ship.verify.ALIKE", 0.0)  # it has learned next to nothing
    qv.export(learn, tmp_path / "model")
    assert "fastai's Resize cuts first, and then resizes" in capsys.readouterr().out


def test_a_network_of_ones_own_needs_onnx(colours, tmp_path, tiny_net):
    learn = learner_of(colours, arch=tiny_net)
    with pytest.raises(qv.ModelError, match=r"a function of your own; export\(..., onnx=True\)"):
        qv.export(learn, tmp_path / "model")
    assert not names(tmp_path)
    folder = qv.export(learn, tmp_path / "model", onnx=True, verbose=False, calibrate=False)
    assert "model.safetensors" not in names(folder)
    files = list(learn.dls.valid_ds.items)
    said = qv.load_model(folder).predict_proba(files)
    np.testing.assert_allclose(said, qv.Predictor(learn).predict_proba(files), atol=1e-4)


def test_an_earlier_export_is_replaced_and_nothing_else_is(learner, tmp_path):
    folder = qv.export(learner, tmp_path / "model", verbose=False)
    first = (folder / "config.json").stat().st_mtime_ns
    qv.export(learner, folder, verbose=False)
    assert (folder / "config.json").stat().st_mtime_ns > first
    (folder / "examples").mkdir()
    (folder / "examples" / "a.jpg").write_text("mine, for the page")
    qv.export(learner, folder, verbose=False)
    assert (folder / "examples" / "a.jpg").read_text() == "mine, for the page"
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(qv.BundleError, match="expected a new folder, .* with thesis.txt"):
        qv.export(learner, folder)
    assert (folder / "thesis.txt").read_text() == "mine"
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "README.md").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for mine in ("notes", "file"):
        with pytest.raises(qv.BundleError, match="expected a new folder"):
            qv.export(learner, tmp_path / mine)
    assert (tmp_path / "notes" / "README.md").read_text() == "mine"


def test_where_it_fails_nothing_is_left_and_the_old_one_stays(learner, tmp_path, monkeypatch):
    from quickvision.ship import export as ship

    folder = qv.export(learner, tmp_path / "model", verbose=False)
    before = (folder / "config.json").read_text()

    def broken(*args, **kwargs):
        raise qv.BundleError("it answers otherwise")

    monkeypatch.setattr(ship, "checks", broken)
    with pytest.raises(qv.BundleError, match="it answers otherwise"):
        qv.export(learner, folder)
    assert names(tmp_path) == {"model"}
    assert (folder / "config.json").read_text() == before


def test_an_export_that_answers_otherwise_is_not_there(learner, tmp_path, monkeypatch):
    from quickvision.ship import export as ship

    monkeypatch.setattr(ship, "calibrated", lambda model, t: torch.nn.Module.eval(spoiled(model)))
    with pytest.raises(qv.BundleError, match="to answer as the learner does, got"):
        qv.export(learner, tmp_path / "model")
    assert not names(tmp_path)


def spoiled(model):
    import copy

    model = copy.deepcopy(model)
    with torch.no_grad():
        model.get_classifier().weight.neg_()
    return model


def test_the_learner_stays_as_it_was(learner, tmp_path):
    before = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    modes = [module.training for module in learner.model.modules()]
    rng = torch.get_rng_state()
    qv.export(learner, tmp_path / "model", verbose=False)
    assert all(torch.equal(t, before[n]) for n, t in learner.model.state_dict().items())
    assert [module.training for module in learner.model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), rng)


def test_the_card_has_the_figures(learner, tmp_path):
    folder = qv.export(learner, tmp_path / "model", verbose=False)
    text = (folder / "README.md").read_text()
    assert str(qv.get_preds(learner).accuracy) in text
    figures = json.loads((folder / "config.json").read_text())["quickvision"]["figures"]
    assert figures["n"] == 14
    assert figures["split_sha256"] in text
