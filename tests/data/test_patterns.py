from __future__ import annotations

import pytest

from quickvision.data.patterns import propose_pattern


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["great_pyrenees_12.jpg", "pug_1.jpg"] * 2, {"great_pyrenees", "pug"}),
        (["cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg"], {"cat", "dog"}),
        (["cat (1).jpg", "cat (2).jpg", "dog (1).jpg", "dog (2).jpg"], {"cat", "dog"}),
        (["cat1.jpg", "cat2.jpg", "dog10.jpg", "dog11.jpg"], {"cat", "dog"}),
        (["0001_cat.png", "0002_cat.png", "0003_dog.png", "0004_dog.png"], {"cat", "dog"}),
        (["cat-1.webp", "cat-2.webp", "dog-1.webp", "dog-2.webp"], {"cat", "dog"}),
    ],
)
def test_names_as_data_sets_have_them(names, labels):
    import re

    pattern = propose_pattern(names)
    assert {re.search(pattern, name)[1] for name in names} == labels


@pytest.mark.parametrize(
    "names",
    [
        [f"IMG_{i:04d}.jpg" for i in range(20)],
        [f"IMG_2024010{i % 3}_{i:06d}.jpg" for i in range(20)],
        [f"{i:032x}.jpg" for i in range(20)],
        [f"one_of_a_kind_{chr(97 + i)}_1.jpg" for i in range(20)],
        ["a.jpg"],
    ],
)
def test_no_pattern_is_made_up(names):
    assert propose_pattern(names) is None


@pytest.mark.parametrize(
    "names",
    [
        [f"Train_{i}.jpg" for i in range(10)] + [f"Test_{i}.jpg" for i in range(10)],
        [f"patient{i % 3}_{i}.png" for i in range(20)],
        [f"{i % 4:03d}_{i}.png" for i in range(20)],
    ],
)
def test_sides_and_ids_are_no_labels(names):
    assert propose_pattern(names) is None


def test_ids_may_be_asked_for():
    assert propose_pattern([f"{i % 4:03d}_{i}.png" for i in range(20)], ids=True)


def test_views_of_one_thing_are_no_classes():
    assert (
        propose_pattern([f"{i}_{side}.jpg" for i in range(9) for side in ("left", "right")]) is None
    )
