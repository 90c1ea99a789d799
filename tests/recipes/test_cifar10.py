from __future__ import annotations

import os
import pickle
from functools import partial

import numpy as np
import pytest
from fastai.data.external import URLs
from PIL import Image

import quickvision as qv
from quickvision.recipes import cifar10
from quickvision.recipes.cifar10 import BATCHES, find_batches, write_pictures
from quickvision.recipes.downloads import fetch

CLASSES = ["airplane", "automobile", "bird"]


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
def batches(tmp_path):
    folder = tmp_path / "torchvision" / "cifar-10-batches-py"
    for seed, name in enumerate(BATCHES):
        dump(folder / name, batch(seed))
    dump(folder / "batches.meta", {"label_names": CLASSES, "num_vis": 3072})
    return folder


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
        for number, name in enumerate(BATCHES):
            kept = batch(number)
            for i, (row, label) in enumerate(zip(kept["data"], kept["labels"], strict=True)):
                (file,) = folder.rglob(f"{number}_{i:05d}.png")
                assert file.parent.name == CLASSES[label]
                assert file.parent.parent.name == BATCHES[name]
                red, green, blue = row.reshape(3, 32, 32)
                np.testing.assert_array_equal(Image.open(file), np.dstack([red, green, blue]))

    def test_torchvision_reads_the_same_pictures(self, batches):
        from torchvision.datasets import CIFAR10

        class Unchecked(CIFAR10):
            def _check_integrity(self):
                return True

            def _load_meta(self):
                self.classes = CLASSES

        ours = write_pictures(batches)
        theirs = Unchecked(batches.parent, train=False)
        for i, (picture, label) in enumerate(theirs):
            file = ours / "test" / CLASSES[label] / f"5_{i:05d}.png"
            np.testing.assert_array_equal(Image.open(file), picture)

    def test_the_pickles_stay_and_are_read_once(self, batches):
        before = {p: p.stat().st_mtime_ns for p in batches.iterdir()}
        folder = write_pictures(batches)
        assert {p: p.stat().st_mtime_ns for p in batches.iterdir()} == before
        times = {p: p.stat().st_mtime_ns for p in folder.rglob("*.png")}
        assert write_pictures(batches) == folder
        assert {p: p.stat().st_mtime_ns for p in folder.rglob("*.png")} == times

    def test_other_pickles_make_another_folder(self, batches):
        first = write_pictures(batches)
        dump(batches / "test_batch", batch(99, n=7))
        assert len(list((write_pictures(batches) / "test").rglob("*.png"))) == 7
        assert len(list((first / "test").rglob("*.png"))) == 6

    @pytest.mark.parametrize("protocol", [2, 3, 4])
    def test_pickles_of_other_pythons_are_read(self, batches, protocol):
        dump(batches / "test_batch", batch(5), protocol)
        assert write_pictures(batches).is_dir()

    def test_the_keys_may_be_bytes(self, batches):
        dump(batches / "test_batch", {k.encode(): v for k, v in batch(5).items()})
        assert write_pictures(batches).is_dir()

    def test_a_cache_that_cannot_be_written(self, batches, cache):
        cache.write_text("a file")
        with pytest.raises(qv.RunError, match="expected to write pictures to"):
            write_pictures(batches)


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class TestBadPickles:
    @pytest.mark.parametrize("where", ["test_batch", "batches.meta"])
    @pytest.mark.parametrize(
        ("function", "named"),
        [(os.mkdir, r"\w+\.mkdir"), (eval, r"\w+\.eval"), (getattr, r"\w+\.getattr")],
    )
    def test_nothing_in_them_runs(self, batches, tmp_path, where, function, named):
        out = str(tmp_path / "it ran")
        dump(batches / where, {"data": Evil(function, out)})
        with pytest.raises(qv.DataError, match=f"it wants to call {named}; fetch .* again"):
            write_pictures(batches)
        assert not os.path.exists(out)

    def test_nothing_half_done_stays(self, batches, cache):
        dump(batches / "test_batch", {"data": Evil(os.getcwd)})
        with pytest.raises(qv.DataError):
            write_pictures(batches)
        assert not list(cache.rglob("*.png"))
        assert not [p for p in cache.rglob("*") if p.name not in ("cifar10",)]

    def test_missing_batches_are_named(self, batches):
        (batches / "data_batch_3").unlink()
        (batches / "batches.meta").unlink()
        with pytest.raises(qv.DataError, match=r"expected data_batch_3, batches.meta in .*again"):
            write_pictures(batches)

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"data": np.zeros((6, 3000), np.uint8)}, r"3072.*got uint8 \[6, 3000\]"),
            ({"data": np.zeros((6, 3072), np.float32)}, r"uint8 .* got float32 \[6, 3072\]"),
            ({"data": "text"}, "got str"),
            ({"labels": [0, 1]}, "expected 6 labels .* got 2"),
            ({"labels": None}, "expected 6 labels .* got NoneType"),
            ({"labels": [0, 1, 2, 3, 0, 1]}, "labels from 0 to 2 .* got 3"),
            ({"labels": [0, 1, 2, -1, 0, 1]}, "labels from 0 to 2 .* got -1"),
            ({"labels": [0, 1, 2, "1", 0, 1]}, "labels from 0 to 2 .* got '1'"),
        ],
    )
    def test_wrong_contents_are_said(self, batches, changed, said):
        dump(batches / "data_batch_2", batch(1) | changed)
        with pytest.raises(qv.DataError, match=f"{said}.*; fetch cifar-10-batches-py again"):
            write_pictures(batches)

    @pytest.mark.parametrize(
        "names", [None, "airplane", ["a"], ["../../up", "b"], ["a", "a"], ["", "b"], [1, 2]]
    )
    def test_names_that_lead_elsewhere(self, batches, names, tmp_path):
        dump(batches / "batches.meta", {"label_names": names})
        with pytest.raises(qv.DataError, match="expected .* got .* again"):
            write_pictures(batches)
        assert not list(tmp_path.rglob("up"))

    @pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x02]q\x00."])
    def test_no_pickle_and_no_dict(self, batches, content):
        (batches / "data_batch_1").write_bytes(content)
        with pytest.raises(qv.DataError, match="expected a .* got .* again"):
            write_pictures(batches)

    def test_a_pickle_that_was_cut(self, batches):
        whole = (batches / "data_batch_1").read_bytes()
        (batches / "data_batch_1").write_bytes(whole[:500])
        with pytest.raises(qv.DataError, match="expected a pickle of CIFAR-10"):
            write_pictures(batches)


