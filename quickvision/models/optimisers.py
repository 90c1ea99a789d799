"""Optimisers by name: fastai's own, and torch's where fastai has none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from fastai.optimizer import SGD, Adam, Lamb, Larc, OptimWrapper, QHAdam, RAdam, RMSProp, ranger

from quickvision.base.errors import did_you_mean

OPTS: dict[str, Callable[..., Any]] = {
    "adamw": Adam,  # fastai's Adam decouples its weight decay: it is AdamW
    "adam": partial(Adam, decouple_wd=False),
    "sgd": partial(SGD, mom=0.9),  # fastai's SGD has none of its own, whatever fit cycles
    "rmsprop": RMSProp,
    "radam": RAdam,
    "qhadam": QHAdam,
    "larc": Larc,
    "lamb": Lamb,
    "ranger": ranger,
    "adadelta": partial(OptimWrapper, opt=torch.optim.Adadelta),
    "adagrad": partial(OptimWrapper, opt=torch.optim.Adagrad),
}
Opt = str | Callable[..., Any] | None


def find_opt(opt: Opt, momentum: float | None = None) -> Callable[..., Any]:
    """Find an optimiser, and fix its momentum.

    Args:
        opt: A name, in any case, or a fastai `opt_func`; None is fastai's own default, `Adam`.
        momentum: From 0 to below 1; None leaves the optimiser's own.

    Raises:
        TypeError: Neither a name nor a function; or an optimiser without momentum.
        ValueError: No such name, or a momentum that makes no sense.
    """
    if not (opt is None or isinstance(opt, str) or callable(opt)):
        raise TypeError(f"opt: expected a name or a fastai opt_func, got {opt!r}")
    if isinstance(opt, str) and opt.lower() not in OPTS:
        near = did_you_mean(opt.lower(), OPTS) or f"; there are {', '.join(OPTS)}"
        raise ValueError(f"opt: no such optimiser {opt!r}{near}")
    found = OPTS[opt.lower()] if isinstance(opt, str) else opt or Adam
    if momentum is None:
        return found
    if not (isinstance(momentum, int | float) and 0 <= momentum < 1):
        raise ValueError(f"momentum: expected a number from 0 to below 1, got {momentum!r}")
    torchs = isinstance(found, partial) and found.func is OptimWrapper
    if torchs:
        raise TypeError(f"momentum: {opt if isinstance(opt, str) else 'torch optimisers'} has none")
    return partial(found, mom=momentum)
