from __future__ import annotations

import hashlib
import os
import pickle
from functools import partial

import numpy as np
import pytest
from fastai.data.external import URLs
from PIL import Image
from torchvision.datasets import CIFAR10

import quickvision as qv
from quickvision.recipes import cifar10
from quickvision.recipes.cifar10 import Pickles, find_batches, write_pictures
from quickvision.recipes.downloads import fetch

CLASSES = ["airplane", "automobile", "bird"]
BATCHES = {f"data_batch_{number}": "train" for number in range(1, 6)} | {"test_batch": "test"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QUICKVISION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def dump(file, content, protocol=2):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps(content, protocol=protocol))


def batch(seed, n=6):
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 3072), dtype=np.uint8)
    return {"data": pixels, "labels": [i % len(CLASSES) for i in range(n)], "batch_label": "x"}


@pytest.fixture
def batches(tmp_path, monkeypatch):
    """Six pictures in each of CIFAR-10's pickles, which are what was published, in this test."""
    folder = tmp_path / "torchvision" / "cifar-10-batches-py"
    for seed, name in enumerate(BATCHES):
        dump(folder / name, batch(seed))
    dump(folder / "batches.meta", {"label_names": CLASSES, "num_vis": 3072})
    sums = {p.name: hashlib.md5(p.read_bytes()).hexdigest() for p in folder.iterdir()}
    for side in ("train", "test"):
        known = [[name, sums[name]] for name, where in BATCHES.items() if where == side]
        monkeypatch.setattr(CIFAR10, f"{side}_list", known)
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": sums["batches.meta"]})
    return folder


def test_the_published_sums_are_torchvisions():
    assert Pickles.published()["test_batch"] == "40351d587109b95175f43aff81a1287e"
    assert list(Pickles.published()) == [*BATCHES, "batches.meta"]


class TestFind:
    def test_the_folder_or_the_one_it_is_in(self, batches):
        assert find_batches(batches) == find_batches(batches.parent) == batches

    def test_class_folders_are_none(self, class_folders):
        assert find_batches(class_folders) is None


