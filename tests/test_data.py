from __future__ import annotations

import pickle
import random
import re
from collections import Counter
from pathlib import Path

import fastai.callback.progress  # noqa: F401  gives every Learner no_bar
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from fastai.data.core import DataLoaders
from fastai.vision.augment import Resize
from fastai.vision.core import PILImage
from fastcore.foundation import L
from PIL import Image

import quickvision as qv
from quickvision.labels import FolderLabel

pytestmark = pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
SMALL = {"size": 32, "bs": 4}


def names(dl):
    return [path.name for path in dl.items]


def test_class_folders_are_split_by_fraction(class_folders):
    dls = qv.from_folder(class_folders, valid=0.25, **SMALL)
    assert type(dls) is DataLoaders
    assert list(dls.vocab) == ["blue", "green", "red"]
    assert Counter(p.parent.name for p in dls.valid.items) == {"red": 3, "green": 3, "blue": 3}
    assert not set(dls.train.items) & set(dls.valid.items)
    x, y = dls.one_batch()
    assert (x.shape, y.shape) == ((4, 3, 32, 32), (4,))
    assert dls.path == class_folders
    assert dls.skipped.empty


@pytest.mark.parametrize("name", ["valid", "val", "validation", "test"])
def test_the_validation_folder_is_found_by_any_of_its_names(train_and_val, name):
    (train_and_val / "val").rename(train_and_val / name)
    dls = qv.from_folder(train_and_val, **SMALL)
    assert (len(dls.train_ds), len(dls.valid_ds)) == (16, 8)
    assert {path.parent.parent.name for path in dls.valid.items} == {name}


def test_train_without_a_validation_folder_is_split(train_and_val):
    (train_and_val / "val").rename(train_and_val.parent / "elsewhere")
    dls = qv.from_folder(train_and_val, **SMALL)
    assert (len(dls.train_ds), len(dls.valid_ds)) == (13, 3)


def test_deeper_folders_belong_to_their_class(class_folders, picture):
    picture(class_folders / "red" / "more" / "deep" / "x.png")
    dls = qv.from_folder(class_folders, **SMALL)
    assert list(dls.vocab) == ["blue", "green", "red"]
    assert len(dls.train_ds) + len(dls.valid_ds) == 37


@pytest.mark.parametrize("pat", [r"^(.+)_\d+\.png$", r"/([^/]+)_\d+.png$", re.compile(r"(\w+)_")])
def test_labels_come_from_names_or_paths(named_files, pat):
    dls = qv.from_name_re(named_files, pat, **SMALL)
    assert list(dls.vocab) == ["blue", "green", "red"]
    item = dls.valid.items[0]
    assert dls.valid_ds[0][1] == dls.vocab.o2i[item.name.split("_")[0]]


def test_files_can_be_given_as_a_list(named_files):
    files = [str(path) for path in named_files.glob("*.png") if not path.name.startswith("blue")]
    dls = qv.from_name_re(files, r"(.+)_", **SMALL)
    assert list(dls.vocab) == ["green", "red"]


def test_the_same_seed_gives_the_same_split_and_order(named_files):
    one, two, other = (qv.from_name_re(named_files, r"(.+)_", seed=s, **SMALL) for s in (1, 1, 2))
    assert names(one.valid) == names(two.valid) != names(other.valid)
    assert (one.one_batch()[1] == two.one_batch()[1]).all()


def test_the_global_random_state_stays_as_it_was(class_folders):
    random.seed(7), np.random.seed(7), torch.manual_seed(7)
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    qv.from_folder(class_folders, **SMALL)
    assert random.getstate() == states[0]
    assert (np.random.get_state()[1] == states[1]).all()
    assert (torch.get_rng_state() == states[2]).all()


def test_nothing_in_the_data_folder_changes(class_folders):
    def look():
        return {p: (p.stat().st_size, p.stat().st_mtime_ns) for p in class_folders.rglob("*")}

    before = look()
    qv.from_folder(class_folders, **SMALL).one_batch()
    assert look() == before


def test_transforms_pass_through(class_folders):
    dls = qv.from_folder(class_folders, item_tfms=Resize((24, 16)), batch_tfms=[], bs=4)
    assert dls.one_batch()[0].shape == (4, 3, 24, 16)
    assert qv.from_folder(class_folders, size=(24, 16), bs=4).one_batch()[0].shape[-2:] == (24, 16)


def test_show_batch_works(class_folders):
    qv.from_folder(class_folders, **SMALL).show_batch(max_n=4)
    import matplotlib.pyplot as plt

    assert len(plt.gcf().axes) == 4
    plt.close("all")


