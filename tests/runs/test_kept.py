"""What a finished run keeps beside its tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import quickvision as qv
from quickvision.data.leaks import Finding
from quickvision.data.view import View
from quickvision.report.outcome import Data, rivals
from quickvision.results.embeddings import Embeddings, read_embeddings
from quickvision.results.heatmap import heatmap
from quickvision.results.predictions import Predictions
from quickvision.runs import kept
from quickvision.runs.kept import (
    FEATURES,
    HEAT,
    NAME,
    PREDS,
    Kept,
    doubtful,
    keep,
    keep_heat,
    keep_preds,
    look_at_data,
    read_heat,
    read_kept,
    read_preds,
)


def test_what_is_kept_comes_back(run, tmp_path):
    finding = Finding("warning", "twins", np.int64(2), "look", ("a\udcff.png", "b.png"))
    fixed = (("a.png", "keep", "red"), ("b.png", "drop", ""))
    data = Data(
        9,
        True,
        {"classes": "2"},
        (finding,),
        fixed=fixed,
        view=View((32, 48), "pad"),
        levels=(0.0, 1.0),
    )
    before = Kept("tiny", tmp_path, run.progress, data, {"torch": "2"}, "code")
    keep(tmp_path, before)
    after = read_kept(tmp_path)
    assert (after.arch, after.root, after.versions, after.code) == (
        "tiny", tmp_path.resolve(), {"torch": "2"}, "code",
    )  # fmt: skip
    for name in ("n_train", "uneven", "understood", "findings", "fixed", "view", "levels"):
        assert getattr(after.data, name) == getattr(data, name)
    assert after.progress.rows == run.progress.rows
    assert after.progress.stages == run.progress.stages
    for name, found in run.lr_finds.items():
        np.testing.assert_array_equal(after.progress.lr_finds[name].losses, found.losses)


def test_of_loaders_that_are_not_ours_little_is_known(run, tmp_path):
    keep(tmp_path, replace(read_kept(run.path), data=Data(3)))
    data = read_kept(tmp_path).data
    assert (data.findings, data.view, data.levels) == (None, None, None)


def test_none_is_no_error_and_a_damaged_one_is_named(tmp_path):
    assert read_kept(tmp_path) is None
    for text in ("{", "[]", '{"arch": "x"}', json.dumps({"progress": 3})):
        (tmp_path / NAME).write_text(text)
        with pytest.raises(qv.RunError, match=r"expected what a run kept of itself in .*run\.json"):
            read_kept(tmp_path)


def test_predictions_come_back_to_the_bit_wherever_the_pictures_are(tmp_path):
    names = ("a/1.png", "b/\udcff,\n.png", "/else/where.png")
    rng = np.random.default_rng(0)
    preds = Predictions(
        rng.dirichlet([1, 1], 3).astype(np.float32),
        np.array([0, 1, 1]),
        ("a", "b"),
        rng.random(3).astype(np.float32),
        tuple(Path("/root") / name for name in names),
        Path("/root"),
    )
    keep_preds(tmp_path, preds)
    after = read_preds(tmp_path, preds.vocab, Path("/moved"))
    for name in ("probs", "targs", "losses"):
        np.testing.assert_array_equal(getattr(after, name), getattr(preds, name))
    assert after.paths == (
        Path("/moved/a/1.png"),
        Path("/moved") / names[1],
        Path("/else/where.png"),
    )
    (tmp_path / PREDS).write_bytes(b"x")
    with pytest.raises(qv.RunError, match=r"expected a run's predictions in .*predictions\.npz"):
        read_preds(tmp_path, preds.vocab, Path("/moved"))


def test_heat_maps_of_what_the_report_shows(learner, tmp_path, monkeypatch):
    preds = qv.get_preds(learner)
    keep_heat(tmp_path, learner, preds)
    assert read_heat(tmp_path) is None  # at 32 pixels a picture is one place
    monkeypatch.setattr(kept, "LEAST", 1)
    keep_heat(tmp_path, learner, preds)
    heat = read_heat(tmp_path)
    assert len(heat.maps) == len(heat.index)
    first = heat.index[:1]
    one = heatmap(learner, preds.paths[first[0]], preds.vocab[rivals(preds, first)[0, 0]])
    other = heatmap(learner, preds.paths[first[0]], preds.vocab[rivals(preds, first)[0, 1]])
    np.testing.assert_allclose(heat.maps[0], one - other, rtol=1e-3, atol=1e-5)
    (tmp_path / HEAT).write_bytes(b"x")
    assert read_heat(tmp_path) is None


def test_a_model_without_maps_leaves_none_and_takes_an_old_one_away(learner, tmp_path, monkeypatch):
    def none(*_):
        raise qv.ModelError("no map")

    monkeypatch.setattr(kept, "LEAST", 1)
    preds = qv.get_preds(learner)
    keep_heat(tmp_path, learner, preds)
    assert read_heat(tmp_path) is not None
    monkeypatch.setattr(kept, "heatmaps", none)
    keep_heat(tmp_path, learner, preds)
    assert read_heat(tmp_path) is None


def test_each_picture_has_its_features_once(class_folders, body, tmp_path):
    for i in range(6):
        (class_folders / "red" / f"red_{i:02d}.png").unlink()
    run = qv.train(
        class_folders, arch="timm/test_resnet", weights=body, size=32, bs=6, unfrozen_epochs=0,
        balance="oversample", out=tmp_path / "runs", check=False, verbose=False,
    )  # fmt: skip
    known = read_embeddings(run.path / FEATURES)
    split = run.learn.dls.split.set_index("path")
    assert sorted(known.paths) == sorted(split.index)
    for path, label, valid in zip(known.paths, known.labels, known.valid, strict=True):
        assert known.vocab[label] == split.loc[path, "label"]
        assert valid == split.loc[path, "valid"]
    from quickvision.training.features import look

    again = look(run.learn, run.learn.model, run.learn.dls.valid)  # the body has not been trained
    rows = known.rows([p.relative_to(class_folders).as_posix() for p in run.preds.paths])
    np.testing.assert_allclose(known.x[rows], again.x[0], rtol=2e-3, atol=1e-3)


def test_what_the_pictures_are_is_looked_at_only_where_asked(learner):
    assert look_at_data(learner, checked=False).findings is None
    data = look_at_data(learner, checked=True)
    assert data.findings is not None
    assert data.view == View((32, 32), crop_pct=0.875)
    assert data.n_train == len(learner.dls.train_ds)


def test_a_label_that_somebody_has_said_to_keep_is_not_doubted_again():
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    x = (np.eye(2)[labels] + rng.normal(0, 0.05, (40, 2))).astype(np.float32)
    labels[:2] = 1 - labels[:2]
    paths = tuple(f"{i}.png" for i in range(40))
    known = Embeddings(x, labels, ("a", "b"), paths, np.zeros(40, dtype=bool))
    assert set(doubtful(known, Data(40))["path"]) == {"0.png", "1.png"}
    fixed = (("0.png", "keep", "b"), ("1.png", "relabel", "b"))
    assert doubtful(known, Data(40, fixed=fixed))["path"].tolist() == ["1.png"]
