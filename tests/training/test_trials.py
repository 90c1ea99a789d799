from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from fastai.data.transforms import Transform
from PIL import Image
from torch import nn

import quickvision as qv
from quickvision.training import trials
from quickvision.training.trials import Watch, largest_batch, measure_pace, search


def test_measuring_leaves_the_learner_as_it_was(learn):
    learn.freeze()
    learn.model.train()
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    grads = [p.requires_grad for p in learn.model.parameters()]
    rng, split = torch.get_rng_state(), learn.dls.train.after_batch.split_idx
    pace = measure_pace(learn)
    assert min(pace.load, pace.forward, pace.step) > 0
    assert pace.step > pace.forward
    assert learn.model.training
    assert [p.requires_grad for p in learn.model.parameters()] == grads
    assert all(p.grad is None for p in learn.model.parameters())
    assert all(torch.equal(v, before[k]) for k, v in learn.model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), rng)
    assert learn.dls.train.after_batch.split_idx == split


def test_what_is_not_asked_for_is_not_timed(learn):
    pace = measure_pace(learn, steps=False)
    assert pace.step == 0
    assert pace.forward > 0


@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
def test_a_picture_that_stays_in_memory_is_read_once(large_photos, tiny_net):
    paces = []
    for cache in ("auto", False):
        dls = qv.from_folder(large_photos, size=32, bs=4, cache=cache, check=False)
        paces.append(measure_pace(qv.cnn_learner(dls, tiny_net, weights=None), steps=False))
    assert paces[0].again < 0.7 * paces[0].load
    assert paces[0].again < paces[1].again


@pytest.mark.parametrize(
    ("cost", "times"), [(0.1, [4, 4]), (0.01, [4, 15, 15]), (0.0001, [4, 32, 32])]
)
def test_slow_networks_are_timed_on_few_pictures(monkeypatch, cost, times):
    """The second timing of a network that takes 0.1 s a picture would cost more than it says."""
    now, asked = [0.0], []
    monkeypatch.setattr(trials.time, "perf_counter", lambda: now[0])

    def work(n):
        asked.append(n)
        now[0] += n * cost

    assert trials._each(work, 32, torch.device("cpu")) == pytest.approx(cost)
    assert asked == times


@pytest.mark.parametrize("most", [8, 16, 40, 64, 1000])
@pytest.mark.parametrize("limit", [1, 8, 15, 16, 17, 100, 5000])
def test_the_search_finds_the_largest_multiple_of_eight(most, limit):
    tried = []

    def fits(n):
        tried.append(n)
        return n <= limit

    good = [n for n in range(8, most + 1, 8) if n <= limit]
    assert search(fits, most) == max(good, default=8)
    assert len(tried) == len(set(tried)) <= 12
    assert all(n % 8 == 0 and n <= most for n in tried)


class Small(nn.Module):
    """A body in a memory that holds 20 pictures."""

    def forward(self, x):
        if len(x) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return x


@pytest.mark.slow
def test_what_does_not_fit_is_seen_and_the_learner_stays(learn):
    learn.model[0].insert(0, Small())
    before = {name: value.clone() for name, value in learn.model.state_dict().items()}
    trial = trials._trial(learn)
    assert [trial(n) for n in (8, 16, 24, 16, 64)] == [True, True, False, True, False]
    assert search(trial, 64) == 16
    after = learn.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in learn.model.parameters())


def test_other_errors_are_not_swallowed(learn):
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("expected scalar type Float")

    learn.model[0].insert(0, Broken())
    with pytest.raises(RuntimeError, match="scalar type"):
        trials._trial(learn)(8)


def test_enough_pictures_get_the_usual_batch_on_a_cpu(learn, monkeypatch):
    monkeypatch.setattr(trials, "STEPS", 1)
    assert largest_batch(learn) == 24
    monkeypatch.setattr(trials, "ON_CPU", 16)
    assert largest_batch(learn) == 16


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_a_larger_picture_means_a_smaller_batch(class_folders, monkeypatch):
    monkeypatch.setattr(trials, "STEPS", 0.001)
    found = {}
    for size in (64, 512):
        dls = qv.from_folder(class_folders, size=size, bs=8)
        found[size] = largest_batch(qv.cnn_learner(dls, "resnet50", weights=None))
    assert 8 <= found[512] < found[64]


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


@pytest.mark.slow
def test_nothing_is_said_where_the_step_is_what_takes_time(class_folders, tiny_net):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    watch, said = watched(dls, tiny_net, SlowStep())
    assert watch.waiting < 1 / 3
    assert not said


@pytest.mark.slow
def test_the_clock_stops_when_all_is_known(class_folders, tiny_net, monkeypatch):
    monkeypatch.setattr(trials, "BATCHES", 3)
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