def test_workers_read_the_same_pictures(class_folders):
    dls = qv.from_folder(class_folders, num_workers=2, **SMALL)
    assert len(list(dls.valid)) == 2
    assert (
        pickle.loads(pickle.dumps(FolderLabel([class_folders])))(class_folders / "a/b.png") == "a"
    )


class TestLeftOut:
    pytestmark = pytest.mark.filterwarnings("default::quickvision.DataWarning")

    def test_unreadable_files_are_left_out_and_said(self, class_folders):
        (class_folders / "red" / "broken.jpg").write_text("not a picture")
        with pytest.warns(
            qv.DataWarning, match=r"left out 1 of 37 .*broken\.jpg \(not a picture: no format"
        ):
            dls = qv.from_folder(class_folders, **SMALL)
        assert [path.name for path in dls.skipped["path"]] == ["broken.jpg"]
        assert "broken.jpg" not in names(dls.train) + names(dls.valid)

    def test_a_placeholder_among_photos_is_left_out(self, class_folders, picture):
        for path in list(class_folders.rglob("*.png")):
            Image.open(path).save(path.with_suffix(".jpg"))
            path.unlink()
        Image.new("P", (30, 30), 3).save(class_folders / "red" / "imageNotFound.gif")
        with pytest.warns(qv.DataWarning, match="looks like a placeholder.* GIF among JPEG"):
            dls = qv.from_folder(class_folders, **SMALL)
        assert len(dls.skipped) == 1

    def test_drawings_among_drawings_stay(self, tmp_path):
        for label in ("a", "b"):
            (tmp_path / label).mkdir()
            for i in range(6):
                Image.new("P", (30, 30), i).save(tmp_path / label / f"{i}.gif")
        assert qv.from_folder(tmp_path, **SMALL).skipped.empty

    def test_without_the_check_nothing_is_read(self, class_folders):
        (class_folders / "red" / "broken.jpg").write_text("not a picture")
        dls = qv.from_folder(class_folders, check=False, **SMALL)
        assert len(dls.train_ds) + len(dls.valid_ds) == 37

    def test_pictures_outside_class_folders_are_said(self, class_folders, picture):
        picture(class_folders / "stray.png")
        with pytest.warns(qv.DataWarning, match=r"stray\.png \(not in a class folder\)"):
            qv.from_folder(class_folders, **SMALL)

    def test_names_without_a_label_are_said(self, named_files, picture):
        picture(named_files / "nolabel.png")
        with pytest.warns(qv.DataWarning, match="no label: .* does not match"):
            qv.from_name_re(named_files, r"(.+)_\d+", **SMALL)

    def test_a_class_that_is_not_validated_is_said(self, train_and_val, picture):
        for i in range(3):
            picture(train_and_val / "train" / "blue" / f"{i}.png", "blue")
        with pytest.warns(qv.DataWarning, match="val has no pictures of blue"):
            qv.from_folder(train_and_val, **SMALL)

    def test_a_batch_larger_than_the_data_is_lowered(self, class_folders):
        with pytest.warns(qv.DataWarning, match="bs lowered from 64 to 7: .* 29 training pictures"):
            dls = qv.from_folder(class_folders, size=32)
        assert (dls.train.bs, len(dls.train)) == (7, 4)


