from __future__ import annotations

import http.server
import tarfile
import threading
from functools import partial

import numpy as np
import pytest
from fastai.data.external import fastai_cfg
from PIL import Image
from sklearn.datasets import load_digits

import quickvision as qv
from quickvision import recipes


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory):
    return qv.train_digits(out=tmp_path_factory.mktemp("demo") / "runs", verbose=False)


@pytest.mark.slow
class TestDigits:
    def test_transfer_really_wins(self, digits_run):
        scratch = digits_run.baseline
        assert digits_run.accuracy.n == scratch.accuracy.n == 796
        assert digits_run.accuracy.interval[0] > scratch.accuracy.interval[1]
        assert digits_run.accuracy.value > 0.8

    def test_both_had_the_same_budget_and_pictures(self, digits_run):
        scratch = digits_run.baseline
        assert len(digits_run.history) == len(scratch.history) == 5
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
            assert file.parent.name == recipes.DIGIT_NAMES[digits.target[number]]
        assert len(list(folder.rglob("*.png"))) == 1797


def pets(root, picture):
    colours = {"Abyssinian": "red", "great_pyrenees": "green", "pug": "blue"}
    for breed, colour in colours.items():
        for i in range(8):
            picture(root / "images" / f"{breed}_{i}.jpg", colour, seed=i)
    (root / "images" / "Abyssinian_100.mat").write_bytes(b"MATLAB")
    return root


@pytest.fixture
def options(tiny_net, tmp_path):
    quick = {"frozen_epochs": 0, "unfrozen_epochs": 1, "lr": 1e-2, "verbose": False}
    return {"arch": tiny_net, "weights": None, "size": 32, "bs": 4, "out": tmp_path / "o", **quick}


@pytest.fixture
def fastai_home(tmp_path, monkeypatch):
    """A data folder of fastai's own for this test (it reads the variable once a process)."""
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path / "home"))
    fastai_cfg.cache_clear()
    yield tmp_path / "home"
    fastai_cfg.cache_clear()


class TestPets:
    def test_the_images_folder_is_found_by_itself(self, tmp_path, picture, options):
        root = pets(tmp_path / "pets", picture)
        for path in (root, root / "images", str(root)):
            run = qv.train_pets(path, **options)
            assert run.preds.vocab == ("Abyssinian", "great_pyrenees", "pug")
        assert run.path.name == "pets-003"

    def test_the_archive_is_fetched_and_unpacked(
        self, tmp_path, picture, options, fastai_home, monkeypatch
    ):
        site = tmp_path / "site"
        site.mkdir()
        with tarfile.open(site / "oxford-iiit-pet.tgz", "w:gz") as archive:
            archive.add(pets(tmp_path / "oxford-iiit-pet", picture), "oxford-iiit-pet")
        handler = partial(http.server.SimpleHTTPRequestHandler, directory=site)
        monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *a: None)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_port}/oxford-iiit-pet.tgz"
            monkeypatch.setattr(recipes.URLs, "PETS", url)
            run = qv.train_pets(**options)
            server.shutdown()
        assert len(run.preds) == 5
        assert fastai_home in run.preds.paths[0].parents

    def test_a_failed_download_says_what_to_do(self, options, fastai_home, monkeypatch):
        monkeypatch.setattr(recipes.URLs, "PETS", "http://127.0.0.1:9/oxford-iiit-pet.tgz")
        with pytest.raises(qv.DataError, match="expected to download .* by hand, .* path="):
            qv.train_pets(**options)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
def test_thirty_seven_real_breeds(real_data, tmp_path):
    run = qv.train_pets(
        real_data / "data" / "pets_sample",
        arch="mobilenet_v2",
        weights=real_data / "weights" / "mobilenet_v2_imagenet.pth",
        size=128,
        bs=16,
        lr=3e-3,
        unfrozen_epochs=0,
        out=tmp_path,
    )
    assert len(run.preds.vocab) == 37
    assert run.accuracy.n == 74
    assert run.accuracy.interval[0] > 0.3  # chance is 2.7 %
