"""A run's learner, built again as it was: from its `config.json`, and what no file can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from fastai.learner import Learner

from quickvision.base.errors import RunError, some
from quickvision.base.processes import first_then_others
from quickvision.runs.build import asked_for, build
from quickvision.runs.config import Spec, Written
from quickvision.runs.folder import asking_where, check_same


def rebuild(
    path: Path,
    spec: Spec,
    written: Written,
    given: Mapping[str, Any],
    *,
    timing: dict[str, float],
    verbose: bool,
) -> tuple[Spec, Learner]:
    """Build data and model as they were, with new weights.

    Args:
        path: The run's folder.
        spec: What was asked for.
        written: What its `config.json` says.
        given: What was given again.
        timing: Seconds by name, which get those of data and model.
        verbose: Say what the data is.

    Raises:
        DataError: The pictures cannot be had.
        ModelError: The model cannot be had.
        RunError: They are not the pictures that the run had.
    """
    with asking_where(path, written.files, given):
        how: dict[str, Any] = {"timing": timing, "verbose": verbose}
        how["vocab"] = written.sides.vocab
        spec, learn = first_then_others(partial(build, spec, **how))
    check_same(path, written.sides, learn.dls)
    return spec, learn


def at_hand(spec: Spec | None, written: Written) -> dict[str, Any]:
    """Return what no file can hold and a run in memory has."""
    if spec is None:
        return {}
    names = [name.rpartition(".")[2] for name in written.lacking]
    own = {"data": spec.data, "arch": spec.arch, "weights": spec.weights}
    has = {**own, **spec.model, **spec.pictures}
    return {name: has[name] for name in names if name in has}


def given_again(
    path: Path, written: Written, given: Mapping[str, Any], *, by: str = "resume"
) -> Spec:
    """Put together what was written down and what is given again, to the function named `by`.

    Raises:
        RunError: Something that no file can hold is not given again.
        TypeError: Something is given that the run was not given, or that is in its file.
    """
    names = {name.rpartition(".")[2] for name in written.lacking}
    if lost := sorted(names - set(given)):
        raise RunError(
            f"expected {some(lost)} as the run was given, which no file can hold: {by}"
            f"({str(path)!r}, {', '.join(f'{name}=...' for name in lost)})"
        )
    if strange := sorted(set(given) - names - {"data", *written.files}):
        raise TypeError(f"{some(strange)}: the run goes on as it began; it has its own")
    own = {name: value for name, value in given.items() if name in ("data", "arch", "weights")}
    _, model, pictures = asked_for({k: v for k, v in given.items() if k not in {*own, "cbs"}})
    spec = written.spec
    return replace(
        spec,
        **own,
        model={**spec.model, **model},
        pictures={**spec.pictures, **pictures},
        has_cbs="cbs" in given,
    )
