from __future__ import annotations

import pytest

from quickvision.runs.progress import (
    Progress,
    Stage,
    stage_name,
    stage_number,
    stage_of,
    stage_seed,
    weights_after,
)


def test_stages_have_names_numbers_and_files():
    names = [stage_name(number) for number in range(4)]
    assert names == ["frozen", "unfrozen", "unfrozen-2", "unfrozen-3"]
    assert [stage_number(name) for name in names] == [0, 1, 2, 3]
    assert [weights_after(name) for name in names] == [f"stage-{n}" for n in (1, 2, 3, 4)]


def test_rows_belong_to_their_stage_gradual_ones_to_the_unfrozen():
    said = ["frozen", "top 2 groups", "unfrozen", "unfrozen-2", "unfrozen-2"]
    at = Progress(rows=[{"stage": stage} for stage in said])
    assert [stage_of(stage) for stage in said] == ["frozen", "unfrozen", "unfrozen", *said[3:]]
    assert [len(at.rows_of(stage_name(number))) for number in range(4)] == [1, 2, 2, 0]


def test_further_stages_draw_otherwise():
    seeds = [stage_seed(42, stage_name(number)) for number in range(4)]
    assert seeds == [42, 42, 1042, 2042]
    assert 0 <= stage_seed(2**63 - 1, "unfrozen-2") < 2**63


@pytest.mark.parametrize(
    ("planned", "name", "epochs"),
    [
        ((4, 2), "unfrozen-2", (4, 2, 3)),
        ((4, 2, 1), "unfrozen-3", (4, 2, 1, 3)),
        ((0, 2), "unfrozen-2", (0, 2, 3)),
        ((4, 0), "unfrozen", (4, 3)),
    ],
)
def test_a_further_stage_is_planned(planned, name, epochs):
    at = Progress(epochs=planned)
    assert not at.is_finished
    for number, n in enumerate(planned):
        if n:
            at.end(Stage(stage_name(number), n, 1e-3))
    assert at.is_finished
    assert at.plan_more(3) == name
    assert at.epochs == epochs
    assert not at.is_finished


def test_what_was_planned_nowhere_is_not_finished():
    assert not Progress().is_finished


def test_a_stage_that_ends_is_settled():
    at = Progress(way=0.75)
    at.end(Stage("unfrozen", 2, 1e-3, way=0.0))
    assert (at.way, at.undone) == (None, 1)