@pytest.fixture
def pickles(tmp_path):
    """Ten pictures in each of CIFAR-10's pickles."""
    folder = tmp_path / "torchvision" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        pixels = np.random.default_rng(number).integers(0, 256, (10, 3072), dtype=np.uint8)
        batch = {"data": pixels, "labels": [0, 1] * 5}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    names = {"label_names": ["cat", "dog"]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names, protocol=2))
    return folder


class TestCifar10:
    def test_torchvisions_pickles_become_pictures_in_our_cache(self, pickles, options):
        before = sorted(pickles.parent.rglob("*"))
        for path in (pickles, pickles.parent):
            run = qv.train_cifar10(path, **options)
            assert run.preds.vocab == ("cat", "dog")
            assert len(run.learn.dls.train_ds) == 50
            assert len(run.preds) == 10
        assert sorted(pickles.parent.rglob("*")) == before
        assert run.path.name == "cifar10-002"

    def test_class_folders_are_taken_as_they_are(self, insects, options):
        (insects / "val").rename(insects / "test")
        run = qv.train_cifar10(insects, **options)
        assert run.preds.paths[0].parents[1] == insects / "test"

    def test_the_pictures_are_not_enlarged(self, pickles, options):
        run = qv.train_cifar10(pickles, **options)
        assert run.learn.dls.one_batch()[0].shape[-2:] == (32, 32)
        assert run.learn.dls.valid.one_batch()[0].shape[-2:] == (32, 32)

    def test_bad_pickles_are_refused(self, pickles, options):
        (pickles / "test_batch").write_bytes(pickle.dumps(print))
        with pytest.raises(qv.DataError, match="it wants to call builtins.print"):
            qv.train_cifar10(pickles, **options)

    def test_a_failed_download_says_what_to_do(self, options, fastai_home, monkeypatch):
        monkeypatch.setattr(cifar10, "untar_data", partial(fetch, checksum="md5:00"))
        monkeypatch.setattr(URLs, "CIFAR", "http://127.0.0.1:9/cifar10.tgz")
        with pytest.raises(qv.DataError, match="expected to download .* by hand, .* path="):
            qv.train_cifar10(**options)
