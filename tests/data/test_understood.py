from __future__ import annotations

import pytest

import quickvision as qv
from quickvision.data.understood import classes_line, understood_of

SMALL = {"size": 32, "bs": 4}


def test_classes_with_their_counts_and_the_two_sides(train_and_val, picture, capsys):
    for i in range(3):
        picture(train_and_val / "test" / f"{i}.png", seed=i)
    dls = qv.load_data(train_and_val, **SMALL)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 5
    assert said[1].endswith(f"the folders in {train_and_val / 'train'}")
    assert said[2] == "classes      2: green 12, red 12"
    assert said[3] == f"pictures     16 to train, 8 to validate: folder {train_and_val / 'val'}"
    assert said[4] == "test         3 pictures in test, left alone: dls.test_files"
    assert sorted(p.name for p in dls.test_files) == ["0.png", "1.png", "2.png"]
    assert str(understood_of(dls)).splitlines() == said


@pytest.mark.parametrize(
    ("valid", "said"),
    [
        (None, "20% of each class, seed 42"),
        (0.4, "40% of each class, seed 42"),
        (lambda path: path.stem.endswith("0"), "valid= says which"),
    ],
)
def test_where_the_split_comes_from(class_folders, valid, said):
    dls = qv.from_folder(class_folders, valid=valid, **SMALL)
    assert dls.understood["pictures"].endswith(f"to validate: {said}")


def test_many_classes_in_one_line():
    counts = {f"c{i}": 10 for i in range(40)}
    assert classes_line(counts).endswith("c4 10 and 35 more; each has 10")
    assert classes_line(counts | {"few": 2, "most": 30}).endswith("fewest few 2, most most 30")


def test_loaders_not_our_own_say_nothing(class_folders):
    from fastai.vision.all import ImageDataLoaders

    assert not understood_of(ImageDataLoaders.from_folder(class_folders, valid_pct=0.2))
