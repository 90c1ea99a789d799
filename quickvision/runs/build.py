"""From what was asked for to a `Learner`: the same for a new run and for one that goes on."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from fastai.callback.mixup import MixHandler
from fastai.data.core import DataLoaders
from fastai.learner import L, Learner
from fastai.torch_core import default_device, no_random, to_device

from quickvision.base.errors import DataWarning, did_you_mean
from quickvision.base.figures import clocked
from quickvision.base.progress import line, say
from quickvision.data.doors import load_data
from quickvision.data.options import OTHER_WORDS, Options
from quickvision.data.pictures import levels_in
from quickvision.models.compute import (
    autocast,
    check_precision,
    device_of,
    evaluating,
    half_precision,
)
from quickvision.models.learner import LEARNER_OPTIONS, check_options, make_learner
from quickvision.models.losses import check_labels
from quickvision.models.zoo import Arch
from quickvision.results.losses import EachPicture, loss_name, unreduced
from quickvision.runs.config import Spec
from quickvision.runs.options import RunConfig
from quickvision.training.trials import FIRST, largest_batch

_RUN = {field.name for field in fields(RunConfig)}
_MODEL = LEARNER_OPTIONS - _RUN - {"path", "model_dir"}  # the run's folder
_DATA = {"pat", *(field.name for field in fields(Options))} - _RUN
_KINDS = (_RUN, _MODEL, _DATA)


def asked_for(
    options: Mapping[str, Any], others: Iterable[str] = ()
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Tell the options of a run, of `cnn_learner` and of `load_data` apart.

    Raises:
        TypeError: One is of none of these; near names, `others` among them, are named.
    """
    run, model, pictures = ({k: v for k, v in options.items() if k in known} for known in _KINDS)
    if unknown := [name for name in options if not any(name in known for known in _KINDS)]:
        near = did_you_mean(unknown[0], {*others, *_RUN, *_MODEL, *_DATA})
        near = OTHER_WORDS.get(unknown[0], near)
        raise TypeError(f"{unknown[0]}: no such option{near}")
    return run, model, pictures


def usual_pictures(arch: Arch, pictures: Mapping[str, Any]) -> dict[str, Any]:
    """Add what an architecture's weights want of pictures, where nothing else is asked for."""
    usual: dict[str, Any] = {}
    if "item_tfms" not in pictures:
        usual["size"] = arch.settings.input_size
        if "batch_tfms" not in pictures:
            usual["interpolation"] = arch.settings.interpolation
            usual["crop_pct"] = arch.settings.crop_pct
    return {**usual, **pictures}


def build(
    spec: Spec, *, timing: dict[str, float], vocab: Sequence[str] = (), verbose: bool = True
) -> tuple[Spec, Learner]:
    """Build data and learner; the random state is the caller's to set.

    All that can be checked without a look at the pictures is checked before that.

    Args:
        spec: What was asked for.
        timing: Gets the seconds of "data" and "model".
        vocab: The classes as the run has had them: their order then is taken, whatever it is today.
        verbose: Say how the pictures are labelled.

    Returns:
        The spec, with what the model wants of pictures added, and the learner.

    Raises:
        TypeError: Options that do not go together, or not with this kind of data.
    """
    data = spec.data
    if not isinstance(data, str | Path):
        _check_given(spec)
    if isinstance(data, Learner):
        check_labels(data.dls)
        with clocked(timing, "model"):
            return spec, data
    wish = check_options(spec.arch, spec.weights, spec.model)
    # Written down though nobody asked for them: other versions have other defaults.
    told = {name: getattr(wish.asked, name) for name in ("head", "batch_norm")}
    spec = replace(spec, model={**told, **spec.model})
    if isinstance(data, str | Path):
        check_precision(wish.asked.precision, default_device())
        spec = spec.with_pictures(**usual_pictures(wish.arch, spec.pictures))
        options = {"seed": spec.train.seed, **spec.pictures}
        if options.get("bs") == "auto":
            options["bs"] = FIRST
        with clocked(timing, "data"):
            dls = load_data(data, verbose=verbose, **options)
            if list(dls.vocab) != list(vocab) and sorted(dls.vocab) == sorted(vocab):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DataWarning)  # it has been said
                    dls = load_data(data, verbose=False, **{**options, "vocab": vocab})
            found = {"bs": None, "levels": levels_in(dls)}
            asked = {name: value for name, value in spec.pictures.items() if value is not None}
            spec, data = spec.with_pictures(**{**found, **asked}), dls
    with clocked(timing, "model"):
        return spec, make_learner(data, wish)


