"""Labels that are worth a second look."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from quickvision.results.embeddings import Embeddings
from quickvision.results.nearest import unit
from quickvision.results.suspects import COLUMNS, FOLDS, C, ask, parts, regression, suspects


def made(x, labels, vocab=("ant", "bee", "wren")):
    n = len(x)
    paths = tuple(f"{i:03d}.jpg" for i in range(n))
    x = np.array(x, dtype=np.float32)
    return Embeddings(x, np.array(labels, dtype=np.int64), vocab, paths, np.zeros(n, dtype=bool))


def clusters(sizes=(20, 20, 20), apart=6.0, seed=0):
    """A class around each axis."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    x = rng.normal(size=(len(labels), 5)) + apart * np.eye(5)[labels]
    return made(x, labels, tuple("abcde"[: len(sizes)]))


def relabelled(pictures, changes):
    labels = pictures.labels.copy()
    for i, label in changes.items():
        labels[i] = label
    return replace(pictures, labels=labels)


def permuted(pictures, seed):
    order = np.random.default_rng(seed).permutation(len(pictures))
    paths = tuple(pictures.paths[i] for i in order)
    shown = {"x": pictures.x[order], "labels": pictures.labels[order], "paths": paths}
    return replace(pictures, **shown), np.argsort(order)


def numbers(table):
    return [int(path[:3]) for path in table["path"]]


@pytest.fixture(scope="module")
def digits():
    """400 digits, the labels of 20 of them changed, and which ones."""
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(3)
    wrong = np.sort(rng.choice(400, 20, replace=False))
    true = made(x[:400], y[:400], tuple("0123456789"))
    changes = {i: (true.labels[i] + rng.integers(1, 10)) % 10 for i in wrong}
    return relabelled(true, changes), true, wrong


def test_flipped_labels_come_first(digits):
    noisy, _, wrong = digits
    ranks = numbers(suspects(noisy, all=True))
    assert sorted(ranks) == list(range(400))
    assert len({*ranks[:20]} & {*wrong}) >= 18
    assert {*wrong} <= {*ranks[:40]}


def test_the_table_has_what_is_worth_a_look(digits):
    noisy, true, wrong = digits
    table = suspects(noisy)
    assert list(table) == list(COLUMNS)
    assert len({*numbers(table)} & {*wrong}) >= 14
    assert len(table) <= 25
    assert table["score"].is_monotonic_decreasing
    assert table["score"].between(0.4, 1).all()
    assert (table["label"] != table["suggested"]).all()
    mine = table[table["path"].isin([noisy.paths[i] for i in wrong])]
    right = [true.vocab[true.labels[i]] for i in numbers(mine)]
    assert (mine["suggested"] == right).mean() >= 0.9
    whole = suspects(noisy, all=True)
    pd.testing.assert_frame_equal(
        whole[whole["path"].isin(table["path"])].reset_index(drop=True), table
    )


def test_clean_labels_are_left_alone():
    assert suspects(clusters(apart=12.0)).empty


def test_a_reason_is_a_sentence():
    table = suspects(relabelled(clusters(apart=12.0), {3: 1}))
    assert table.to_dict("records") == [
        {
            "path": "003.jpg",
            "label": "b",
            "suggested": "a",
            "score": pytest.approx(0.95, abs=0.05),
            "why": "10 of its 10 nearest pictures are labelled a, none b",
        }
    ]
    rest = suspects(relabelled(clusters(apart=12.0), {3: 1}), all=True)
    right = rest.set_index("path")["why"]["050.jpg"]
    assert right == "10 of its 10 nearest pictures are labelled c, too"


