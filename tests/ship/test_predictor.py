from __future__ import annotations

import io
import random
import re
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from fastai.vision.augment import Resize
from fastai.vision.core import TensorImage
from fastai.vision.data import ImageDataLoaders
from PIL import Image

import quickvision as qv


@pytest.fixture
def trained(class_folders, tiny_net, tmp_path):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    learn = qv.cnn_learner(dls, tiny_net, weights=None, path=tmp_path / "out")
    qv.fit_unfrozen(learn, 3, lr_max=1e-2, verbose=False)
    return learn


@pytest.fixture
def files(trained):
    return list(trained.dls.valid_ds.items)


def test_many_are_what_the_pass_over_the_validation_pictures_says(trained, files):
    ask = qv.Predictor(trained)
    probs = ask.predict_proba(files, bs=4)
    assert probs.dtype == np.float32
    np.testing.assert_allclose(probs, qv.get_preds(trained).probs, atol=1e-5)
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-5)


def test_one_is_what_fastai_predicts(trained, files):
    ask = qv.Predictor(trained)
    for file in files[:3]:
        with trained.no_bar(), trained.no_logging():
            label, _, probs = trained.predict(file)
        said = ask.predict(file)
        assert said.label == label
        assert said.prob == pytest.approx(float(probs.max()), abs=1e-5)
        assert list(said.probs.values()) == sorted(said.probs.values(), reverse=True)
        assert said.probs == pytest.approx(
            dict(zip(trained.dls.vocab, probs.tolist(), strict=True)), abs=1e-5
        )
        assert str(said) == f"{label} ({said.prob:.1%})"


def test_the_table_has_a_row_a_picture_in_their_order(trained, files):
    ask = qv.Predictor(trained)
    table = ask.predict_many([files[2], str(files[0]), Image.open(files[1])], bs=2)
    assert list(table) == ["path", "predicted", "prob", "unsure", "error"]
    assert table["path"].tolist() == [str(files[2]), str(files[0]), ""]
    assert table["predicted"].tolist() == [ask.predict(files[i]).label for i in (2, 0, 1)]
    assert not table["unsure"].any()
    assert (table["error"] == "").all()


