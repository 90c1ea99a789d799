from __future__ import annotations

import threading

import pytest

import quickvision as qv
from quickvision.runs.candidates import list_candidates

TINY = "timm/test_resnet"


def listed(archs=(TINY,), opts=None, schedules=None, recipes=None, **options):
    return list_candidates(list(archs), opts, schedules, recipes, options)


def test_all_with_all_in_the_order_in_which_they_were_asked_for():
    found = listed(opts=["sgd", "adam"], recipes={"head alone": {"unfrozen_epochs": 0}, "all": {}})
    assert [one.label for one in found] == [
        f"{TINY} sgd head alone", f"{TINY} sgd all", f"{TINY} adam head alone", f"{TINY} adam all",
    ]  # fmt: skip
    assert [one.how for one in found] == [{"opt": "sgd"}] * 2 + [{"opt": "adam"}] * 2
    assert [one.recipe for one in found] == [{"unfrozen_epochs": 0}, {}] * 2


def test_what_nobody_asked_for_is_left_to_train():
    (one,) = listed()
    assert (one.label, one.how, one.recipe) == (TINY, {}, {})


def test_a_candidate_is_told_by_model_and_recipe():
    one, other = listed(recipes={"a": {"lr": 1e-3}, "b": {"lr": 1e-2}})
    (again,) = listed(recipes={"renamed": {"lr": 1e-3}})
    assert one.key == again.key != other.key


def test_what_cannot_be_told_says_why():
    (one,) = listed(recipes={"a": {"cbs": [threading.Lock()]}})
    assert one.key == ("", "a _thread.lock")


@pytest.mark.parametrize(
    ("how", "error", "match"),
    [
        ({"archs": []}, ValueError, "archs: expected a model or several, got none"),
        ({"archs": [TINY, TINY]}, ValueError, "archs: expected each once"),
        ({"archs": ["timm/test_resnte"]}, qv.ModelError, "did you mean 'test_resnet'"),
        ({"opts": ["adma"]}, ValueError, "opt: expected"),
        ({"opts": "adam"}, ValueError, "opts: expected a list with each name once"),
        ({"schedules": ["one"]}, ValueError, "schedules: expected .*did you mean 'one_cycle'"),
        ({"opt": "sgd"}, TypeError, "opt: expected a list of all that are compared, as opts="),
        ({"siez": 64}, TypeError, "siez: no such option; did you mean 'size'"),
        ({"recipes": {}}, TypeError, "recipes: expected options of train by name, as .*, got {}"),
        ({"recipes": ["a"]}, TypeError, r"recipes: expected options .*, got \['a'\]"),
        ({"recipes": {"a": 3}}, TypeError, "recipes: expected options .*, got {'a': 3}"),
        ({"recipes": {" ": {}}}, TypeError, "recipes: expected options .*, got {' ': {}}"),
        ({"recipes": {3: {}}}, TypeError, "recipes: expected options .*, got {3: {}}"),
        (
            {"recipes": {"a": {"unfrozen_epochs": -1}}},
            ValueError,
            "recipes, a: unfrozen_epochs: expected a whole number from 0, got -1",
        ),
        ({"frozen_epochs": -1}, ValueError, "frozen_epochs: expected a whole number from 0"),
        ({"recipes": {"a": {"siez": 3}}}, TypeError, "recipes, a: siez: no such option; did"),
        ({"recipes": {"a": {"valid": 0.3}}}, TypeError, "recipes, a: .* got valid; give it to com"),
        ({"recipes": {"a": {"seed": 3}}}, TypeError, "recipes, a: .* got seed; give it to compare"),
        ({"recipes": {"a": {}, "b": {}}}, ValueError, "got two alike among a, b"),
        (
            {"recipes": {"a": {"opt": "sgd"}}, "opts": ["adam"]},
            TypeError,
            "recipes, a: expected options in which candidates may differ, got opt",
        ),
    ],
)
def test_bad_input(how, error, match):
    with pytest.raises(error, match=match):
        listed(**how)
