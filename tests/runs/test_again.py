"""A run's learner, built again as it was."""

from __future__ import annotations

import pytest

import quickvision as qv
from quickvision.runs.again import at_hand, given_again
from quickvision.runs.config import Sides, Spec, Written

SIDES = Sides(1, 1, ("a", "b"), None)


def written(*lacking, **pictures):
    return Written(Spec("images", pictures=pictures), lacking, SIDES)


def test_a_run_in_memory_has_at_hand_what_no_file_can_hold():
    spec = Spec("images", model={"loss": len}, pictures={"valid": callable})
    assert at_hand(spec, written("model.loss", "pictures.valid")) == {
        "loss": len,
        "valid": callable,
    }
    assert at_hand(None, written("model.loss")) == {}


def test_what_is_given_again_is_put_where_it_belongs(tmp_path):
    spec = given_again(tmp_path, written("model.loss"), {"loss": len, "data": "moved"})
    assert (spec.data, spec.model) == ("moved", {"loss": len})


def test_what_lacks_and_what_is_strange_is_named(tmp_path):
    with pytest.raises(qv.RunError, match=r"expected loss as the run was given.*loss=\.\.\."):
        given_again(tmp_path, written("model.loss"), {})
    with pytest.raises(TypeError, match="size: the run goes on as it began"):
        given_again(tmp_path, written(), {"size": 3})
