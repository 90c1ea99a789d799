from __future__ import annotations

import pickle
import warnings
from collections import Counter
from pathlib import Path

import fastai.callback.progress  # noqa: F401  gives every Learner no_bar
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from fastai.vision.augment import (
    CropPad,
    FlipItem,
    RandomResizedCrop,
    RandomResizedCropGPU,
    Resize,
    ResizeMethod,
    aug_transforms,
)
from fastai.vision.core import PILImage
from fastai.vision.learner import vision_learner
from fastcore.foundation import L
from PIL import Image

import quickvision as qv
from quickvision.data import loaders
from quickvision.data.labels import FolderLabel
from quickvision.data.pictures import copy_path
from quickvision.data.transforms import needed_side

SMALL = {"size": 32, "bs": 4}


@pytest.fixture
def uneven(tmp_path, picture):
    """Forty red pictures and five green ones."""
    for colour, n in (("red", 40), ("green", 5)):
        for i in range(n):
            picture(tmp_path / "uneven" / colour / f"{i}.png", colour, seed=i)
    return tmp_path / "uneven"


def labels(dl):
    return Counter(path.parent.name for path in dl.items)


class TestBalance:
    @pytest.mark.filterwarnings("default::quickvision.DataWarning")
    def test_uneven_classes_are_said(self, uneven):
        with pytest.warns(qv.DataWarning, match=r"32 training .* of red, 4 of green \(8.0 times\)"):
            qv.from_folder(uneven, **SMALL)

    def test_weights_reach_any_learner_of_fastai(self, uneven, tiny_net):
        dls = qv.from_folder(uneven, balance="weights", **SMALL)
        expected = torch.tensor([36 / 2 / 4, 36 / 2 / 32])
        learn = qv.cnn_learner(dls, tiny_net, weights=None)
        for found in (learn.loss_func, vision_learner(dls, "resnet18", pretrained=False).loss_func):
            assert torch.allclose(found.func.weight.cpu(), expected)
        qv.fit_unfrozen(learn, 1, verbose=False)
        plain = torch.nn.CrossEntropyLoss(weight=expected, reduction="none")
        preds = qv.get_preds(learn)
        logits = torch.tensor(preds.probs).log()
        assert np.allclose(preds.losses, plain(logits, torch.tensor(preds.targs)), atol=1e-3)

    def test_oversampling_evens_the_training_side_only(self, uneven):
        dls = qv.from_folder(uneven, balance="oversample", **SMALL)
        assert labels(dls.train) == {"red": 32, "green": 32}
        assert labels(dls.valid) == {"red": 8, "green": 1}
        assert labels(dls.train.new()) == labels(dls.train)
        assert len({path for path in dls.train.items if path.parent.name == "green"}) == 4
        assert len(dls.split) == 45

    def test_macro_f1_stands_beside_accuracy(self, uneven, tiny_net, tmp_path, capsys):
        options = {"arch": tiny_net, "weights": None, "lr": 1e-2, "out": tmp_path / "runs"}
        run = qv.train(
            uneven, balance="weights", frozen_epochs=0, unfrozen_epochs=1, **options, **SMALL
        )
        said = capsys.readouterr().out
        assert "f1_score" in run.history.columns
        assert "macro-F1" in run.summary()
        assert "f1_score" in said
        assert f"macro-F1     {qv.macro_f1(run.preds):.1%}" in said

    def test_even_classes_need_no_macro_f1(self, learn):
        assert [m.name for m in learn.metrics] == ["error_rate", "accuracy"]


class TestResize:
    @pytest.mark.parametrize(
        ("resize", "corner", "middle"),
        [("crop", 255, 255), ("squish", 255, 255), ("pad", 124, 255)],
    )
    def test_each_way_keeps_what_it_says(self, tmp_path, resize, corner, middle):
        for label in ("a", "b"):
            for i in range(3):
                path = tmp_path / label / f"{i}.png"
                path.parent.mkdir(exist_ok=True)
                Image.new("RGB", (120, 40), "white").save(path)
        dls = qv.from_folder(tmp_path, resize=resize, batch_tfms=[], size=32, bs=2)
        x = dls.valid.one_batch()[0]
        assert x.shape[-2:] == (32, 32)
        assert round(float(x[0, 0, 0, 16]) * 255) == corner
        assert round(float(x[0, 0, 16, 16]) * 255) == middle

    @pytest.mark.parametrize(
        ("batch_tfms", "resized"),
        [
            (None, 36),
            (aug_transforms(size=32), 36),
            (RandomResizedCropGPU(32), 36),
            (aug_transforms(), 32),
            ([], 32),
        ],
        ids=["ours", "crop", "random crop", "leave", "none"],
    )
    def test_pictures_come_at_the_size_that_was_asked_for(self, class_folders, batch_tfms, resized):
        dls = qv.from_folder(class_folders, batch_tfms=batch_tfms, **SMALL)
        assert dls.after_item.resize.size == (resized, resized)
        assert {dl.one_batch()[0].shape[-2:] for dl in dls} == {(32, 32)}

    def test_squish_keeps_the_whole_picture(self, tmp_path):
        for label in ("a", "b"):
            for i in range(3):
                pixels = np.zeros((40, 120, 3), np.uint8)
                pixels[:, :20] = 255
                (tmp_path / label).mkdir(exist_ok=True)
                Image.fromarray(pixels).save(tmp_path / label / f"{i}.png")
        squished, cropped = (
            qv.from_folder(tmp_path, resize=way, batch_tfms=[], size=32, bs=2).valid.one_batch()[0]
            for way in ("squish", "crop")
        )
        assert squished[0, 0, 16, 0] > 0.9
        assert cropped[0, 0, 16, 0] < 0.1

    def test_it_goes_with_our_own_transforms_only(self, class_folders):
        with pytest.raises(ValueError, match="resize: goes with"):
            qv.from_folder(class_folders, resize="pad", item_tfms=Resize(32))