def test_one_bad_picture_does_not_lose_the_others(trained, files, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(files[0].read_bytes()[:300])
    ask = qv.Predictor(trained)
    given = [files[0], tmp_path / "bad.jpg", tmp_path / "gone.jpg", 3, np.zeros(7), files[1]]
    for bs in (1, 2, 64):
        table = ask.predict_many(given, bs=bs)
        assert table["predicted"].notna().tolist() == [True, False, False, False, False, True]
        assert table["prob"].isna().tolist() == [False, True, True, True, True, False]
        for i, said in ((1, "bad.jpg"), (2, "nothing at"), (3, "got int"), (4, "uint8|height")):
            assert re.search(said, table["error"][i])
        assert table["predicted"].iloc[[0, 5]].tolist() == [
            ask.predict(file).label for file in files[:2]
        ]


def test_a_folder_a_pattern_and_a_generator(trained, class_folders):
    ask = qv.Predictor(trained)
    table = ask.predict_many(class_folders)
    assert len(table) == 36
    assert table["path"][0] == "blue/blue_00.png"
    several = ask.predict_many(f"{class_folders}/red/*.png")
    assert len(several) == 12
    made = ask.predict_many(class_folders / name for name in table["path"])
    assert made["predicted"].tolist() == table["predicted"].tolist()


def test_many_pictures_are_not_kept_in_memory(trained, files):
    alive, most = weakref.WeakSet(), [0]

    class Counted(Image.Image):
        __hash__ = object.__hash__

    def pictures():
        for i in range(60):
            image = Image.open(files[i % 7]).convert("RGB")
            image.__class__ = Counted
            alive.add(image)
            most[0] = max(most[0], len(alive))
            yield image

    assert len(qv.Predictor(trained).predict_many(pictures(), bs=4)) == 60
    assert most[0] <= 4 * 4


def test_columns_for_each_class(trained, files):
    table = qv.Predictor(trained).predict_many(files, probs=True)
    np.testing.assert_allclose(
        table[["prob_blue", "prob_green", "prob_red"]].sum(axis=1), 1, atol=1e-5
    )


def test_what_it_is_not_sure_of_is_marked(trained, files):
    ask = qv.Predictor(trained)
    sure = ask.predict(files[0])
    assert not sure.unsure
    assert ask.predict(files[0], unsure_below=1.0).unsure
    assert str(ask.predict(files[0], unsure_below=1.0)).startswith("not sure, ")
    table = ask.predict_many(files)
    middle = float(np.median(table["prob"]))
    assert ask.predict_many(files, unsure_below=middle)["unsure"].sum() == 3
    for wrong in (-0.1, 1.5, "high"):
        with pytest.raises(ValueError, match="unsure_below: expected a fraction"):
            ask.predict(files[0], unsure_below=wrong)


def test_the_most_probable_classes(trained, files):
    said = qv.Predictor(trained).predict(files[0])
    assert said.top(2) == list(said.probs.items())[:2]
    assert len(said.top(10)) == 3


def test_the_mirror_image_is_asked_too(trained, files, class_folders):
    ask = qv.Predictor(trained)
    mirrored = Image.open(files[0]).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    both = ask.predict_proba([files[0], mirrored]).mean(axis=0)
    np.testing.assert_allclose(ask.predict_proba([files[0]], tta=True)[0], both, atol=1e-4)
    dls = qv.from_folder(class_folders, size=32, bs=6, flip=False)
    learn = qv.cnn_learner(dls, "timm/test_resnet", weights=None)
    with pytest.raises(ValueError, match="tta: goes with a model that has seen mirrored pictures"):
        qv.Predictor(learn).predict(files[0], tta=True)


def test_the_same_file_is_the_same_picture_by_all_doors(trained, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (900, 1200, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    file = tmp_path / "phone.jpg"
    Image.fromarray(pixels).save(file, exif=exif)
    ask = qv.Predictor(trained)
    expected = ask.predict_proba([file])[0]
    content = file.read_bytes()
    with file.open("rb") as opened, file.open("rb") as read:
        read.read(100)
        for same in (str(file), content, bytearray(content), opened, read, io.BytesIO(content)):
            np.testing.assert_allclose(ask.predict_proba([same])[0], expected, atol=1e-6)
    image = ask.predict_proba([Image.open(file)])[0]  # is decoded in full, and turned all the same
    np.testing.assert_allclose(image, expected, atol=0.05)


def test_whatever_a_picture_comes_as(trained, files):
    ask = qv.Predictor(trained)
    image = Image.open(files[0])
    said = [ask.predict(p).prob for p in (files[0], files[0].read_bytes(), image, np.array(image))]
    assert said == pytest.approx([said[0]] * 4)
    assert ask.predict(image.convert("L")).label in ask.vocab


def test_what_speaks_for_a_class_is_what_heatmap_says(trained, files):
    ask = qv.Predictor(trained)
    best = ask.predict(files[0]).label
    np.testing.assert_allclose(ask.heatmap(files[0]), ask.heatmap(files[0], best), rtol=1e-5)
    for label in ask.vocab:
        found = ask.heatmap(files[0], label)
        assert (found.shape, found.dtype) == ((8, 8), np.float32)
        np.testing.assert_allclose(
            found, qv.heatmap(trained, files[0], label), rtol=1e-3, atol=1e-5
        )
    with pytest.raises(ValueError, match="got 'gren'; did you mean 'green'"):
        ask.heatmap(files[0], "gren")
    with pytest.raises(qv.DataError, match="got nothing at"):
        ask.heatmap("gone.jpg")


def test_onnx_gives_answers_alone(shipped, files):
    with pytest.raises(
        qv.ModelError, match="got OnnxEngine, which gives answers alone; load_model"
    ):
        qv.load_model(shipped, engine="onnx").heatmap(files[0])
    assert qv.load_model(shipped, engine="torch").heatmap(files[0]).ndim == 2


def test_nothing_to_predict(trained):
    ask = qv.Predictor(trained)
    assert ask.predict_proba([]).shape == (0, 3)
    assert ask.predict_many([]).empty


def test_plain_fastai_learners_answer_too(class_folders, tiny_net):
    from fastai.vision.augment import Resize, aug_transforms
    from fastai.vision.data import ImageDataLoaders
    from fastai.vision.learner import vision_learner

    dls = ImageDataLoaders.from_folder(
        class_folders, valid_pct=0.2, item_tfms=Resize(40), batch_tfms=aug_transforms(size=32),
        bs=6, num_workers=0,
    )  # fmt: skip
    learn = vision_learner(dls, tiny_net, pretrained=False)
    probs = qv.Predictor(learn).predict_proba(dls.valid_ds.items)
    with learn.no_bar(), learn.no_logging():
        expected, _ = learn.get_preds()
    np.testing.assert_allclose(probs, expected, atol=1e-5)


def test_random_crops_do_not_mix_up_pictures_that_are_opened_side_by_side(class_folders, tiny_net):
    from fastai.vision.augment import RandomResizedCrop

    dls = qv.from_folder(class_folders, size=32, bs=6, item_tfms=RandomResizedCrop(32))
    learn = qv.cnn_learner(dls, tiny_net, weights=None)
    probs = qv.Predictor(learn).predict_proba(list(dls.valid_ds.items) * 5)
    np.testing.assert_allclose(probs, np.tile(probs[:7], (5, 1)), atol=1e-5)


def test_it_has_weights_of_its_own_and_leaves_the_learner_alone(trained, files):
    trained.model.train()
    before = {k: v.clone() for k, v in trained.model.state_dict().items()}
    rng = torch.get_rng_state()
    ask = qv.Predictor(trained)
    assert torch.equal(torch.get_rng_state(), rng)
    first = ask.predict_proba(files)
    assert trained.model.training
    assert all(torch.equal(v, before[k]) for k, v in trained.model.state_dict().items())
    qv.fit_unfrozen(trained, 1, lr_max=1e-1, verbose=False)
    np.testing.assert_array_equal(ask.predict_proba(files), first)


@pytest.mark.parametrize("many", [True, False])
def test_a_bad_file_is_named(trained, files, tmp_path, many):
    ask = qv.Predictor(trained)
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    for file, match in ((bad, "bad.jpg"), (tmp_path / "gone.jpg", "got nothing at .*gone.jpg")):
        with pytest.raises(qv.DataError, match=match):
            ask.predict_proba([files[0], file]) if many else ask.predict(file)
    assert len(ask.predict_proba(files)) == 7  # and goes on working


def test_a_single_one_is_not_many(trained, files):
    with pytest.raises(TypeError, match=r"got a single one, .*; use predict\(\)"):
        qv.Predictor(trained).predict_many(files[0])


def test_a_batch_of_nothing(trained, files):
    with pytest.raises(ValueError, match="bs: expected a whole number from 1, got 0"):
        qv.Predictor(trained).predict_proba(files, bs=0)


def test_several_threads_may_ask_at_once(trained, files):
    ask = qv.Predictor(trained)
    alone = ask.predict_proba(files)
    with ThreadPoolExecutor(4) as pool:
        sizes = [1, 2, 3, 7] * 5
        for probs in pool.map(lambda bs: ask.predict_proba(files, bs=bs), sizes):
            np.testing.assert_allclose(probs, alone, atol=1e-5)


def damaged(file):
    return {
        "no picture": b"xx",
        "nothing": b"",
        "cut short": file.read_bytes()[:900],
        "a file in memory": io.BytesIO(b"no picture"),
    }


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("what", damaged(Path(__file__)))
def test_broken_bytes_are_said(trained, files, class_folders, tiny_net, what, plain):
    learn = trained
    if plain and what == "a file in memory":
        pytest.skip("fastai's opener takes none")
    if plain:
        options = {"item_tfms": Resize(32), "bs": 6, "num_workers": 0, "valid_pct": 0.2}
        dls = ImageDataLoaders.from_folder(class_folders, **options)
        learn = qv.cnn_learner(dls, tiny_net, weights=None)
    ask, bad = qv.Predictor(learn), damaged(files[0])[what]
    with pytest.raises(qv.DataError, match="expected a picture that can be read, got .*bytes"):
        ask.predict(bad)
    with pytest.raises(qv.DataError, match="expected a picture that can be read"):
        ask.predict_proba([files[0].read_bytes(), damaged(files[0])[what]])


def test_arrays_are_answered_right_or_refused(trained, files):
    ask = qv.Predictor(trained)
    pixels = np.array(Image.open(files[0]))
    opaque = np.dstack([pixels, np.full(pixels.shape[:2], 255, dtype=np.uint8)])
    expected = ask.predict(files[0]).prob
    planes = TensorImage(torch.from_numpy(pixels).permute(2, 0, 1))
    for same in (opaque, torch.from_numpy(pixels), planes, planes.long()):
        assert ask.predict(same).prob == pytest.approx(expected)
    grey = np.array(Image.open(files[0]).convert("L"))
    expected = ask.predict(Image.fromarray(grey)).prob
    for same in (grey, grey[:, :, None], grey.astype(np.uint16) * 257):
        assert ask.predict(same).prob == pytest.approx(expected)
    for kind in ("float32", "float64", "int64", "bool"):
        with pytest.raises(TypeError, match=f"expected an array of uint8 .* got {kind}"):
            ask.predict(pixels.astype(kind))
    assert ask.predict(planes / 255).prob == pytest.approx(ask.predict(files[0]).prob)
    for shape in ((32, 32, 2), (32,), (0, 32, 3), (1, 32, 32, 3)):
        with pytest.raises(ValueError, match="expected an array .height, width, 3."):
            ask.predict(np.zeros(shape, dtype=np.uint8))


def test_asking_draws_no_random_numbers(trained, files):
    ask = qv.Predictor(trained)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    ask.predict(files[0])
    ask.predict_many(files)
    now = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert now == before


def test_a_folder_is_no_picture_and_a_run_is_asked_by_its_learner(learner, tmp_path):
    from types import SimpleNamespace

    ask = qv.Predictor(SimpleNamespace(learn=learner))
    assert ask.vocab == tuple(learner.dls.vocab)
    with pytest.raises(qv.DataError, match=r"got a folder, .*predict_many\("):
        ask.predict(tmp_path)
