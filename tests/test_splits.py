from __future__ import annotations

from collections import Counter

from quickvision.splits import stratified_split


def names(labels):
    return [f"{label}_{i}.jpg" for i, label in enumerate(labels)]


def test_split_is_stratified_and_sums_to_the_fraction():
    labels = ["a"] * 70 + ["b"] * 25 + ["c"] * 5
    held = stratified_split(names(labels), labels, valid=0.2)
    assert Counter(y for y, h in zip(labels, held, strict=True) if h) == {"a": 14, "b": 5, "c": 1}


def test_split_leaves_one_of_each_class_on_each_side():
    labels = ["a"] * 2 + ["b"] * 300
    for valid in (0.01, 0.99):
        held = stratified_split(names(labels), labels, valid=valid)
        for side in (True, False):
            assert {y for y, h in zip(labels, held, strict=True) if h == side} == {"a", "b"}