@pytest.mark.parametrize(
    ("item_tfms", "side"),
    [
        (Resize(256), 256),
        (Resize((200, 300)), 300),
        ([Resize(64, method=ResizeMethod.Squish)], 64),
        ([FlipItem(), Resize(64)], 64),
        (CropPad(64), None),
        ([CropPad(300), Resize(64)], None),
        ([], None),
    ],
)
def test_how_small_a_picture_may_be_decoded(item_tfms, side):
    assert needed_side(item_tfms) == side


@pytest.mark.parametrize("min_scale", [0.08, 0.35, 1.0])
@pytest.mark.parametrize("shape", [(4000, 3000), (3000, 4000), (4000, 1000)])
def test_a_random_crop_of_a_small_decode_is_never_enlarged(min_scale, shape):
    crop = RandomResizedCrop(100, min_scale=min_scale)
    need = needed_side(crop)
    scale = need / min(shape)  # the smallest decode that is allowed
    image = Image.new("RGB", (round(shape[0] * scale), round(shape[1] * scale)))
    for split_idx in (0, 1):
        for _ in range(50):
            crop.before_call((image,), split_idx)
            assert min(crop.cp_size) >= 100 or split_idx
            assert min(image.size) >= max(crop.final_size) or not split_idx


class TestCache:
    @pytest.fixture
    def photos(self, tmp_path, picture):
        for colour in ("red", "green"):
            for i in range(6):
                picture(tmp_path / "photos" / colour / f"{i}.jpg", colour, seed=i, side=120)
        return tmp_path / "photos"

    def test_batches_come_from_the_copies(self, photos, tmp_path):
        cache = tmp_path / "cache"
        plain = qv.from_folder(photos, batch_tfms=[], **SMALL)
        cached = qv.from_folder(photos, batch_tfms=[], cache=cache, **SMALL)
        assert list(cached.valid.items) == list(plain.valid.items)
        x, same = cached.valid.one_batch()[0], plain.valid.one_batch()[0]
        assert (x - same).abs().mean() < 0.03
        copies = [copy_path(path, 32, cache) for path in cached.train.items]
        assert all(copy.exists() for copy in copies)
        for copy in copies:
            Image.new("RGB", (40, 40), "white").save(copy)
        assert cached.train.one_batch()[0].min() > 0.99

    def test_true_means_our_own_folder(self, photos, tmp_path, monkeypatch):
        monkeypatch.setenv("QUICKVISION_CACHE", str(tmp_path / "ours"))
        qv.from_folder(photos, cache=True, **SMALL)
        assert len(list((tmp_path / "ours" / "copies").rglob("*.jpg"))) == 12

    @pytest.mark.parametrize("below", ["", "cache", "a/b"])
    def test_never_in_the_data_folder(self, photos, below):
        before = sorted(photos.rglob("*"))
        with pytest.raises(ValueError, match="expected a folder outside the pictures' own"):
            qv.from_folder(photos, cache=photos / below, **SMALL)
        assert sorted(photos.rglob("*")) == before

    def test_transforms_that_need_the_whole_picture(self, photos, tmp_path):
        with pytest.raises(ValueError, match="cache: goes with item_tfms that start with Resize"):
            qv.from_folder(
                photos, cache=tmp_path / "c", item_tfms=[CropPad(20)], batch_tfms=[], bs=4
            )

    def test_loader_processes_use_it_too(self, photos, tmp_path):
        dls = qv.from_folder(photos, cache=tmp_path / "c", num_workers=2, **SMALL)
        assert len(list(dls.train)) == 2


