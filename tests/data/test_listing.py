from __future__ import annotations

import re
from pathlib import Path

import pytest

import quickvision as qv
from quickvision.data.listing import how_to_label

pytestmark = pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
SMALL = {"size": 32, "bs": 4}


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


def test_a_relative_folder_and_a_v1_pattern_go_together(named_files, monkeypatch):
    monkeypatch.chdir(named_files)
    dls = qv.from_name_re(".", r"/([^/]+)_\d+.png$", **SMALL)
    assert list(dls.vocab) == ["blue", "green", "red"]
    mixed = ["red_0.png", "red_1.png", *(named_files / f"blue_{i}.png" for i in range(4))]
    assert len(qv.from_name_re(mixed, r"(.+)_", size=32, bs=2).train_ds) == 4


def test_one_file_by_two_names_is_one_picture(named_files, monkeypatch):
    monkeypatch.chdir(named_files)
    files = sorted(named_files.glob("*.png"))
    twice = [*files, *(Path(f.name) for f in files), *(f"../named/{f.name}" for f in files)]
    assert len(qv.from_name_re(twice, r"^(.+)_", **SMALL).split) == 30


def test_the_table_that_is_named_is_the_likeliest_one():
    others = ["sample_submission.csv", "test.csv", "labels.csv", "notes.csv"]
    assert "labels.csv says" in how_to_label(Path("d"), Path("d/train"), others)
    others = ["valid/_classes.csv", "train/_classes.csv"]
    assert "train/_classes.csv says" in how_to_label(Path("d"), Path("d/train"), others)