def _check_given(spec: Spec) -> None:
    """See that options go with `DataLoaders` or a `Learner`."""
    data = spec.data
    if spec.pictures:
        raise TypeError(
            f"{', '.join(spec.pictures)}: goes with a folder; here the data is"
            f" {type(data).__name__} already"
        )
    if not isinstance(data, DataLoaders | Learner):
        further = "; resume trains a run further" if hasattr(data, "learn") else ""
        got = f"{type(data).__name__}{further}"
        raise TypeError(f"expected a folder, DataLoaders or a Learner, got {got}")
    asked = [name for name in ("arch", "weights") if getattr(spec, name) != getattr(Spec, name)]
    if isinstance(data, Learner) and (given := [*asked, *spec.model]):
        raise TypeError(
            f"{', '.join(given)}: goes with a folder or DataLoaders; a Learner has its own"
        )


def with_batch_size(spec: Spec, learn: Learner, *, verbose: bool = True) -> Spec:
    """Where `bs="auto"` was asked for, find it and set it; all processes at once."""
    if spec.pictures.get("bs") != "auto":
        return spec
    bs = largest_batch(learn)
    for dl in learn.dls.loaders:
        dl.bs = bs
    say(line("batch", f"{bs} pictures, as bs='auto' finds"), verbose=verbose)
    return spec.with_pictures(bs=bs)


def check_loss(learn: Learner, config: RunConfig, cbs: Any = None) -> None:
    """See that a loss of one's own can do what it will be asked for, before anything is written.

    Two validation pictures are looked at. What fails at them in another way, labels that are no
    classes for example, is left to the first batch, which says it better.

    Args:
        learn: The learner, which stays as it is.
        config: How it will be trained.
        cbs: fastai callbacks that it will be trained with.

    Raises:
        TypeError: It does not take classes, or the report, `mixup` or `cutmix` cannot go with it.
    """
    loss = learn.loss_func
    try:
        with no_random(reproducible=False):
            pred, targs = _said(learn)
    except Exception:  # a learner of one's own may need its callbacks
        return
    try:
        with no_random(reproducible=False):
            loss(pred, *targs)
    except Exception as error:
        known = ("fastai.", "quickvision.")  # other callbacks may change what the loss is given
        own = [cb for cb in (*L(cbs), *learn.cbs) if not type(cb).__module__.startswith(known)]
        if own or not _are_classes(pred, targs):
            return
        raise TypeError(
            "loss: expected one of outputs [n, classes] and whole numbers [n], as"
            f" CrossEntropyLossFlat(), got {loss_name(loss)}, which fails at them: {error}"
        ) from error
    if not targs:
        return
    EachPicture(loss)(pred, *targs)
    mixing = [type(cb).__name__ for cb in (*L(cbs), *learn.cbs) if isinstance(cb, MixHandler)]
    mixing += [name for name in ("mixup", "cutmix") if getattr(config, name)]
    blends = getattr(loss, "y_int", False) and unreduced(loss, pred, *targs) is not None
    if mixing and not blends and not targs[0].is_floating_point():
        raise TypeError(
            f"{mixing[0]}: expected a loss that fastai can blend for two labels (it has `y_int` and"
            f" `reduction`), got {loss_name(loss)}; leave loss= out, or give one of fastai.losses,"
            " such as CrossEntropyLossFlat()"
        )


def _are_classes(pred: Any, targs: tuple[torch.Tensor, ...]) -> bool:
    """Say whether a model gives a number for each class, and these are labels of such."""
    if not (isinstance(pred, torch.Tensor) and pred.ndim == 2 and len(targs) == 1):
        return False
    y = targs[0]
    whole = y.ndim == 1 and not y.is_floating_point() and len(y) == len(pred)
    return whole and bool(((y >= 0) & (y < pred.shape[1])).all())


def _said(learn: Learner) -> tuple[Any, tuple[torch.Tensor, ...]]:
    """Ask the model for two validation pictures: what it says, and what they are."""
    device = device_of(learn)
    dl = learn.dls.valid.new(bs=2, shuffle=False, num_workers=0, drop_last=False)
    batch = to_device(dl.one_batch(), device)
    inputs = getattr(learn.dls, "n_inp", 1)
    if hasattr(learn.loss_func, "to"):
        learn.loss_func.to(device)  # as fastai does before it fits
    half = half_precision(learn)
    with evaluating(learn.model.to(device)) as model, torch.no_grad(), autocast(device, half):
        # forward: not what compile() made of it, which would compile for this batch alone
        pred = model.forward(*batch[:inputs])
    return pred, tuple(part.as_subclass(torch.Tensor) for part in batch[inputs:])
