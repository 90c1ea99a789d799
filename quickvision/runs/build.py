"""From what was asked for to a `Learner`: the same for a new run and for one that goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.torch_core import default_device

from quickvision.base.errors import did_you_mean
from quickvision.base.figures import clocked
from quickvision.base.progress import line, say
from quickvision.data.doors import load_data
from quickvision.data.options import Options
from quickvision.models.compute import check_precision
from quickvision.models.learner import LEARNER_OPTIONS, check_options, cnn_learner
from quickvision.models.zoo import find_arch
from quickvision.runs.config import Spec
from quickvision.runs.options import RunConfig
from quickvision.training.trials import FIRST, largest_batch

_RUN = {field.name for field in fields(RunConfig)}
_MODEL = LEARNER_OPTIONS - _RUN - {"path", "model_dir"}  # the run's folder
_DATA = {"pat", *(field.name for field in fields(Options))} - _RUN
_KINDS = (_RUN, _MODEL, _DATA)


def asked_for(
    options: Mapping[str, Any], others: tuple[str, ...] = ()
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Tell the options of a run, of `cnn_learner` and of `load_data` apart.

    Args:
        options: All of them.
        others: Names to think of where one is misspelled.

    Raises:
        TypeError: One is of none of these.
    """
    run, model, pictures = ({k: v for k, v in options.items() if k in known} for known in _KINDS)
    if unknown := [name for name in options if not any(name in known for known in _KINDS)]:
        near = did_you_mean(unknown[0], {*others, *_RUN, *_MODEL, *_DATA})
        raise TypeError(f"{unknown[0]}: no such option{near}")
    return run, model, pictures


def usual_pictures(arch: Any, pictures: Mapping[str, Any]) -> dict[str, Any]:
    """Add what an architecture's weights want of pictures, where nothing else is asked for.

    Raises:
        ModelError: No such architecture.
    """
    settings = find_arch(arch).settings
    usual: dict[str, Any] = {}
    if "item_tfms" not in pictures:
        usual["size"] = settings.input_size
        if "batch_tfms" not in pictures:
            usual |= {"interpolation": settings.interpolation, "crop_pct": settings.crop_pct}
    return {**usual, **pictures}


def resolved(spec: Spec) -> Spec:
    """Check what can be checked without a look at the pictures, and add what the model wants.

    Raises:
        ModelError: No such architecture, or a precision that the device does not have.
        TypeError: Options that do not go together, or not with this kind of data.
        ValueError: An option is out of range.
    """
    data = spec.data
    if isinstance(data, str | Path):
        pictures = usual_pictures(spec.arch, spec.pictures)
        check_precision(spec.model.get("precision", "auto"), default_device())
        check_options(spec.model)
        return spec.with_pictures(**pictures)
    if spec.pictures:
        raise TypeError(
            f"{', '.join(spec.pictures)}: goes with a folder; here the data is"
            f" {type(data).__name__} already"
        )
    if not isinstance(data, DataLoaders | Learner):
        raise TypeError(f"expected a folder, DataLoaders or a Learner, got {type(data).__name__}")
    usual = Spec(data)
    asked = [name for name in ("arch", "weights") if getattr(spec, name) != getattr(usual, name)]
    if isinstance(data, Learner) and (given := [*asked, *spec.model]):
        raise TypeError(
            f"{', '.join(given)}: goes with a folder or DataLoaders; a Learner has its own"
        )
    return spec


def build(spec: Spec, *, timing: dict[str, float], verbose: bool = True) -> tuple[Spec, Learner]:
    """Build data and learner; the random state is the caller's to set.

    Args:
        spec: What was asked for.
        timing: Gets the seconds of "data" and "model".
        verbose: Say how the pictures are labelled.

    Returns:
        The spec, resolved, and the learner.
    """
    spec = resolved(spec)
    data = spec.data
    if isinstance(data, str | Path):
        options = {"seed": spec.train.seed, **spec.pictures}
        if options.get("bs") == "auto":
            options["bs"] = FIRST
        with clocked(timing, "data"):
            data = load_data(data, verbose=verbose, **options)
    with clocked(timing, "model"):
        if isinstance(data, Learner):
            return spec, data
        return spec, cnn_learner(data, spec.arch, weights=spec.weights, **spec.model)


def with_batch_size(spec: Spec, learn: Learner, *, verbose: bool = True) -> Spec:
    """Where `bs="auto"` was asked for, find it and set it; all processes at once."""
    if spec.pictures.get("bs") != "auto":
        return spec
    bs = largest_batch(learn)
    for dl in learn.dls.loaders:
        dl.bs = bs
    say(line("batch", f"{bs} pictures, as bs='auto' finds"), verbose=verbose)
    return spec.with_pictures(bs=bs)