def test_the_order_of_the_pictures_does_not_matter(digits):
    noisy = digits[0]
    copies = [[5, 9], [40, 7, 300]]
    expected = suspects(noisy, copies=copies, all=True, seed=1)
    for seed in range(3):
        other, place = permuted(noisy, seed)
        mine = [[int(place[i]) for i in reversed(group)] for group in reversed(copies)]
        found = suspects(other, copies=mine, all=True, seed=1)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_a_seed_gives_the_same_table_and_draws_nothing_from_anybody(digits):
    noisy = digits[0]
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    kept = noisy.x.copy(), noisy.labels.copy()
    first = suspects(noisy, seed=1)
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()
    assert torch.equal(torch.get_rng_state(), before[2])
    assert (noisy.x == kept[0]).all()
    assert (noisy.labels == kept[1]).all()
    pd.testing.assert_frame_equal(suspects(noisy, seed=1), first, check_exact=True)
    assert not suspects(noisy, seed=2, all=True)["score"].equals(
        suspects(noisy, seed=1, all=True)["score"]
    )


@pytest.mark.parametrize("told", [True, False])
def test_copies_with_different_labels_come_first(told):
    pictures = relabelled(clusters(apart=12.0), {3: 1, 25: 0})
    pictures.x[25] = pictures.x[4] + (0.01 if told else 0)  # 25 is a copy of 4, and said to be b
    pictures = relabelled(pictures, {25: 1})
    table = suspects(pictures, copies=[[25, 4]] if told else [])
    assert numbers(table) == [25, 4, 3]
    assert table["score"].tolist()[:2] == [1, 1]
    assert table["suggested"].tolist() == ["a", "a", "a"]
    assert table["why"].tolist()[:2] == [
        "the same picture is also labelled a: 004.jpg",
        "the same picture is also labelled b: 025.jpg",
    ]


def test_copies_with_the_same_label_do_not_vouch_for_each_other():
    pictures = clusters(apart=12.0)
    for i in range(25, 40):  # fifteen copies of a picture of the first class, all said to be b
        pictures.x[i] = pictures.x[4] * (1 + i / 100)
    told = suspects(pictures, copies=[[4, 5], [*range(25, 40)]])
    assert {*range(25, 40)} <= {*numbers(told)}
    assert {*numbers(suspects(pictures))}.isdisjoint(range(25, 40))


def test_many_copies_are_said_in_a_line():
    pictures = clusters(apart=12.0)
    pictures.x[30:36] = pictures.x[4]
    why = suspects(pictures).set_index("path")["why"]["004.jpg"]
    assert why == (
        "the same picture is also labelled b: 030.jpg, b: 031.jpg, b: 032.jpg and 3 more"
    )


def test_copies_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="copies: expected places of 60 .* 0 to 59, got 60"):
        suspects(clusters(), copies=[[3, 60]])


def test_its_models_are_those_of_scikit_learn(digits):
    noisy, n = digits[0], 400
    x, y, copy = unit(noisy), noisy.labels, np.arange(n)
    part, fitted, votes = parts(y, copy, 4), np.empty((n, 10)), np.empty((n, 10))
    for i in range(FOLDS):
        model = LogisticRegression(C=C, max_iter=2000, tol=1e-7).fit(x[part != i], y[part != i])
        fitted[part == i] = model.predict_proba(x[part == i])
    found = np.exp(regression(x, y, 10, copy, copy, 4))
    np.testing.assert_allclose(found, fitted, atol=2e-3)
    model = KNeighborsClassifier(10, metric="cosine", algorithm="brute")
    for i in range(0, n, 4):
        others = np.delete(copy, i)
        votes[i] = model.fit(x[others], y[others]).predict_proba(x[i : i + 1])
    asked = ask(noisy, copy, seed=4)
    assert (np.abs(2 * asked.probs - asked.regression - votes)[::4] < 1e-4).all()
    np.testing.assert_allclose(asked.probs.sum(1), 1, rtol=1e-5)


def test_a_regression_that_is_held_back_is_brought_to_how_sure_it_may_be(digits):
    true = digits[1]
    x, y, copy = unit(true), true.labels, np.arange(400)
    held_back = np.exp(regression(x, y, 10, copy, copy, 0))
    said = ask(true, copy).regression
    assert (said.argmax(1) == held_back.argmax(1)).all()
    right = (said.argmax(1) == y).mean()
    assert abs(said.max(1).mean() - right) < 0.05 < 0.3 < right - held_back.max(1).mean()