class TestMaxBad:
    @pytest.fixture
    def with_bad(self, class_folders):
        for i in range(4):
            (class_folders / "red" / f"bad{i}.jpg").write_text("x")
        return class_folders

    def test_too_many_bad_files_stop(self, with_bad):
        with pytest.raises(
            qv.DataError, match=r"at most 5% bad files .*got 4 of 40: .*max_bad=0\.1"
        ):
            qv.from_folder(with_bad, **SMALL)

    @pytest.mark.filterwarnings("default::quickvision.DataWarning")
    def test_they_can_be_allowed(self, with_bad):
        with pytest.warns(qv.DataWarning, match="left out 4 of 40"):
            dls = qv.from_folder(with_bad, max_bad=0.1, **SMALL)
        assert len(dls.split) == 36
        assert len(dls.skipped) == 4

    def test_none_may_be_allowed(self, with_bad):
        for i in range(1, 4):
            (with_bad / "red" / f"bad{i}.jpg").unlink()
        with pytest.raises(qv.DataError, match="at most 0% bad"):
            qv.from_folder(with_bad, max_bad=0, **SMALL)

    def test_what_has_no_label_is_not_bad(self, named_files, picture):
        for i in range(9):
            picture(named_files / f"other{i}.png")
        with pytest.warns(qv.DataWarning, match="left out 9 of 39"):
            qv.from_name_re(named_files, r"^(.+)_\d+", **SMALL)


def test_names_that_are_long_or_odd_work(tmp_path, picture):
    for label in ("ä b", "c%20d"):
        for i, name in enumerate(("x" * 246, "new\nline", "ü ñ 猫", "#?&", "-rf", "'\"")):
            picture(tmp_path / "odd" / label / f"{name}.png", seed=i)
    dls = qv.from_folder(tmp_path / "odd", **SMALL)
    assert list(dls.vocab) == ["c%20d", "ä b"]
    assert sum(len(x) for x, _ in dls.valid) == len(dls.valid_ds) == 2
    assert len(dls.train.one_batch()[0]) == 4


@pytest.mark.parametrize(
    ("options", "kept"), [({}, 36), ({"cache": False}, 0), ({"num_workers": 1}, 0)]
)
def test_few_pictures_are_kept_in_memory(class_folders, options, kept):
    dls = qv.from_folder(class_folders, size=32, bs=6, **options)
    assert len(dls.train_ds.tls[0].tfms.fs[0].kept) == kept


def test_many_pictures_are_not(class_folders, monkeypatch):
    monkeypatch.setattr(loaders, "FEW", 35)
    dls = qv.from_folder(class_folders, size=32, bs=6)
    assert not dls.train_ds.tls[0].tfms.fs[0].kept


pytestmark = pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
SMALL_DATA = {"size": 32, "bs": 4}
CAPITALS = {"red": "RED", "green": "GREEN", "blue": "BLUE"}


def test_transforms_pass_through(class_folders):
    dls = qv.from_folder(class_folders, item_tfms=Resize((24, 16)), batch_tfms=[], bs=4)
    assert dls.one_batch()[0].shape == (4, 3, 24, 16)
    assert qv.from_folder(class_folders, size=(24, 16), bs=4).one_batch()[0].shape[-2:] == (24, 16)


def test_show_batch_works(class_folders):
    qv.from_folder(class_folders, **SMALL_DATA).show_batch(max_n=4)
    import matplotlib.pyplot as plt

    assert len(plt.gcf().axes) == 4
    plt.close("all")


def test_workers_read_the_same_pictures(class_folders):
    dls = qv.from_folder(class_folders, num_workers=2, **SMALL_DATA)
    assert len(list(dls.valid)) == 2
    assert (
        pickle.loads(pickle.dumps(FolderLabel([class_folders])))(class_folders / "a/b.png") == "a"
    )


