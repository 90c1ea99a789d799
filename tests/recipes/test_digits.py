from __future__ import annotations

import numpy as np
import pytest
from made import ROOT
from PIL import Image
from sklearn.datasets import load_digits

import quickvision as qv
from quickvision.recipes.digits import DIGIT_NAMES, _write_digits


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory):
    return qv.train_digits(out=tmp_path_factory.mktemp("demo") / "runs", verbose=False)


@pytest.mark.slow
class TestDigits:
    def test_transfer_really_wins(self, digits_run):
        scratch = digits_run.baseline
        assert digits_run.accuracy.n == scratch.accuracy.n == 796
        assert digits_run.accuracy.interval[0] > scratch.accuracy.interval[1]
        assert digits_run.accuracy.value > 0.7

    def test_both_had_the_same_budget_and_pictures(self, digits_run):
        scratch = digits_run.baseline
        assert len(digits_run.history) == len(scratch.history) == 3
        assert digits_run.learn.dls.train.items == scratch.learn.dls.train.items
        assert digits_run.preds.paths == scratch.preds.paths
        assert len(digits_run.learn.dls.train_ds) == 100

    def test_the_run_shows_its_baseline(self, digits_run):
        assert f"baseline     {digits_run.baseline.accuracy}" in str(digits_run)

    def test_the_pictures_are_scikit_learns_scans(self, digits_run):
        folder = digits_run.path.parent / "digits"
        digits = load_digits()
        for number in (0, 5, 1000, 1796):
            (file,) = folder.rglob(f"*_{number:04d}.png")
            scan = np.asarray(Image.open(file)) * (16 / 255)
            np.testing.assert_array_equal(scan.round(), digits.images[number])
            assert file.parent.name == DIGIT_NAMES[digits.target[number]]
        assert len(list(folder.rglob("*.png"))) == 1797


def test_the_weights_have_seen_no_picture_of_the_course(tmp_path):
    learned = {int(p.stem[-4:]) for p in _write_digits(tmp_path / "d", every=2).glob("0-4/*/*")}
    assert len(learned) == 452
    course = (ROOT / "nbs_data").rglob("*.png")
    numbers = {int(digits) for p in course if (digits := p.stem.rsplit("_")[-1]).isdecimal()}
    assert len(numbers) > 600
    assert not learned & numbers


@pytest.mark.slow
def test_weights_of_digits_are_made_once_and_load(monkeypatch, tmp_path, class_folders):
    monkeypatch.setenv("QUICKVISION_CACHE", str(tmp_path / "cache"))
    file = qv.digit_weights(epochs=1, verbose=False)
    assert file.parent == tmp_path / "cache"
    before = file.stat().st_mtime_ns
    assert qv.digit_weights(epochs=1, verbose=False) == file
    assert file.stat().st_mtime_ns == before
    assert [p.name for p in file.parent.iterdir() if p.suffix == ".safetensors"] == [file.name]
    dls = qv.from_folder(class_folders, size=32, bs=6)
    assert qv.cnn_learner(dls, "timm/resnet10t", weights=file).pretrained
