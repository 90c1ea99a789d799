from __future__ import annotations

import time

import numpy as np
import pytest
from fastai.callback.core import Callback
from fastai.data.transforms import Transform
from PIL import Image

import quickvision as qv
from quickvision.runs import bottleneck
from quickvision.runs.bottleneck import Watch


class SlowStep(Callback):
    def after_batch(self):
        time.sleep(0.15)


class SlowLoad(Transform):
    def encodes(self, x: Image.Image):
        time.sleep(0.02)
        return x


@pytest.fixture
def large_photos(tmp_path):
    """Two classes of JPEGs of twelve megapixels, all the same one."""
    noise = np.random.default_rng(0).integers(0, 256, (75, 100, 3), dtype=np.uint8)
    photo = Image.fromarray(noise).resize((4000, 3000))
    first = tmp_path / "photos" / "a" / "0.jpg"
    for label in "ab":
        (tmp_path / "photos" / label).mkdir(parents=True)
    photo.save(first)
    for i in range(1, 12):
        (tmp_path / "photos" / "ab"[i % 2] / f"{i}.jpg").write_bytes(first.read_bytes())
    return tmp_path / "photos"


def watched(dls, arch, *cbs):
    said = []
    learn = qv.cnn_learner(dls, arch, weights=None)
    watch = Watch(said.append)
    qv.fit_unfrozen(learn, 2, cbs=[watch, *cbs], verbose=False)
    return watch, said


def test_nothing_is_said_where_the_step_is_what_takes_time(class_folders, tiny_net):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    watch, said = watched(dls, tiny_net, SlowStep())
    assert watch.waiting < 1 / 3
    assert not said


def test_the_clock_stops_when_all_is_known(class_folders, tiny_net, monkeypatch):
    monkeypatch.setattr(bottleneck, "BATCHES", 3)
    dls = qv.from_folder(class_folders, size=32, bs=6)
    watch, _ = watched(dls, tiny_net, SlowStep())
    assert len(watch.steps) == len(watch.loads) == 3


@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
def test_large_photos_get_the_advice_to_keep_copies(large_photos, tiny_net):
    dls = qv.from_folder(large_photos, size=32, bs=2, cache=False)
    watch, said = watched(dls, tiny_net)
    assert watch.waiting > 1 / 3
    assert len(said) == 1
    assert "pictures average 12.0 megapixels; cache=True would cut an epoch from" in said[0]


@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
def test_while_pictures_come_into_memory_nothing_is_said(large_photos, tiny_net):
    said = []
    learn = qv.cnn_learner(qv.from_folder(large_photos, size=32, bs=2), tiny_net, weights=None)
    watch = Watch(said.append)
    qv.fit_unfrozen(learn, 1, cbs=watch, verbose=False)
    assert watch.waiting is None
    qv.fit_unfrozen(learn, 1, cbs=watch, verbose=False)
    assert watch.waiting is not None
    assert not any("cache=True" in text for text in said)


@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
def test_with_copies_it_is_not_said_again(large_photos, tiny_net, tmp_path):
    dls = qv.from_folder(large_photos, size=32, bs=2, cache=tmp_path / "copies")
    _, said = watched(dls, tiny_net)
    assert not any("cache=True" in text for text in said)


def test_slow_transforms_get_another_advice(class_folders, tiny_net):
    from fastai.vision.augment import Resize

    tfms = [Resize(32), SlowLoad()]
    dls = qv.from_folder(class_folders, size=32, bs=6, item_tfms=tfms)
    _, said = watched(dls, tiny_net)
    assert len(said) == 1
    assert "loading pictures takes" in said[0]
    assert "cache=True" not in said[0]


def test_plain_fastai_loaders_are_watched_too(class_folders, tiny_net):
    from fastai.vision.augment import Resize
    from fastai.vision.data import ImageDataLoaders

    options = {"item_tfms": [Resize(32), SlowLoad()], "bs": 6, "num_workers": 0}
    dls = ImageDataLoaders.from_folder(class_folders, valid_pct=0.2, **options)
    _, said = watched(dls, tiny_net)
    assert len(said) == 1
