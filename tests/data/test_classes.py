from __future__ import annotations

import pytest

from quickvision.data.classes import in_order, look_alikes, mirrored


@pytest.mark.parametrize(
    "right",
    [
        ["0", "1", "2", "9", "10", "11"],
        ["class_1", "class_2", "class_10"],
        ["9. Warts", "10. Acne"],
        ["-10", "-2", "3"],
        ["0.5", "1", "10"],
        ["part-2", "part-10"],
        ["001.Albatross", "002.Auklet", "010.Jay"],
        ["boxer", "pug"],
        ["a10", "b2"],  # no common text: no numbering
        ["10", "9", "x"],
    ],
)
def test_numbered_classes_are_in_the_order_of_their_numbers(right):
    assert in_order(reversed(right)) == in_order(right) == right


def test_names_that_differ_in_case_blanks_or_accents_are_found():
    composed, apart = "caf\u00e9", "cafe\u0301"
    assert look_alikes(["Cat", "cat", " cat"]) == [[" cat", "Cat", "cat"]]
    assert look_alikes([composed, apart]) == [sorted([composed, apart])]
    assert look_alikes(["great dane", "great_dane"])
    assert not look_alikes(["A", "a", "cat", "cats", "1", "-1", "v1", "v 2"])


@pytest.mark.parametrize(
    ("labels", "is_wrong"),
    [
        (["left", "right"], True),
        (["turnLeft", "turnRight", "stop"], True),
        (["Keep right", "Yield"], True),
        (["eye_l", "eye_r"], True),
        (["b", "d"], True),
        (["6", "9"], True),
        ([str(i) for i in range(10)], True),
        (["three", "eight"], True),
        (list("ABCDEFGHIKLMNOPQRSTUVWXY"), True),
        (["A", "B", "C", "D", "1", "2", "3", "0"], True),
        (["clockwise", "anticlockwise"], True),
        (["right whale", "blue whale"], False),
        ([str(i) for i in range(12)], False),
        (["0", "1"], False),
        (["1", "2", "3", "4"], False),
        (["a", "b", "c", "d"], False),
        (["x", "o"], False),
        (["r", "g", "b"], False),
        (["leftover", "upright"], False),
        (["ants", "bees"], False),
        (["one_dollar", "two_dollars"], False),
    ],
)
def test_names_say_where_mirroring_is_wrong(labels, is_wrong):
    assert bool(mirrored(labels)) == is_wrong
