"""What a pretrained body says of a run's pictures, written and read."""

from __future__ import annotations

import numpy as np
import pytest

import quickvision as qv
from quickvision.results import embeddings
from quickvision.results.embeddings import Embeddings, read_embeddings, save_embeddings

NAMES = ("a/1.jpg", "a/zwei ü.jpg", "b/\udcff.jpg", "b/two\nlines.jpg")


def made(n=4, vocab=("a", "漢")):
    x = np.random.default_rng(0).normal(size=(n, 6)).astype(np.float32)
    labels = np.arange(n) % len(vocab)
    return Embeddings(x, labels, vocab, NAMES[:n], np.arange(n) % 2 == 1)


def test_it_comes_back_as_it_was(tmp_path):
    before = made()
    after = read_embeddings(save_embeddings(before, tmp_path / "features.npz"))
    assert (after.paths, after.vocab) == (before.paths, before.vocab)
    assert (after.labels == before.labels).all()
    assert (after.valid == before.valid).all()
    np.testing.assert_allclose(after.x, before.x, rtol=1e-3)
    assert after.x.dtype == np.float32
    assert repr(after) == "<Embeddings: 4 pictures, 6 features>"


def test_none_is_written_and_read_too(tmp_path):
    nothing = Embeddings(np.empty((0, 3), np.float32), np.empty(0, int), (), (), np.empty(0, bool))
    assert len(read_embeddings(save_embeddings(nothing, tmp_path / "f.npz"))) == 0


def test_pictures_are_found_by_their_names():
    assert made().rows(["b/two\nlines.jpg", "nowhere.jpg", "a/1.jpg"]).tolist() == [3, -1, 0]


def test_a_file_that_would_be_too_large_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "LARGEST", 40)
    assert save_embeddings(made(), tmp_path / "features.npz") is None
    assert not list(tmp_path.iterdir())


def test_features_that_are_no_numbers_are_not_written_and_huge_ones_are_clipped(tmp_path):
    broken = made()
    broken.x[1, 1] = np.nan
    assert save_embeddings(broken, tmp_path / "features.npz") is None
    broken.x[1, 1] = 1e6
    again = read_embeddings(save_embeddings(broken, tmp_path / "features.npz"))
    assert again.x[1, 1] == 65504


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"")])
def test_a_damaged_file_is_named(tmp_path, damage):
    file = save_embeddings(made(), tmp_path / "features.npz")
    damage(file)
    with pytest.raises(qv.RunError, match=r"expected the features .*features\.npz, got"):
        read_embeddings(file)


def test_code_in_a_file_is_not_run(tmp_path):
    np.savez(tmp_path / "f.npz", x=np.array([object()], dtype=object))
    with pytest.raises(qv.RunError, match="expected the features"):
        read_embeddings(tmp_path / "f.npz")


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(ValueError, match="labels and sides of 3 pictures"):
        Embeddings(np.zeros((4, 2)), np.zeros(4, int), ("a",), NAMES[:3], np.zeros(3, bool))