class TestBadInput:
    def test_missing_folder(self, class_folders):
        with pytest.raises(qv.DataError, match="got nothing at .*did you mean 'colours'"):
            qv.from_folder(class_folders.parent / "colors")

    def test_a_file_in_place_of_a_folder(self, named_files):
        with pytest.raises(qv.DataError, match="got a file"):
            qv.from_folder(named_files / "red_0.png")

    def test_no_pictures(self, tmp_path):
        (tmp_path / "notes.txt").write_text("x")
        with pytest.raises(qv.DataError, match="expected pictures in .*, got none"):
            qv.from_folder(tmp_path)

    def test_only_bad_pictures(self, tmp_path):
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "x.jpg").write_text("x")
        with pytest.raises(qv.DataError, match="that can be read, got none"):
            qv.from_folder(tmp_path)

    def test_a_flat_folder_points_to_the_other_door(self, named_files):
        with pytest.raises(qv.DataError, match="expected class folders .* use from_name_re"):
            qv.from_folder(named_files)

    def test_one_class(self, class_folders):
        with pytest.raises(qv.DataError, match="at least two classes, got only 'red'"):
            qv.from_name_re(class_folders / "red", r"(.+)_", **SMALL)

    def test_a_class_with_one_picture(self, class_folders, picture):
        picture(class_folders / "rare" / "1.png")
        with pytest.raises(qv.DataError, match="at least 2 pictures of each class.* got 1 of rare"):
            qv.from_folder(class_folders, **SMALL)

    def test_an_empty_validation_folder(self, train_and_val):
        for path in (train_and_val / "val").rglob("*.png"):
            path.unlink()
        with pytest.raises(
            qv.DataError, match=r"expected pictures to validate on in .*val, got none"
        ):
            qv.from_folder(train_and_val, **SMALL)

    def test_a_class_only_in_validation(self, train_and_val, picture):
        picture(train_and_val / "val" / "wasps" / "1.png")
        with pytest.raises(qv.DataError, match="got also wasps; train has green, red"):
            qv.from_folder(train_and_val, **SMALL)

    def test_validation_without_train(self, train_and_val):
        (train_and_val / "train").rename(train_and_val.parent / "gone")
        with pytest.raises(qv.DataError, match="expected a folder 'train' beside"):
            qv.from_folder(train_and_val, **SMALL)

    @pytest.mark.parametrize(
        ("option", "value", "match"),
        [
            ("valid", 20, "expected a fraction such as 0.2"),
            ("valid", 0, "expected a fraction"),
            ("size", 0, "expected pixels"),
            ("size", "224", "expected pixels"),
            ("size", (224, 224, 3), "expected pixels"),
            ("bs", 1, "at least 2"),
            ("bs", 2.5, "at least 2"),
            ("num_workers", -1, "0 or more"),
        ],
    )
    def test_options_out_of_range(self, class_folders, option, value, match):
        with pytest.raises(ValueError, match=match):
            qv.from_folder(class_folders, **{option: value})

    @pytest.mark.parametrize(
        ("pat", "match"),
        [
            (r"(.+", "expected a regular expression"),
            (r".+_\d+", "one group, the label, got 0 groups"),
            (r"(.+)_(\d+)", "one group, the label, got 2 groups"),
        ],
    )
    def test_patterns_that_cannot_label(self, named_files, pat, match):
        with pytest.raises(ValueError, match=match):
            qv.from_name_re(named_files, pat)

    def test_a_pattern_that_matches_nothing(self, named_files):
        with pytest.raises(qv.DataError, match=r"no match in 30: .*blue_0\.png.* and 27 more"):
            qv.from_name_re(named_files, r"^(.+)_\d+\.jpeg$")

    def test_files_that_do_not_exist(self, named_files):
        with pytest.raises(qv.DataError, match=r"1 that do not exist: .*gone_1\.png"):
            qv.from_name_re([named_files / "red_0.png", named_files / "gone_1.png"], r"(.+)_")
        with pytest.raises(qv.DataError, match="got none"):
            qv.from_name_re([], r"(.+)_")


class TestSides:
    def test_folder_names_in_any_case(self, train_and_val):
        (train_and_val / "train").rename(train_and_val / "Train")
        (train_and_val / "val").rename(train_and_val / "VAL")
        dls = qv.from_folder(train_and_val, **SMALL)
        assert (list(dls.vocab), len(dls.valid_ds)) == (["green", "red"], 8)

    @pytest.mark.filterwarnings("default::quickvision.DataWarning")
    def test_folders_that_are_not_used_are_said(self, train_and_val, picture):
        picture(train_and_val / "holdout" / "red" / "1.png")
        (train_and_val / "notes").mkdir()
        with pytest.warns(qv.DataWarning, match="not used, neither to train .*: holdout in"):
            dls = qv.from_folder(train_and_val, **SMALL)
        assert len(dls.train_ds) == 16

    @pytest.mark.filterwarnings("default::quickvision.DataWarning")
    def test_pictures_to_predict_are_no_validation_folder(self, train_and_val, picture):
        (train_and_val / "val").rename(train_and_val.parent / "elsewhere")
        picture(train_and_val / "test" / "1.png")
        with pytest.warns(qv.DataWarning, match="not used, .*: test in"):
            dls = qv.from_folder(train_and_val, **SMALL)
        assert (len(dls.train_ds), len(dls.valid_ds)) == (13, 3)


def test_a_relative_folder_and_a_v1_pattern_go_together(named_files, monkeypatch):
    monkeypatch.chdir(named_files)
    dls = qv.from_name_re(".", r"/([^/]+)_\d+.png$", **SMALL)
    assert list(dls.vocab) == ["blue", "green", "red"]
    mixed = ["red_0.png", "red_1.png", *(named_files / f"blue_{i}.png" for i in range(4))]
    assert len(qv.from_name_re(mixed, r"(.+)_", size=32, bs=2).train_ds) == 4


