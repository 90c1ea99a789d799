from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

import quickvision as qv
from quickvision.base.figures import Accuracy
from quickvision.results.calibration import calibration_error, reliability


def drawn(n, sharpness, c=4, seed=0):
    """Answers of a model that is true where `sharpness` is 1, and too sure above."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, c))
    true = softmax(logits, axis=1)
    targs = (true.cumsum(1) < rng.random((n, 1))).sum(1).clip(max=c - 1)
    probs = softmax(sharpness * logits, axis=1).astype(np.float32)
    losses = -np.log(probs[np.arange(n), targs]).astype(np.float32)
    paths = tuple(Path(f"{i}.jpg") for i in range(n))
    return qv.Predictions(probs, targs.astype(np.int64), tuple("abcd"[:c]), losses, paths)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_of_a_model_that_is_too_sure_is_found(sharpness):
    found = qv.calibration(drawn(4000, sharpness))
    assert found.temperature == pytest.approx(sharpness, rel=0.08)
    assert found.ece_after < found.ece_chance_most * 1.3
    assert (found.ece > 0.08) == (sharpness == 3.0 or sharpness == 0.5)


def test_a_true_model_shows_what_chance_gives():
    found = [qv.calibration(drawn(300, 1.0, seed=seed)) for seed in range(12)]
    assert np.mean([f.ece <= f.ece_chance_most for f in found]) >= 0.75
    assert np.mean([f.ece for f in found]) == pytest.approx(
        np.mean([f.ece_chance for f in found]), abs=0.02
    )
    assert all(0 < f.ece_chance < f.ece_chance_most < 0.2 for f in found)


def test_a_temperature_that_is_no_better_on_other_pictures_is_none():
    found = [qv.calibration(drawn(60, 1.0, seed=seed)) for seed in range(10)]
    assert sum(f.temperature == 1 for f in found) >= 4
    plain = next(f for f in found if f.temperature == 1)
    assert plain.ece_after == pytest.approx(plain.ece)
    assert "with temperature" not in str(plain)


def test_the_error_is_the_gap_between_confidence_and_accuracy():
    probs = np.array([[0.9, 0.1]] * 8 + [[0.4, 0.6]] * 8)
    targs = np.array([0] * 4 + [1] * 4 + [1] * 8)
    assert calibration_error(probs[:8], targs[:8]) == pytest.approx(0.4)
    assert calibration_error(probs[8:], targs[8:]) == pytest.approx(0.4)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_pictures_are_no_error(n):
    found = qv.calibration(drawn(n, 2.0))
    assert found.n == n
    assert 0.05 <= found.temperature <= 20


def test_it_says_it_in_a_sentence():
    assert "too sure by" in str(qv.calibration(drawn(500, 3.0)))
    assert "not sure enough by" in str(qv.calibration(drawn(500, 0.4)))


def test_nothing_to_calibrate_on():
    with pytest.raises(qv.DataError, match="expected labelled pictures to calibrate on, got none"):
        qv.calibration(drawn(0, 1.0))


@pytest.mark.parametrize("n", [1, 2, 7, 300])
def test_the_table_has_the_groups_of_the_error(n):
    preds = drawn(n, 2.0)
    table = reliability(preds)
    assert list(table) == ["confidence", "accuracy", "low", "high", "n"]
    assert table["n"].sum() == n
    off = (table["n"] * (table["confidence"] - table["accuracy"])).abs().sum() / n
    assert off == pytest.approx(calibration_error(preds.probs, preds.targs), abs=1e-6)
    assert table["confidence"].is_monotonic_increasing
    for row in table.itertuples():
        ends = Accuracy(round(row.accuracy * row.n), row.n).interval
        assert (row.low, row.high) == pytest.approx(ends)
    if n == 300:
        assert table["n"].max() <= 1.5 * table["n"].min()


def test_pictures_of_one_probability_are_one_group():
    probs = np.array([[0.9, 0.1]] * 30, np.float32)
    targs = np.array([0] * 20 + [1] * 10)
    paths = tuple(Path(f"{i}.jpg") for i in range(30))
    table = reliability(qv.Predictions(probs, targs, ("a", "b"), np.zeros(30, np.float32), paths))
    assert table["n"].tolist() == [30]
    assert table["accuracy"].tolist() == pytest.approx([2 / 3])
    with pytest.raises(qv.DataError, match="got none"):
        reliability(drawn(0, 1.0))