def test_parts_share_classes_evenly_and_keep_copies_together():
    labels = np.repeat([0, 1, 2], [50, 10, 2])
    copy = np.arange(62)
    copy[[7, 55]] = 3
    part = parts(labels, copy, 0)
    assert part[7] == part[55] == part[3]
    assert np.bincount(part[:50], minlength=5).tolist() == pytest.approx([10] * 5, abs=1)
    assert np.bincount(part[50:60], minlength=5).tolist() == pytest.approx([2] * 5, abs=1)
    assert part[60] != part[61]
    assert not (part == parts(labels, copy, 1)).all()


def test_classes_of_two_are_judged_by_the_one_other():
    pictures = clusters((20, 20, 2), apart=12.0)
    assert suspects(pictures).empty
    table = suspects(pictures, all=True).set_index("path")
    assert table["why"]["040.jpg"] == "its nearest picture is labelled c, too"
    wrong = suspects(relabelled(pictures, {3: 2}))
    assert numbers(wrong) == [3]
    assert wrong["why"].tolist() == ["2 of its 2 nearest pictures are labelled a, none c"]


def test_the_only_picture_of_a_class_is_not_judged():
    pictures = clusters((20, 20, 1), apart=12.0)
    assert suspects(pictures).empty
    last = suspects(pictures, all=True).iloc[-1]
    assert (last["path"], last["label"], last["suggested"]) == ("040.jpg", "c", "c")
    assert np.isnan(last["score"])
    assert last["why"] == "the only picture of c: there is no other to compare it with"


def test_a_picture_that_is_there_twice_is_still_the_only_one_of_its_class():
    pictures = clusters((20, 20, 2), apart=12.0)
    pictures.x[41] = pictures.x[40]
    assert suspects(pictures, all=True)["score"].isna().sum() == 2


@pytest.mark.parametrize("sizes", [(1,), (1, 1), (2,), (2, 1), (2, 2), (3, 3, 3)])
def test_few_pictures_are_no_error(sizes):
    table = suspects(clusters(sizes), all=True)
    assert len(table) == sum(sizes)
    assert table["score"].dropna().between(0, 1).all()
    assert table["score"].isna().sum() == sizes.count(1)


def test_one_class_has_nothing_suspicious():
    pictures = replace(clusters((20,)), vocab=("a",))
    assert suspects(pictures).empty
    assert suspects(pictures, all=True)["score"].abs().max() < 1e-6


def test_a_class_without_pictures_is_never_suggested(digits):
    noisy = replace(digits[0], vocab=(*"0123456789", "none"))
    assert "none" not in suspects(noisy, all=True)["suggested"].tolist()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_features_that_say_nothing_accuse_nobody(value):
    pictures = made(np.full((30, 4), value), np.arange(30) % 3)
    table = suspects(pictures, all=True)
    assert len(table) == 30
    assert not table["why"].str.contains("the same picture").any()


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_features_that_are_no_numbers_are_named(value):
    pictures = clusters()
    pictures.x[7, 2] = value
    with pytest.raises(ValueError, match=r"got nan or inf for 1 of 60 pictures: 007\.jpg"):
        suspects(pictures)


def test_no_pictures_have_no_suspects():
    nothing = made(np.empty((0, 3)), [], ())
    for every in (False, True):
        table = suspects(nothing, all=every)
        assert table.empty
        assert list(table) == list(COLUMNS)


def test_arguments_are_checked():
    with pytest.raises(TypeError, match="embeddings: expected Embeddings"):
        suspects(np.ones((3, 3)))
    with pytest.raises(ValueError, match="all: expected True or False"):
        suspects(clusters(), all=1)
    with pytest.raises(ValueError, match="seed: expected"):
        suspects(clusters(), seed=-1)
