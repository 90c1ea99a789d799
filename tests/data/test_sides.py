from __future__ import annotations

import shutil
from itertools import product

import pytest

import quickvision as qv
from quickvision.data.sides import arrange


def files(*tops, kinds=("a", "b"), n=3):
    return [f"{top}/{kind}/{i}.jpg" for top, kind, i in product(tops, kinds, range(n))]


def flat(*tops, n=3):
    return [f"{top}/{i}.jpg" for top, i in product(tops, range(n))]


def sides(tmp_path, names, **options):
    found = arrange(tmp_path, names, **options)
    return dict(found.sides), found.labelled


@pytest.mark.parametrize(
    ("names", "right"),
    [
        (files("train", "val"), {"train/": "train", "val/": "valid"}),
        (files("x_train", "x_test"), {"x_train/": "train", "x_test/": "valid"}),
        (
            [*files("seg_train/seg_train", "seg_test/seg_test"), *flat("seg_pred/seg_pred")],
            {
                "seg_train/seg_train/": "train",
                "seg_test/seg_test/": "valid",
                "seg_pred/seg_pred/": "test",
            },
        ),
        (files("train", "val", "test"), {"train/": "train", "val/": "valid", "test/": "test"}),
        ([*files("train"), *flat("test")], {"train/": "train", "test/": "test"}),
        ([*files("train"), *flat("test/unknown")], {"train/": "train", "test/unknown/": "test"}),
        (
            files("deep/er/train", "deep/er/val"),
            {"deep/er/train/": "train", "deep/er/val/": "valid"},
        ),
        ([*flat("a", "b"), *files("test")], {"": "train", "test/": "valid"}),
        (files("data", "test"), {"data/": "train", "test/": "valid"}),
        (files("part_1", "part_2"), {"part_1/": "train", "part_2/": "train"}),
        (files("2019", "2020"), {"2019/": "train", "2020/": "train"}),
        ([*files("images"), *flat("annotations")], {"images/": "train"}),
        (files("train/images", "val/images"), {"train/images/": "train", "val/images/": "valid"}),
        (
            [*files("all/all/train", "all/all/valid"), *flat("test/test")],
            {"all/all/train/": "train", "all/all/valid/": "valid", "test/test/": "test"},
        ),
        ([*files("photos of pets"), *flat("test")], {"photos of pets/": "train", "test/": "test"}),
        ([*files("data"), *flat("docs"), "logo.png"], {"data/": "train"}),
        ([*files("images"), *flat("background")], {"images/": "train"}),
        ([*files("toons"), *flat("my_testset")], {"toons/": "train", "my_testset/": "test"}),
    ],
)
def test_sides_by_what_lies_in_them(tmp_path, names, right):
    assert sides(tmp_path, names) == (right, True)


@pytest.mark.parametrize(
    "names",
    [
        flat("cats", "dogs"),
        flat("bus", "car", "train"),
        flat("valid", "invalid"),
        flat("runs", "walks"),
        flat("test_pos", "test_neg"),
        flat("control", "test"),
        flat("train ticket", "test strip"),
        files("cats", "dogs", kinds=("indoor", "outdoor")),
        files("cats", "dogs", kinds=("images",)),
        flat(*map(str, range(12))),
        files("0", "1", kinds=("left", "right")),
        files("ants", "bees", kinds=("patient_1", "patient_2", "patient_3")),
        files("ants", "bees", kinds=("001", "002", "003")),
    ],
)
def test_classes_stay_classes(tmp_path, names):
    assert sides(tmp_path, names) == ({"": "train"}, True)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (files("color", "gray", "segmented"), "color, gray, segmented .*versions"),
        (files("amazon", "dslr", kinds="abcd"), "amazon, dslr .*sides or versions"),
        (files("10253", "10254", "10255"), "10253, .*like people, things or parts.*groups="),
        (flat("patient_1", "patient_2"), "patient_1, patient_2, which look like"),
        (
            [*flat("cats", "dogs"), *flat("test")],
            "cats, dogs and test, which is called like a side",
        ),
        ([*files("train"), *flat("val/images")], r"class folders of train in .*val.*valid=0\.2"),
        (files("valid"), "a folder 'train' beside valid.*from_folder"),
        (files("valid", "test"), "a folder 'train' beside valid, test"),
        (files("40X", "100X", "200X"), "40X, 100X, 200X .*versions"),
        (["a/abbey/1.jpg", "a/arch/1.jpg", "b/bay/1.jpg", "b/bar/1.jpg"], "a, b, .*or parts"),
        (
            [*files("train", kinds=("good",)), *files("test", kinds=("good", "bad"))],
            "in .*train, got good, where test has bad, good.*from_folder",
        ),
        (files("1", "2", "3"), "1, 2, 3, .*like people, things or parts"),
        (files("S010", "S011", kinds=("001", "002")), "S010, S011, .*like people"),
        (
            files(*map("/".join, product(("K1", "K2"), ("train", "test")))),
            "K1, K2, each with sides",
        ),
        (
            [*files("lung_sets", kinds="xy"), *files("colon_sets", kinds="pq")],
            "lung_sets, colon_sets, which are called like data sets",
        ),
        ([*flat("a", "b"), *files("more")], "beside them, more with folders of the same names"),
    ],
)
def test_what_can_be_read_in_several_ways_is_asked(tmp_path, names, said):
    with pytest.raises(qv.DataError, match=said):
        arrange(tmp_path, names)