class TestWrite:
    def test_each_picture_is_written_in_its_class(self, batches, cache):
        folder = write_pictures(batches)
        assert cache in folder.parents
        assert {p.name for p in folder.iterdir()} == {"train", "test"}
        files = sorted(folder.rglob("*.png"))
        assert [len(list((folder / side).rglob("*.png"))) for side in ("train", "test")] == [30, 6]
        assert {f.parent.name for f in files} == set(CLASSES)
        places = {"train": 0, "test": 0}
        for number, (_, side) in enumerate(BATCHES.items()):
            kept = batch(number)
            for row, label in zip(kept["data"], kept["labels"], strict=True):
                file = folder / side / CLASSES[label] / f"{places[side]:05d}.png"
                places[side] += 1
                red, green, blue = row.reshape(3, 32, 32)
                np.testing.assert_array_equal(Image.open(file), np.dstack([red, green, blue]))

    def test_the_folder_may_have_any_name(self, batches):
        other = batches.rename(batches.with_name("mine"))
        assert len(list(write_pictures(other).rglob("*.png"))) == 36

    def test_the_pickles_stay_and_are_read_once(self, batches, monkeypatch):
        before = {p: p.stat().st_mtime_ns for p in batches.iterdir()}
        folder = write_pictures(batches)
        assert {p: p.stat().st_mtime_ns for p in batches.iterdir()} == before
        monkeypatch.setattr(cifar10, "whole_folder", lambda target: pytest.fail("read again"))
        assert write_pictures(batches) == folder

    def test_a_cache_that_cannot_be_written(self, batches, cache):
        cache.write_text("a file")
        with pytest.raises(qv.RunError, match="expected to write pictures to"):
            write_pictures(batches)


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class TestOtherPickles:
    @pytest.mark.parametrize("before", [False, True], ids=["first", "after the good ones"])
    @pytest.mark.parametrize("where", ["test_batch", "batches.meta"])
    @pytest.mark.parametrize("function", [os.mkdir, eval, getattr])
    def test_nothing_in_them_runs(self, batches, tmp_path, where, function, before):
        if before:  # what was written of the good ones is not taken for these
            write_pictures(batches)
        out = str(tmp_path / "it ran")
        dump(batches / where, {"data": Evil(function, out)})
        with pytest.raises(qv.DataError, match=rf"names {where}; fetch it again"):
            write_pictures(batches)
        assert not os.path.exists(out)

    def test_nothing_half_done_stays(self, batches, cache):
        dump(batches / "test_batch", {"data": Evil(os.getcwd)})
        with pytest.raises(qv.DataError):
            write_pictures(batches)
        assert not list(cache.rglob("*.png"))

    def test_missing_batches_are_named(self, batches):
        (batches / "data_batch_3").unlink()
        (batches / "batches.meta").unlink()
        with pytest.raises(qv.DataError, match=r"of the names data_batch_3, batches.meta; fetch"):
            write_pictures(batches)

    @pytest.mark.parametrize(
        "changed",
        [
            {"data": np.zeros((6, 3072), np.uint8)},
            {"data": "text"},
            {"labels": [0, 1, 2, -1, 0, 1]},
        ],
    )
    def test_other_contents_are_refused(self, batches, changed):
        dump(batches / "data_batch_2", batch(1) | changed)
        with pytest.raises(qv.DataError, match="names data_batch_2; fetch it again"):
            write_pictures(batches)

    @pytest.mark.parametrize("names", [None, ["../../up", "b"], ["a", "a"], [1, 2]])
    def test_names_that_lead_elsewhere(self, batches, names, tmp_path):
        dump(batches / "batches.meta", {"label_names": names})
        with pytest.raises(qv.DataError, match="names batches.meta; fetch it again"):
            write_pictures(batches)
        assert not list(tmp_path.rglob("up"))

    @pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x02]q\x00.", None])
    def test_no_pickle_and_one_that_was_cut(self, batches, content):
        file = batches / "data_batch_1"
        file.write_bytes(file.read_bytes()[:500] if content is None else content)
        with pytest.raises(qv.DataError, match="expected cifar-10-batches-py as published"):
            write_pictures(batches)


class TestCifar10:
    def test_torchvisions_pickles_become_pictures_in_our_cache(self, batches, options):
        before = sorted(batches.parent.rglob("*"))
        for path in (batches, batches.parent):
            run = qv.train_cifar10(path, **options)
            assert run.preds.vocab == tuple(CLASSES)
            assert len(run.learn.dls.train_ds) == 30
            assert len(run.preds) == 6
        assert sorted(batches.parent.rglob("*")) == before
        assert run.path.name == "cifar10-002"

    def test_class_folders_are_taken_as_they_are(self, insects, options):
        (insects / "val").rename(insects / "test")
        run = qv.train_cifar10(insects, **options)
        assert run.preds.paths[0].parents[1] == insects / "test"

    def test_the_pictures_are_not_enlarged(self, batches, options):
        run = qv.train_cifar10(batches, **options)
        assert run.learn.dls.one_batch()[0].shape[-2:] == (32, 32)
        assert run.learn.dls.valid.one_batch()[0].shape[-2:] == (32, 32)

    def test_bad_pickles_are_refused(self, batches, options):
        (batches / "test_batch").write_bytes(pickle.dumps(print))
        with pytest.raises(qv.DataError, match="names test_batch; fetch it again"):
            qv.train_cifar10(batches, **options)

    def test_a_failed_download_says_what_to_do(self, options, fastai_home, monkeypatch):
        monkeypatch.setattr(cifar10, "untar_data", partial(fetch, checksum="md5:00"))
        monkeypatch.setattr(URLs, "CIFAR", "http://127.0.0.1:9/cifar10.tgz")
        with pytest.raises(qv.DataError, match="expected to download .* by hand, .* path="):
            qv.train_cifar10(**options)
