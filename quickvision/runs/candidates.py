"""What `compare` trains: models, optimisers, schedules, recipes; checked before it begins."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from quickvision.base.choices import SCHEDULES, one_of
from quickvision.base.errors import some
from quickvision.models.optimisers import find_opt
from quickvision.models.zoo import find_arch
from quickvision.results.comparison import name_of, names_apart
from quickvision.runs.build import asked_for
from quickvision.runs.keys import hashed, identify
from quickvision.runs.options import RunConfig

Arch = str | Callable[..., nn.Module]
Key = tuple[str, str]  # what `identify` gives

# Options that say who is held out, with the seed; `check` leaves pictures out.
HELD = ("valid", "groups", "pat", "fixes", "check")
_OWN = {"arch": "archs", "opt": "opts", "schedule": "schedules"}
_SHARED = {*HELD, "arch", "seed", "seeds", "budget", "out", "name", "verbose"}


@dataclass(frozen=True)
class Candidate:
    """One way to train, whatever the seed.

    Attributes:
        label: Its name in the table; no two have the same.
        plain: The same without what tells two functions of one name apart: for a file's name.
        arch: The model.
        how: `opt` and `schedule`, where several were asked for.
        recipe: Options of `train` that are this recipe's.
        key: What the model and the recipe are, see `identify`.
    """

    label: str
    plain: str
    arch: Arch
    how: dict[str, Any]
    recipe: dict[str, Any]
    key: Key


def list_candidates(
    archs: Sequence[Arch],
    opts: Sequence[str] | None,
    schedules: Sequence[str] | None,
    recipes: Mapping[str, Mapping[str, Any]] | None,
    options: Mapping[str, Any],
) -> list[Candidate]:
    """List all archs with all `opts`, all `schedules` and all `recipes`.

    Args:
        archs: As in `compare`, and so are the next three.
        opts: Optimisers.
        schedules: Schedules.
        recipes: Options of `train` by name.
        options: What all of them have in common, options of `train`.

    Raises:
        ModelError: An arch is unknown.
        TypeError: An option is unknown, belongs to `compare` itself, or says in a recipe who is
            held out.
        ValueError: No archs, one of them twice, or an unknown optimiser or schedule.
    """
    if not archs:
        raise ValueError("archs: expected a model or several, got none")
    asked = {"opt": opts, "schedule": schedules}
    for option, names in asked.items():
        if isinstance(names, str) or len({*map(repr, names or ())}) < len(names or ()):
            raise ValueError(f"{option}s: expected a list with each name once, got {names!r}")
    for own in {*_OWN} & {*options}:
        raise TypeError(f"{own}: expected a list of all that are compared, as {_OWN[own]}=")
    for arch in archs:
        find_arch(arch)
    for opt in opts or ():
        find_opt(opt)
    for schedule in schedules or ():
        one_of("schedules", schedule, SCHEDULES)
    kinds = [identify(arch) for arch in archs]
    known = [key for key, _ in kinds if key]
    if len({*known}) < len(known):
        raise ValueError(f"archs: expected each once, got {', '.join(map(name_of, archs))}")
    named = _named(recipes, options, {option for option, names in asked.items() if names})
    told = {name: identify(recipe) for name, recipe in named.items()}
    if len({key for key, _ in told.values() if key}) < sum(bool(key) for key, _ in told.values()):
        raise ValueError(f"recipes: expected each once, got two alike among {some([*named])}")
    found, labelled = [], zip(archs, names_apart(archs), kinds, strict=True)
    # "" leaves the choice to `train`.
    ways = itertools.product(labelled, opts or [""], schedules or [""], named)
    for (arch, label, kind), opt, schedule, name in ways:
        rest = [part for part in (opt, schedule, name) if part]
        found.append(
            Candidate(
                label=" ".join([label, *rest]),
                plain=" ".join([name_of(arch), *rest]),
                arch=arch,
                how={k: v for k, v in {"opt": opt, "schedule": schedule}.items() if v},
                recipe=named[name],
                key=_together(kind, told[name]),
            )
        )
    return found


def _together(model: Key, recipe: Key) -> Key:
    """Join two keys; what cannot be told of either cannot be told of both."""
    return next((key for key in (model, recipe) if key[1]), (hashed(model[0], recipe[0]), ""))


def _named(
    recipes: Mapping[str, Mapping[str, Any]] | None, options: Mapping[str, Any], taken: set[str]
) -> dict[str, dict[str, Any]]:
    """Check the recipes, which leave alone what is `taken`; none at all is one without a name."""
    if recipes is None:
        RunConfig(**asked_for(options)[0])
        return {"": {}}
    wanted = 'options of train by name, as {"head alone": {"unfrozen_epochs": 0}}'
    if not isinstance(recipes, Mapping) or not recipes:
        raise TypeError(f"recipes: expected {wanted}, got {recipes!r}")
    for name, recipe in recipes.items():
        if not (isinstance(name, str) and name.strip() and isinstance(recipe, Mapping)):
            raise TypeError(f"recipes: expected {wanted}, got {{{name!r}: {recipe!r}}}")
        for shared in (_SHARED | taken) & {*recipe}:
            raise TypeError(
                f"recipes, {name}: expected options in which candidates may differ, got {shared}; "
                f"give it to compare itself, for all of them"
            )
        try:
            RunConfig(**asked_for({**options, **recipe})[0])
        except (TypeError, ValueError) as error:
            raise type(error)(f"recipes, {name}: {error}") from None
    return {name: dict(recipe) for name, recipe in recipes.items()}