def test_copies_are_left_alone(tmp_path, picture):
    for i, kind in product(range(3), "ab"):
        picture(tmp_path / kind / f"{i}.png", seed=i)
        picture(tmp_path / "again" / kind / f"{i}.png", seed=i)
    names = [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*.png"))]
    found = arrange(tmp_path, names)
    assert (found.sides, list(found.aside)) == ({"": "train"}, ["again/"])
    shutil.rmtree(tmp_path / "a"), shutil.rmtree(tmp_path / "b")
    shutil.copytree(tmp_path / "again", tmp_path / "once more")
    found = arrange(tmp_path, [f"{top}/{n}" for top in ("again", "once more") for n in names[:6]])
    assert list(found.aside) == [] or found.sides == {"again/": "train"}


def test_a_fraction_leaves_the_other_sides_alone(tmp_path):
    names = files("train", "val", "test")
    found = arrange(tmp_path, names, valid=0.3)
    assert (found.of("train"), found.of("valid")) == (["train/"], [])
    assert set(found.of("test")) == {"val/", "test/"}
    bare = [*files("train"), *flat("val/images")]
    assert arrange(tmp_path, bare, valid=0.2).of("test") == ["val/images/"]


@pytest.mark.parametrize("named", ["test", "TEST", "x/test", "held", "x/y/held"])
def test_a_named_side_is_found(tmp_path, named):
    top = named.rpartition("/")[0]
    top = f"{top}/" if top else ""
    side = "held" if "held" in named else "test"
    names = files(f"{top}train", f"{top}val", f"{top}{side}")
    found = arrange(tmp_path, names, valid=named)
    assert (found.of("train"), found.of("valid")) == ([f"{top}train/"], [f"{top}{side}/"])


def test_a_named_side_beside_class_folders(tmp_path):
    found = arrange(
        tmp_path, [*flat("cats", "dogs"), *files("mine", kinds=("cats",))], valid="mine"
    )
    assert (found.of("train"), found.of("valid")) == ([""], ["mine/"])
    with pytest.raises(qv.DataError, match="folder 'mien' to validate .*did you mean 'mine'"):
        arrange(tmp_path, [*flat("cats", "dogs"), *files("mine")], valid="mien")


def test_folds_are_trained_on_beside_the_one_that_is_named(tmp_path):
    found = arrange(tmp_path, files("fold1", "fold2", "fold3"), valid="fold3")
    assert (found.of("train"), found.of("valid")) == (["fold1/", "fold2/"], ["fold3/"])


def test_a_copy_of_a_class_is_no_class(tmp_path, picture):
    for i, kind in product(range(3), ("cats", "dogs")):
        picture(tmp_path / kind / f"{i}.png", seed=i)
    shutil.copytree(tmp_path / "cats", tmp_path / "cats - Copy")
    picture(tmp_path / "dogs (1)" / "0.png", seed=9)  # another picture
    names = [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*.png"))]
    assert list(arrange(tmp_path, names).aside) == ["cats - Copy/"]


def test_masks_in_class_folders_are_left_alone(tmp_path):
    names = flat("cats/images", "cats/masks", "dogs/images", "dogs/masks")
    found = arrange(tmp_path, names)
    assert found.sides == {"": "train"}
    assert set(found.aside) == {"cats/masks/", "dogs/masks/"}
