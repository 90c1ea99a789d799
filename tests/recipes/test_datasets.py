from __future__ import annotations

import hashlib
import os
import shutil
from functools import partial

import pandas as pd
import pytest
from fastai.data.external import URLs
from made import NAMES, Site, packed, save_annotations, save_names, tree

import quickvision as qv
from quickvision.base.files import cache_folder
from quickvision.recipes import ants_bees, cars, cifar10, pets
from quickvision.recipes.downloads import fetch

ROOMS = {"ANTS_BEES": ants_bees, "CARS": cars, "CARS_DEVKIT": cars, "CIFAR": cifar10, "PETS": pets}


def below(root, files):
    """The files of a folder, as an archive of them names and holds them."""
    return {path: (root / path).read_bytes() for path in files}


@pytest.fixture
def publish(monkeypatch, fastai_home):
    """Let one of the data sets be what a web site of this test has."""
    sites = []

    def published(files, archive, url):
        kind = "zip" if archive.endswith("zip") else "tgz"
        site = Site(packed(files, kind)).__enter__()
        sites.append(site)
        room = ROOMS[url]
        if hasattr(room, url):
            monkeypatch.setattr(room, url, site.url(archive))
            monkeypatch.setattr(room, f"{url}_SUM", site.checksum)
        else:
            monkeypatch.setattr(URLs, url, site.url(archive))
            whole = partial(fetch, checksum=f"md5:{hashlib.md5(site.content).hexdigest()}")
            monkeypatch.setattr(room, "untar_data", whole)
        return site

    yield published
    for site in sites:
        site.__exit__()


def test_pets_are_a_folder_of_photos(publish, fastai_home, tmp_path, picture):
    picture(tmp_path / "oxford-iiit-pet" / "images" / "pug_1.jpg")
    files = below(tmp_path, ["oxford-iiit-pet/images/pug_1.jpg"])
    site = publish(files, "oxford-iiit-pet.tgz", "PETS")
    assert qv.fetch_data("pets") == fastai_home / "data" / "oxford-iiit-pet" / "images"
    assert [p.name for p in qv.fetch_data("pets").iterdir()] == ["pug_1.jpg"]
    assert len(site.asked) == 1


def test_ants_and_bees_are_class_folders(publish):
    files = {f"hymenoptera_data/{side}/ants/1.jpg": b"" for side in ("train", "val")}
    publish(files, "hymenoptera_data.zip", "ANTS_BEES")
    root = qv.fetch_data("ants_bees")
    assert sorted(p.name for p in root.iterdir()) == ["train", "val"]


def test_another_archive_of_ants_and_bees_is_not_used(publish, monkeypatch):
    published = ants_bees.ANTS_BEES_SUM
    publish({"hymenoptera_data/train/ants/1.jpg": b""}, "hymenoptera_data.zip", "ANTS_BEES")
    monkeypatch.setattr(ants_bees, "ANTS_BEES_SUM", published)
    with pytest.raises(qv.DataError, match="to have sha256:fbc41b.*, got sha256:.* path="):
        qv.fetch_data("ants_bees")


def test_cifar10_is_class_folders(publish):
    files = {f"cifar10/{side}/cat/1.png": b"" for side in ("train", "test")}
    publish(files, "cifar10.tgz", "CIFAR")
    assert sorted(p.name for p in qv.fetch_data("cifar10").iterdir()) == ["test", "train"]


def test_a_data_set_that_is_none():
    with pytest.raises(ValueError, match="no such data set 'pet'; did you mean 'pets'?"):
        qv.fetch_data("pet")
    with pytest.raises(ValueError, match="; there are pets, ants_bees, cars, cifar10"):
        qv.fetch_data("birds")


class TestCars:
    @pytest.fixture
    def photos(self, tmp_path, picture):
        root = tmp_path / "stanford-cars"
        for i in range(12):
            picture(root / "cars_train" / f"{i:05d}.jpg", "blue", seed=i)
        picture(root / "cars_test" / "00001.jpg", "red")
        save_names(root / "devkit" / "cars_meta.mat")
        pairs = [(i % 3 + 1, f"{i:05d}.jpg") for i in range(12)]
        save_annotations(root / "devkit" / "cars_train_annos.mat", pairs)
        return root

    @pytest.fixture
    def published(self, photos, publish):
        top = photos.parent
        pictures = [p.relative_to(top).as_posix() for p in photos.rglob("*.jpg")]
        publish(below(top, pictures), "stanford-cars.tgz", "CARS")
        kit = [f"devkit/{name}" for name in ("cars_meta.mat", "cars_train_annos.mat")]
        publish(below(photos, kit), "car_devkit.tgz", "CARS_DEVKIT")

    @pytest.fixture(autouse=True)
    def _empty_cache(self):
        shutil.rmtree(cache_folder() / "cars", ignore_errors=True)
        yield
        shutil.rmtree(cache_folder() / "cars", ignore_errors=True)

    def test_they_are_as_hackathons_hand_them_out(self, published, fastai_home):
        root = qv.fetch_data("cars")
        assert root == cache_folder() / "cars"
        assert sorted(p.name for p in root.iterdir()) == ["names.csv", "test", "train", "train.csv"]
        table = pd.read_csv(root / "train.csv")
        assert table["file"].tolist() == [f"train/{i:05d}.jpg" for i in range(12)]
        assert table["class"].tolist() == [1, 2, 3] * 4
        assert (root / "names.csv").read_text().splitlines() == NAMES
        first = fastai_home / "data" / "stanford-cars" / "cars_train" / "00000.jpg"
        assert (root / "train" / "00000.jpg").samefile(first)

    def test_the_photos_stay_as_they_are_and_are_laid_out_once(self, photos, monkeypatch):
        before = tree(photos)
        root = cars.write_numbered(photos, photos / "devkit")
        monkeypatch.setattr(cars, "whole_folder", lambda target: pytest.fail("laid out again"))
        assert cars.write_numbered(photos, photos / "devkit") == root
        assert tree(photos) == before

    def test_our_door_reads_them(self, published):
        root = qv.fetch_data("cars")
        dls = qv.from_csv(root / "train.csv", class_names=root / "names.csv", size=32, bs=4)
        assert list(dls.vocab) == sorted(NAMES)
        assert len(dls.train_ds) + len(dls.valid_ds) == 12

    def test_a_disk_without_links_gets_copies(self, photos, monkeypatch):
        def no_links(*args):
            raise OSError("no links here")

        monkeypatch.setattr(os, "link", no_links)
        root = cars.write_numbered(photos, photos / "devkit")
        copy, original = root / "test" / "00001.jpg", photos / "cars_test" / "00001.jpg"
        assert copy.read_bytes() == original.read_bytes()
        assert not copy.samefile(original)

    def test_a_photo_that_is_missing_leaves_nothing_behind(self, photos):
        (photos / "cars_train" / "00003.jpg").unlink()
        with pytest.raises(qv.RunError, match="expected to write pictures to .*00003.jpg"):
            cars.write_numbered(photos, photos / "devkit")
        assert not [p for p in cache_folder().iterdir() if "cars" in p.name]
