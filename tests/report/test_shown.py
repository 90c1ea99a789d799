"""What each section shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quickvision.report import shown
from quickvision.report.outcome import Data
from quickvision.report.pictures import Thumbnails
from quickvision.results.predictions import class_report

from .conftest import answers, made

THUMBNAILS = Thumbnails()


def test_the_worst_have_picture_probabilities_heat_and_what_is_like_them(outcome):
    first, *rest = shown.worst(outcome, THUMBNAILS)
    preds = outcome.preds
    assert not first.right
    assert first.tile.picture.startswith("data:")
    assert first.probs[0][0] == first.predicted
    assert first.tile.label in [name for name, _ in first.probs]
    assert first.why.startswith("data:image/png")
    known = {path.name: preds.vocab[t] for path, t in zip(preds.paths, preds.targs, strict=True)}
    train = {outcome.embeddings.paths[i] for i in np.flatnonzero(~outcome.embeddings.valid)}
    assert len(first.likes) == 3
    for like in first.likes:
        assert known[like.name] == like.label
        assert like.name in train
    assert len(rest) == len(outcome.heat.index) - 1


def test_without_features_or_heat_maps_these_are_left_out(outcome):
    for one in shown.worst(replace(outcome, embeddings=None, heat=None), THUMBNAILS):
        assert (one.why, one.likes) == ("", [])


def test_the_actual_class_is_among_the_probabilities_however_small(tmp_path):
    preds = answers(tmp_path, n=50, vocab=tuple("abcdefghij"), wrong=50)
    for one in shown.worst(made(tmp_path, preds, embeddings=None, heat=None), THUMBNAILS):
        assert one.tile.label in [name for name, _ in one.probs]
        assert len(one.probs) == 3


def test_a_pair_shows_its_mistakes_and_both_classes_as_they_are_recognised(tmp_path):
    preds = answers(tmp_path, n=40, vocab=("ants", "bees"), wrong=7)
    (pair,) = shown.pairs(preds, THUMBNAILS)
    assert (pair.one, pair.other) == ("ants", "bees")
    assert pair.said == "4 of 20 ants taken for bees, 3 of 20 bees taken for ants"
    assert len(pair.mistakes) == 4
    assert {tile.label for tile in pair.ones} == {"ants"}
    assert {tile.label for tile in pair.others} == {"bees"}


def test_no_more_than_six_pairs_the_worst_first(tmp_path):
    preds = answers(tmp_path, n=300, vocab=tuple("abcdefghijkl"), wrong=100)
    found = shown.pairs(preds, THUMBNAILS)
    assert len(found) == 6


def test_classes_are_as_the_report_of_classes_has_them(outcome):
    rows, report = shown.classes(outcome.preds), class_report(outcome.preds)
    assert [row.recall for row in rows] == sorted(report["recall"])
    for row in rows:
        assert row.precision == report.loc[row.name, "precision"]
        assert row.low < row.recall < row.high
    assert any(row.mistaken == "bees (2)" for row in rows if row.name == "ants")


def test_a_class_without_pictures_comes_last(tmp_path):
    preds = answers(tmp_path, n=20, vocab=("a", "b"))
    wider = replace(preds, vocab=("a", "b", "none"), probs=np.pad(preds.probs, ((0, 0), (0, 1))))
    last = shown.classes(wider)[-1]
    assert (last.name, last.n) == ("none", 0)
    assert np.isnan(last.recall)


def test_suspects_are_named_as_fixes_names_them(outcome):
    found = shown.suspects(outcome, THUMBNAILS)
    assert [one.path for one in found] == list(outcome.suspects["path"])
    assert all(one.tile.picture for one in found)


def test_a_name_that_is_no_text_cannot_be_decided_about_on_a_page(outcome):
    table = outcome.suspects.assign(path=["a\udcff.png", "b.png"])
    one, other = shown.suspects(replace(outcome, suspects=table), THUMBNAILS)
    assert (one.path, one.tile.name) == ("", "a?.png")
    assert other.path == "b.png"


@pytest.mark.parametrize("wrong", [0, 24])
def test_all_right_and_all_wrong(tmp_path, wrong):
    outcome = made(tmp_path, answers(tmp_path, wrong=wrong), data=Data(3))
    shown.worst(outcome, THUMBNAILS)
    assert bool(shown.pairs(outcome.preds, THUMBNAILS)) == bool(wrong)


def test_pictures_outside_the_root_are_called_by_their_whole_path():
    preds = replace(answers(Path("/some/where")), root=Path("/else"))
    (one, *_) = shown.worst(made(Path("/else"), preds, embeddings=None), THUMBNAILS)
    assert one.tile.name.startswith("/some/where/")