class TestAsFastaiUsesThem:
    """What people do with `DataLoaders` and a `Learner` of plain fastai works on ours."""

    @pytest.fixture
    def dls(self, class_folders):
        return qv.from_folder(class_folders, **SMALL_DATA)

    def test_items_are_a_list_of_paths(self, dls):
        both = dls.train.items + dls.valid.items
        assert len(both) == len(dls.split) == 36
        assert isinstance(both[0], Path)
        assert len(L(dls.train.items)) == len(dls.train_ds)

    def test_interpretation(self, dls, tiny_net):
        learn = qv.cnn_learner(dls, tiny_net, weights=None)
        with learn.no_bar():
            interp = qv.ClassificationInterpretation.from_learner(learn)
            interp.plot_top_losses(2)
            interp.show_results([0, 1])
            assert interp.confusion_matrix().sum() == len(dls.valid_ds)
        plt.close("all")

    def test_prediction_of_whatever_an_app_gets(self, dls, tiny_net):
        learn = qv.cnn_learner(dls, tiny_net, weights=None)
        file = dls.valid.items[0]
        pixels = np.asarray(Image.open(file))
        with learn.no_bar():
            told = [
                learn.predict(item)[0]
                for item in (file, str(file), file.read_bytes(), PILImage.create(file), pixels)
            ]
            batch = dls.test_dl([str(file), str(file)]).one_batch()[0]
        assert len(set(told)) == 1
        assert batch.shape[0] == 2
        assert len(dls.test_dl(dls.valid.items, with_labels=True).one_batch()) == 2

    @pytest.mark.parametrize("door", ["folder", "names", "table", "renamed"])
    def test_loader_processes_can_be_spawned(self, class_folders, door):
        rows = {"file": [], "label": []}
        for path in sorted(class_folders.rglob("*.png")):
            rows["file"].append(str(path))
            rows["label"].append(path.parent.name)
        build = {
            "folder": lambda: qv.from_folder(class_folders, **SMALL_DATA),
            "names": lambda: qv.from_name_re(class_folders, r"^(.+)_", **SMALL_DATA),
            "table": lambda: qv.from_df(pd.DataFrame(rows), **SMALL_DATA),
            "renamed": lambda: qv.from_folder(class_folders, class_names=CAPITALS, **SMALL_DATA),
        }
        copy = pickle.loads(pickle.dumps(build[door]()))
        assert copy.valid_ds[0][1] == 0
        assert len(next(iter(copy.train))[0]) == 4


def test_validation_sees_the_middle_at_the_size_that_was_asked_for(framed):
    whole = qv.from_folder(framed, size=64, bs=4).valid.one_batch()[0]
    middle = qv.from_folder(framed, size=64, bs=4, crop_pct=0.875).valid.one_batch()[0]
    assert whole.shape == middle.shape == (2, 3, 64, 64)
    assert whole.min() < 0.2
    assert middle.min() > 0.9


def dark(root, label, n):
    for i in range(n):
        (root / label).mkdir(parents=True, exist_ok=True)
        colour = (i, 140, sum(map(ord, label)) % 100)  # each class has its own
        Image.new("RGB", (8, 8), colour).save(root / label / f"{i}.png")


def test_a_small_data_set_is_trained_on_whole(tmp_path):
    for label in ("ants", "bees"):
        dark(tmp_path, label, 40)
    dls = qv.from_folder(tmp_path, size=8, cache=False, augment="none")
    assert [len(x) for x, _ in dls.train] == [8] * 8


def test_numbered_classes_come_in_the_order_of_numbers(tmp_path):
    for label in map(str, range(12)):
        dark(tmp_path, label, 3)
    dls = qv.from_folder(tmp_path, size=8, bs=4, balance="weights")
    assert list(dls.vocab) == [str(i) for i in range(12)]
    path = dls.train_ds.items[0]
    assert int(dls.train_ds[0][1]) == int(path.parent.name)
    assert qv.check(tmp_path, size=8).classes.index.tolist() == [str(i) for i in range(12)]


def test_vocab_gives_the_order_of_the_classes(class_folders):
    order = ["red", "blue", "green"]
    dls = qv.from_folder(class_folders, size=32, bs=4, vocab=order)
    assert list(dls.vocab) == order
    assert order[int(dls.train_ds[0][1])] == dls.train_ds.items[0].parent.name
    for wrong, said in (
        (["red", "blue"], "none of green"),
        ([*order, "pink"], "also pink"),
        ([*order, "red"], "one twice"),
    ):
        with pytest.raises(qv.DataError, match=f"vocab: expected each of the 3 .*{said}"):
            qv.from_folder(class_folders, size=32, bs=4, vocab=wrong)


def test_class_names_that_look_alike_are_said(tmp_path):
    for label in ("Cat", "cat ", "dog"):
        dark(tmp_path, label, 4)
    with pytest.warns(qv.DataWarning, match=r"'Cat' and 'cat ' differ in case, blanks"):
        qv.from_folder(tmp_path, size=8, bs=4)
    assert "class names that look alike" in set(qv.check(tmp_path, size=8).findings["finding"])


def test_where_names_say_that_mirroring_is_wrong_flip_false_is_named(tmp_path):
    for label in ("turn_left", "turn_right"):
        dark(tmp_path, label, 6)
    with pytest.warns(qv.DataWarning, match=r"turn_left, turn_right.*flip=False"):
        qv.from_folder(tmp_path, size=8, bs=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        qv.from_folder(tmp_path, size=8, bs=4, flip=False)
        qv.from_folder(tmp_path, size=8, bs=4, augment="none")
        qv.from_folder(tmp_path, size=8, bs=4, batch_tfms=[])
