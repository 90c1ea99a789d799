"""The training pictures that are nearest to a picture."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from quickvision.results import nearest as module
from quickvision.results.embeddings import Embeddings
from quickvision.results.nearest import Neighbour, closest, nearest, unit


def made(x, valid, labels=None, vocab=("ant", "bee")):
    n = len(x)
    labels = np.arange(n) % len(vocab) if labels is None else np.array(labels, dtype=np.int64)
    paths = tuple(f"{i:03d}.jpg" for i in range(n))
    return Embeddings(np.array(x, np.float32), labels, vocab, paths, np.array(valid, dtype=bool))


def drawn(n=60, f=8, seed=0):
    rng = np.random.default_rng(seed)
    return made(rng.normal(size=(n, f)), rng.random(n) < 0.3)


@pytest.mark.parametrize("cells", [10, 4_000_000])
def test_they_are_those_that_scikit_learn_finds(cells, monkeypatch):
    monkeypatch.setattr(module, "CELLS", cells)
    pictures = drawn()
    held, train = np.flatnonzero(pictures.valid), np.flatnonzero(~pictures.valid)
    near = NearestNeighbors(n_neighbors=4, metric="cosine").fit(pictures.x[train])
    apart, places = near.kneighbors(pictures.x[held])
    found = nearest(pictures, [pictures.paths[i] for i in held], k=4)
    assert [[one.path for one in row] for row in found] == [
        [pictures.paths[train[i]] for i in row] for row in places
    ]
    np.testing.assert_allclose([[one.similarity for one in row] for row in found], 1 - apart, 1e-4)
    assert found[0][0].label == pictures.vocab[pictures.labels[train[places[0, 0]]]]


def test_a_training_picture_is_not_its_own_neighbour_and_its_copy_is():
    pictures = made([[1, 0], [2, 0], [1, 1], [0, 1]], [False] * 4)
    first, second = nearest(pictures, ["000.jpg", "001.jpg"], k=2)
    assert first[0] == Neighbour("001.jpg", "bee", 1.0)
    assert second[0] == Neighbour("000.jpg", "ant", 1.0)
    assert first[1].path == second[1].path == "002.jpg"


def test_pictures_that_were_held_out_are_nobodys_neighbour():
    pictures = made([[1, 0], [1, 0], [1, 1]], [True, True, False])
    assert [[one.path for one in row] for row in nearest(pictures, ["000.jpg", "001.jpg"])] == [
        ["002.jpg"],
        ["002.jpg"],
    ]


def test_the_first_name_is_shown_where_copies_are_equally_near():
    pictures = made([[1, 0], [1, 0], [1, 0], [0, 1]], [False, False, True, False])
    (row,) = nearest(pictures, ["002.jpg"], k=3)
    assert [one.path for one in row] == ["000.jpg", "001.jpg", "003.jpg"]


@pytest.mark.parametrize(
    ("valid", "there"), [([True] * 3, 0), ([True, False, True], 1), ([False] * 3, 2)]
)
def test_there_are_no_more_than_there_are_training_pictures(valid, there):
    pictures = made(np.eye(3), valid)
    assert [len(row) for row in nearest(pictures, ["000.jpg"], k=9)] == [there]


def test_no_picture_has_no_neighbours():
    assert nearest(drawn(), []) == []
    assert nearest(made(np.empty((0, 3)), []), []) == []


def test_features_that_say_nothing_are_like_no_other():
    pictures = made([[0, 0], [0, 0], [1, 0]], [True, False, False])
    assert [one.similarity for one in nearest(pictures, ["000.jpg"])[0]] == [0.0, 0.0]
    same = made(np.ones((5, 3)), [False] * 5)
    assert [one.similarity for one in nearest(same, ["001.jpg"])[0]] == pytest.approx([1.0] * 3)


def test_what_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"got 'x\.jpg'; give paths as embeddings\.paths"):
        nearest(drawn(), ["000.jpg", "x.jpg"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_named(value):
    x = np.ones((4, 2))
    x[2, 1] = value
    with pytest.raises(ValueError, match=r"got nan or inf for 1 of 4 pictures: 002\.jpg; compute"):
        nearest(made(x, [False] * 4), ["000.jpg"])


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="k: expected"):
        nearest(drawn(), ["000.jpg"], k=0)
    with pytest.raises(TypeError, match="embeddings: expected Embeddings"):
        nearest(np.ones((3, 3)), ["000.jpg"])


def test_what_is_one_picture_is_left_out():
    x = unit(made([[1, 0], [1, 0.1], [1, 0.2], [1, 0.3], [1, 0.4]], [False] * 5))
    group = np.array([0, 0, 1, 0, 2])
    places, likeness = closest(x, np.array([0, 2]), np.array([4, 3, 2, 1]), 3, group)
    assert places.tolist() == [[2, 4, -1], [3, 1, 4]] or places.tolist() == [[2, 4, -1], [1, 3, 4]]
    assert np.isnan(likeness[0]).tolist() == [False, False, True]


def test_lengths_are_one_and_large_numbers_no_harm():
    x = unit(made([[3e30, 4e30], [0, 0], [-3, 4]], [False] * 3))
    np.testing.assert_allclose(x, [[0.6, 0.8], [0, 0], [-0.6, 0.8]], rtol=1e-6)
    assert x.dtype == np.float32
