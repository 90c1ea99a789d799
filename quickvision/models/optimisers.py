"""Optimisers by name: fastai's own, torch's where fastai has none, and Adam fused for GPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from fastai.optimizer import SGD, Adam, Lamb, Larc, OptimWrapper, QHAdam, RAdam, RMSProp, ranger

from quickvision.base.choices import fraction, one_of


class FusedAdam(OptimWrapper):
    """fastai's `Adam` (decoupled decay, its defaults) computed by torch's fused `AdamW`.

    To fastai it has the layer groups that it was given. Inside, each is two of torch's: biases and
    norm layers (tensors of one dimension) do not decay, as with fastai's `wd_bn_bias=False`, a flag
    which `OptimWrapper` alone would lose. (Other tensors of one dimension, such as the layer scale
    of some transformers, do decay in fastai's.)

    Args:
        params: Layer groups, from the input to the head, or the parameters of a single one.
        lr: Rate.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3) -> None:
        parts = list(params)  # a Learner without a splitter gives them in one flat list
        groups = [parts] if isinstance(parts[0], torch.Tensor) else [list(group) for group in parts]
        halves = [
            {"params": [p for p in group if (p.ndim > 1) is decays], "weight_decay": decay}
            for group in groups
            for decays, decay in ((True, 0.01), (False, 0.0))
        ]
        adam = partial(torch.optim.AdamW, lr=lr, betas=(0.9, 0.99), eps=1e-5, fused=True)
        super().__init__(halves, opt=adam, convert_groups=False)

    @property
    def hypers(self) -> list[dict[str, Any]]:
        """The hyperparameters of each layer group."""
        return super().hypers[::2]

    @property
    def param_lists(self) -> list[list[torch.nn.Parameter]]:
        """The parameters of each layer group."""
        halves = [half["params"] for half in self.opt.param_groups]
        return [a + b for a, b in zip(halves[::2], halves[1::2], strict=True)]

    def _set_hyper(self, k: str, v: Sequence[Any]) -> None:
        both = [float(value) for value in v for _ in range(2)]  # a numpy rate cannot be read safely
        if k == "wd":
            both[1::2] = [0.0] * len(v)
        super()._set_hyper(k, both)


# What a name means, and how a program says it.
OPTS: dict[str, tuple[Callable[..., Any], str]] = {
    "adamw": (Adam, "Adam"),  # fastai's Adam decouples its weight decay: it is AdamW
    "adam": (partial(Adam, decouple_wd=False), "partial(Adam, decouple_wd=False)"),
    # fastai's SGD has no momentum of its own, whatever fit cycles
    "sgd": (partial(SGD, mom=0.9), "partial(SGD, mom=0.9)"),
    "rmsprop": (RMSProp, "RMSProp"),
    "radam": (RAdam, "RAdam"),
    "qhadam": (QHAdam, "QHAdam"),
    "larc": (Larc, "Larc"),
    "lamb": (Lamb, "Lamb"),
    "ranger": (ranger, "ranger"),
    "adadelta": (
        partial(OptimWrapper, opt=torch.optim.Adadelta),
        "partial(OptimWrapper, opt=torch.optim.Adadelta)",
    ),
    "adagrad": (
        partial(OptimWrapper, opt=torch.optim.Adagrad),
        "partial(OptimWrapper, opt=torch.optim.Adagrad)",
    ),
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
    if isinstance(opt, str):
        one_of("opt", opt.lower(), OPTS)
    found = OPTS[opt.lower()][0] if isinstance(opt, str) else opt or Adam
    if momentum is None:
        return found
    fraction("momentum", momentum, 0.9, zero=True, one=False)
    torchs = isinstance(found, partial) and found.func is OptimWrapper
    if torchs:
        raise TypeError(f"momentum: {opt if isinstance(opt, str) else 'torch optimisers'} has none")
    return partial(found, mom=momentum)


# Their steps are about as long as the rate, however steep the loss.
_LIKE_ADAM = (Adam, FusedAdam, RAdam, QHAdam, RMSProp, Lamb, ranger)


def is_like_adam(opt_func: Any) -> bool:
    """Say whether an optimiser's steps are as long as its rate: one rate then suits all losses."""
    while isinstance(opt_func, partial):
        opt_func = opt_func.func
    return opt_func in _LIKE_ADAM


def opt_code(opt: Opt, momentum: float | None = None) -> str:
    """Write what `find_opt` finds as a program says it; a function of your own is `...`."""
    code = "..." if callable(opt) else OPTS[(opt or "adamw").lower()][1]
    return code if momentum is None else f"partial({code}, mom={momentum!r})"
