"""What a run was asked for, as people read it: a call that does it again, and all settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from fastai.data.core import DataLoaders
from fastai.learner import Learner
from torch import nn

from quickvision.data.options import Options
from quickvision.models.options import ModelOptions
from quickvision.runs.config import Spec
from quickvision.runs.options import RunConfig

KINDS = (ModelOptions, Options, RunConfig)
PLAIN = (bool, int, float, str, type(None))


def call_of(spec: Spec) -> str:
    """Write the call of `quickvision.train` that does a run again.

    What no text can hold (functions, losses, learners) is `...`, to be filled in.
    """
    data = spec.data
    first = "dls" if isinstance(data, DataLoaders) else "learn" if isinstance(data, Learner) else ""
    said = [first or _shown(data)]
    if first != "learn":
        said.append(f"arch={_shown(spec.arch)}")
        said += [f"weights={_shown(spec.weights)}"] if spec.weights != "default" else []
    said += [f"{name}={_shown(value)}" for name, value in _asked(spec).items()]
    said += ["cbs=..."] if spec.has_cbs else []
    call = f"qv.train({', '.join(said)})"
    if len(call) <= 88:
        return call
    return "qv.train(\n" + "".join(f"    {part},\n" for part in said) + ")"


def settings_of(spec: Spec) -> dict[str, str]:
    """Say every setting as text, those of the run with their defaults."""
    given = {"data": spec.data, "arch": spec.arch, "weights": spec.weights}
    given |= {**spec.model, **spec.pictures}
    given |= {one.name: getattr(spec.train, one.name) for one in fields(RunConfig)}
    return {name: _shown(value, brief=True) for name, value in given.items()}


def _asked(spec: Spec) -> Mapping[str, Any]:
    """Return the options that are not as they are by default."""
    given = {**spec.model, **spec.pictures}
    given |= {one.name: getattr(spec.train, one.name) for one in fields(RunConfig)}
    usual = {one.name: one.default for kind in KINDS for one in fields(kind)}
    return {name: value for name, value in given.items() if not _is(value, usual.get(name, ...))}


def _is(value: Any, other: Any) -> bool:
    """Say whether a plain value is the default; what is no plain value is none."""
    return type(value) in PLAIN and value == other


def _shown(value: Any, *, brief: bool = False) -> str:
    if isinstance(value, Path):
        return repr(str(value))
    if isinstance(value, nn.Module | Learner | DataLoaders):
        return type(value).__name__ if brief else "..."
    if value is None or isinstance(value, str | bool | int | float):
        return repr(value)
    if isinstance(value, slice):
        return f"slice({value.start!r}, {value.stop!r})"
    if isinstance(value, list | tuple):
        inner = [_shown(part, brief=brief) for part in value]
        if brief and len(inner) > 5:
            return f"{len(inner):,}: {', '.join(inner[:3])}, ..."
        whole = ", ".join(inner) + ("," if isinstance(value, tuple) and len(inner) == 1 else "")
        return f"({whole})" if isinstance(value, tuple) else f"[{whole}]"
    if isinstance(value, Mapping):
        inner = [f"{key!r}: {_shown(part, brief=brief)}" for key, part in value.items()]
        if brief and len(inner) > 5:
            return f"{len(inner):,}: {', '.join(inner[:3])}, ..."
        return f"{{{', '.join(inner)}}}"
    return getattr(value, "__name__", type(value).__name__) if brief else "..."