@pytest.mark.parametrize("seed", [-1, 1.5, None])
def test_seeds_out_of_range(class_folders, seed):
    with pytest.raises(ValueError, match="seed: expected a whole number from 0"):
        qv.from_folder(class_folders, seed=seed)


class TestAsFastaiUsesThem:
    """What people do with `DataLoaders` and a `Learner` of plain fastai works on ours."""

    @pytest.fixture
    def dls(self, class_folders):
        return qv.from_folder(class_folders, **SMALL)

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
            "folder": lambda: qv.from_folder(class_folders, **SMALL),
            "names": lambda: qv.from_name_re(class_folders, r"^(.+)_", **SMALL),
            "table": lambda: qv.from_df(pd.DataFrame(rows), **SMALL),
            "renamed": lambda: qv.from_folder(class_folders, class_names=CAPITALS, **SMALL),
        }
        copy = pickle.loads(pickle.dumps(build[door]()))
        assert copy.valid_ds[0][1] == 0
        assert len(next(iter(copy.train))[0]) == 4


CAPITALS = {"red": "RED", "green": "GREEN", "blue": "BLUE"}


@pytest.mark.parametrize(
    ("train", "valid"), [("training", "validation"), ("training_set", "test_set"), ("Train", "VAL")]
)
def test_two_sides_by_any_usual_name(train_and_val, train, valid):
    (train_and_val / "train").rename(train_and_val / train)
    (train_and_val / "val").rename(train_and_val / valid)
    dls = qv.from_folder(train_and_val, **SMALL)
    assert (list(dls.vocab), len(dls.valid_ds)) == (["green", "red"], 8)


def test_one_file_by_two_names_is_one_picture(named_files, monkeypatch):
    monkeypatch.chdir(named_files)
    files = sorted(named_files.glob("*.png"))
    twice = [*files, *(Path(f.name) for f in files), *(f"../named/{f.name}" for f in files)]
    assert len(qv.from_name_re(twice, r"^(.+)_", **SMALL).split) == 30


@pytest.mark.filterwarnings("default::quickvision.DataWarning")
def test_a_class_that_is_lost_is_said(class_folders):
    for i in range(2):
        (class_folders / "gone").mkdir(exist_ok=True)
        (class_folders / "gone" / f"{i}.jpg").write_text("x")
    with pytest.warns(qv.DataWarning, match="no picture of gone can be used"):
        qv.from_folder(class_folders, max_bad=0.1, **SMALL)
    found = qv.check(class_folders, size=32, max_bad=0.1).findings
    assert "classes without a usable picture" in set(found["finding"])


@pytest.mark.filterwarnings("default::quickvision.DataWarning")
def test_warnings_point_to_the_line_that_called(train_and_val, picture):
    picture(train_and_val / "extra" / "red" / "1.png")
    picture(train_and_val / "train" / "stray.png")
    with pytest.warns(qv.DataWarning) as said:
        qv.from_folder(train_and_val, size=32, bs=64)
    assert len(said) == 3
    assert {Path(w.filename).name for w in said} == {"test_data.py"}


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"valid_pct": 0.2}, TypeError, "valid_pct: no such option; did you mean 'valid'"),
        ({"num_workers": "2"}, ValueError, "num_workers: expected a whole number"),
        ({"num_workers": 1.5}, ValueError, "num_workers: expected a whole number"),
        ({"max_bad": None}, ValueError, "max_bad: expected a fraction"),
        ({"cache": None}, ValueError, "cache: expected 'auto', True, False or a"),
        ({"cache": ""}, ValueError, "cache: expected 'auto', True, False or a"),
        ({"seed": 2**70}, ValueError, "seed: expected a whole number"),
        ({"valid": None}, TypeError, "valid: expected a fraction"),
        ({"valid": [1, 2]}, TypeError, "valid: expected files to validate on, got 1"),
    ],
)
def test_options_of_the_wrong_kind(class_folders, options, error, match):
    with pytest.raises(error, match=match):
        qv.from_folder(class_folders, **options)


def test_numpys_numbers_are_numbers(class_folders):
    dls = qv.from_folder(
        class_folders, valid=np.float32(0.25), size=np.int64(32), bs=np.int64(4), seed=np.int32(1)
    )
    assert (len(dls.valid_ds), dls.train.bs) == (9, 4)
