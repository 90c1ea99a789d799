from __future__ import annotations

import unicodedata

import pytest

from quickvision.data.tree import (
    Tree,
    fold,
    is_id,
    is_part,
    is_version,
    pictures_beside,
    share_kinds,
    side_of,
)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        *((name, "train") for name in ("train", "Training", "cars_train", "trainset", "train2017")),
        *((name, "train") for name in ("Training Set", "train_images", "TRAIN", "imgTrain")),
        *((name, "valid") for name in ("val", "validation-images", "VALID", "val_set", "dev")),
        *((name, "test") for name in ("test1", "seg_pred", "Testing", "test_set", "unlabeled")),
        *((name, "") for name in ("invalid", "trainer", "test strip", "train ticket", "contest")),
        *((name, "") for name in ("train_test", "cats", "2019", "", "latest", "protest")),
    ],
)
def test_sides_by_name(name, side):
    assert side_of(name) == side


def test_versions_parts_and_ids_by_name():
    assert all(map(is_version, ["grayscale", "224x224", "images_cropped", "RGB"]))
    assert all(map(is_part, ["part_1", "HAM10000_images_part_2", "fold3", "2019", "batch-07"]))
    assert all(map(is_id, ["patient_07", "slide-3b", "Video12", "case 4"]))
    for classes in ("cats", "dogs", "apple", "great_dane", "boxer_2", "sports_car", "room"):
        assert not any(called(classes) for called in (is_version, is_part, is_id))


def test_a_tree_knows_what_lies_where():
    tree = Tree(["a/1.jpg", "a/2.jpg", "b/deep/1.jpg", "0.jpg"])
    assert (tree.kids(""), tree.kids("b/"), tree.kids("gone/")) == (["a/", "b/"], ["b/deep/"], [])
    assert (tree.own[""], tree.all[""], tree.all["b/"]) == (1, 4, 1)
    assert list(tree.below("b/")) == ["deep/1.jpg"]


def test_wrappers_are_entered_and_class_folders_are_not():
    assert Tree(["x/y/a/1.jpg", "x/y/b/1.jpg"]).entered("") == "x/y/"
    assert Tree(["images/1.jpg", "masks/1.png", "xmls/2.png"]).entered("") == "images/"
    assert Tree(["images/1.jpg", "cats/1.png"]).entered("") == ""
    many = [f"{i}.jpg" for i in range(10)]
    assert Tree([*many, "x/a/1.jpg"]).entered("") == ""  # most lie here
    assert Tree(["x/a/1.jpg", "x/b/1.jpg"]).kinds("") == {"a", "b"}


def test_masks_beside_pictures():
    assert pictures_beside(["d/images/", "d/annotations/"]) == "d/images/"
    assert pictures_beside(["d/images/", "d/Bounding Boxes/"]) == "d/images/"
    assert pictures_beside(["d/images/"]) == ""
    assert pictures_beside(["d/images/", "d/imgs/", "d/masks/"]) == ""


def test_names_in_common():
    assert share_kinds({"x": {"a", "b"}, "y": {"a", "b", "c"}}) == {"a", "b"}
    assert share_kinds({"x": {"a", "b"}, "y": {"c", "d"}}) == set()
    assert share_kinds({"x": {"images"}, "y": {"images"}}) == set()  # each holds its own
    assert share_kinds({"x": {"a", "b"}, "y": set()}) == set()


def test_what_people_overlook():
    one, other = (unicodedata.normalize(form, "Café ") for form in ("NFC", "NFD"))
    assert fold(one) == fold(other) == "café"
