from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import fastai.callback.progress  # noqa: F401  gives every Learner no_bar
import numpy as np
import pytest
import torch
from fastai.data.core import DataLoaders

import quickvision as qv

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


@pytest.mark.parametrize(
    ("train", "valid"), [("training", "validation"), ("training_set", "test_set"), ("Train", "VAL")]
)
def test_two_sides_by_any_usual_name(train_and_val, train, valid):
    (train_and_val / "train").rename(train_and_val / train)
    (train_and_val / "val").rename(train_and_val / valid)
    dls = qv.from_folder(train_and_val, **SMALL)
    assert (list(dls.vocab), len(dls.valid_ds)) == (["green", "red"], 8)


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
    assert {Path(w.filename).name for w in said} == {Path(__file__).name}
