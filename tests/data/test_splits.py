from __future__ import annotations

import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickvision.base.errors import DataError
from quickvision.data.splits import check_sides, grouped_split, stratified_split


def names(labels):
    return [f"{label}_{i}.jpg" for i, label in enumerate(labels)]


def held_labels(labels, held, side=True):
    return Counter(y for y, h in zip(labels, held, strict=True) if h == side)


def test_split_is_stratified_and_sums_to_the_fraction():
    labels = ["a"] * 70 + ["b"] * 25 + ["c"] * 5
    held = stratified_split(names(labels), labels, valid=0.2)
    assert held_labels(labels, held) == {"a": 14, "b": 5, "c": 1}


def test_split_leaves_one_of_each_class_on_each_side():
    labels = ["a"] * 2 + ["b"] * 300
    for valid in (0.01, 0.99):
        held = stratified_split(names(labels), labels, valid=valid)
        for side in (True, False):
            assert set(held_labels(labels, held, side)) == {"a", "b"}


def test_one_percent_of_many_classes_works():
    labels = [f"car {i % 196}" for i in range(8144)]
    held = stratified_split(names(labels), labels, valid=0.01)
    assert sum(held) == 196


def test_the_split_is_the_same_on_every_machine():
    labels = ["a"] * 10 + ["b"] * 10
    held = stratified_split(names(labels), labels, valid=0.2, seed=42)
    chosen = [name for name, h in zip(names(labels), held, strict=True) if h]
    assert chosen == ["a_0.jpg", "a_5.jpg", "b_11.jpg", "b_16.jpg"]  # written down once
    turned = stratified_split(names(labels)[::-1], labels[::-1], valid=0.2, seed=42)
    assert turned[::-1] == held


def test_two_spellings_of_one_letter_split_alike():
    labels = ["a"] * 30 + ["b"] * 30
    plain = [f"é_{name}" for name in names(labels)]
    apart = [unicodedata.normalize("NFD", name) for name in plain]
    assert plain != apart
    assert stratified_split(plain, labels) == stratified_split(apart, labels)


def test_names_that_are_no_text_can_be_split():
    labels = ["a", "a", "b", "b"]
    assert sum(stratified_split([f"\udcff{i}" for i in range(4)], labels)) == 2


def test_a_new_picture_moves_few_others():
    labels = ["a"] * 100 + ["b"] * 100
    held = stratified_split(names(labels), labels)
    more = stratified_split([*names(labels), "new.jpg"], [*labels, "a"])
    assert sum(a != b for a, b in zip(held, more, strict=False)) <= 2


@given(
    sizes=st.lists(st.integers(2, 60), min_size=2, max_size=8),
    valid=st.floats(0.005, 0.995),
    seed=st.integers(0, 10**20),
)
def test_any_split_has_every_class_on_both_sides(sizes, valid, seed):
    labels = [str(c) for c, n in enumerate(sizes) for _ in range(n)]
    held = stratified_split(names(labels), labels, valid=valid, seed=seed)
    for c, n in enumerate(sizes):
        k = held_labels(labels, held)[str(c)]
        assert 1 <= k <= n - 1
        assert abs(k - n * valid) <= 1 or k in (1, n - 1)


class TestGroups:
    def test_groups_stay_together_and_classes_are_stratified(self):
        groups = [f"patient {i // 5}" for i in range(200)]
        labels = ["ill" if i // 5 % 4 == 0 else "well" for i in range(200)]
        held = grouped_split(groups, labels, valid=0.2)
        sides = {g: {h for h, k in zip(held, groups, strict=True) if k == g} for g in groups}
        assert all(len(side) == 1 for side in sides.values())
        assert held_labels(labels, held) == {"ill": 10, "well": 30}

    def test_a_large_group_does_not_swallow_the_rest(self):
        groups = ["huge"] * 80 + [f"g{i}" for i in range(20)]
        labels = ["a", "b"] * 50
        for seed in range(10):
            assert 10 <= sum(grouped_split(groups, labels, valid=0.2, seed=seed)) <= 30

    def test_a_class_in_one_group_cannot_be_split(self):
        groups = ["p1", "p1", "p2", "p3"]
        with pytest.raises(DataError, match="found none for a: a is in 1 of 3 groups"):
            grouped_split(groups, ["a", "a", "b", "b"])

    def test_small_fractions_hold_out_one_group_a_class(self):
        groups = [i // 2 for i in range(400)]
        labels = ["a" if i < 200 else "b" for i in range(400)]
        assert sum(grouped_split(groups, labels, valid=0.001)) == 4

    @given(
        rows=st.lists(st.tuples(st.integers(0, 12), st.sampled_from("abc")), max_size=80),
        valid=st.floats(0.01, 0.99),
    )
    def test_it_splits_well_or_says_so(self, rows, valid):
        groups, labels = [g for g, _ in rows], [y for _, y in rows]
        try:
            held = grouped_split(groups, labels, valid=valid)
        except DataError:
            return
        assert set(held_labels(labels, held)) == set(held_labels(labels, held, False))
        pairs = set(zip(groups, held, strict=True))
        assert len(pairs) == len(set(groups))


def test_a_class_that_is_spelt_otherwise_on_the_other_side_is_named():
    with pytest.raises(DataError, match="got also 'red leaf', which is spelt 'Red_leaf'"):
        check_sides(["Red_leaf", "sick", "red leaf"], [False, False, True], "val")


@pytest.mark.parametrize(
    ("held", "wanted"), [(False, "validate on in"), (True, "train on outside")]
)
def test_a_side_without_pictures_names_a_way_out(held, wanted):
    said = f"{wanted} val, got none; add some, or hold out a fraction with valid=0.2 in its place"
    with pytest.raises(DataError, match=said):
        check_sides(["a", "b"], [held, held], "val")


def test_labels_that_are_names_of_pictures_are_said_to_be():
    names = [f"wren_{i}.jpg" for i in range(40)]
    with pytest.raises(
        DataError, match=r"40 of 40 pictures have a class of their own.*\^\(\.\+\)_"
    ):
        stratified_split(names, [name[:-4] for name in names])
    with pytest.raises(DataError) as few:
        stratified_split(["a", "b", "c", "d", "e"], ["x", "x", "y", "y", "z"])
    assert "of their own" not in str(few.value)
