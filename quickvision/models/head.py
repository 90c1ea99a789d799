"""Heads: what turns a body's features into classes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TypeAlias

from fastai.layers import Flatten
from fastai.vision.learner import create_head
from torch import nn

from quickvision.base.choices import HEADS, fraction, one_of

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "hardswish": nn.Hardswish,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}

Activation = str | Callable[[], nn.Module] | None
Head: TypeAlias = str | nn.Module


def check_head(
    head: Head, hidden: Sequence[int] | None, dropout: float | None, activation: Activation
) -> None:
    """See that the options of a head go together, before anything is built.

    Raises:
        TypeError: `head` is neither text nor a module; or options that this head does not have.
        ValueError: No such head or activation; sizes or a dropout that make no sense.
    """
    options = {"hidden": hidden, "dropout": dropout, "activation": activation}
    given = [name for name, value in options.items() if value is not None]
    if not isinstance(head, str | nn.Module):
        got = type(head).__name__
        raise TypeError(f"head: expected 'native', 'linear', 'fastai' or a module, got {got}")
    if isinstance(head, str):
        one_of("head", head, HEADS, hint="; or give a module")
    if isinstance(head, nn.Module) and given:
        raise TypeError(f"{', '.join(given)}: set in the module that is given as head")
    single = head in ("native", "linear")
    if single and (wrong := [name for name in given if name != "dropout"]):
        raise TypeError(f"{', '.join(wrong)}: goes with head='fastai'; {head!r} is a single layer")
    whole = isinstance(hidden, Sequence) and not isinstance(hidden, str)
    if hidden is not None and not (whole and all(isinstance(h, int) and h > 0 for h in hidden)):
        raise ValueError(f"hidden: expected sizes of layers, as (512, 256), got {hidden!r}")
    if dropout is not None:
        fraction("dropout", dropout, 0.5, zero=True, one=False)
    made = isinstance(activation, nn.Module)  # nn.GELU() where nn.GELU is meant
    if made or not (activation is None or isinstance(activation, str) or callable(activation)):
        raise TypeError(f"activation: expected a name, or a class as nn.GELU, got {activation!r}")
    if isinstance(activation, str):
        one_of("activation", activation, ACTIVATIONS)


def make_head(
    features: int,
    n_out: int,
    *,
    pooled: bool = False,
    head: Head = "native",
    hidden: Sequence[int] | None = None,
    dropout: float | None = None,
    activation: Activation = None,
) -> nn.Module:
    """Build a head.

    Args:
        features: Features that the body gives.
        n_out: Classes.
        pooled: The body gives [n, features], and not feature maps.
        head: "native" or "linear": average pooling, where the body has not pooled, and one linear
            layer; "fastai": average and maximum pooling, then batch norm, dropout and a linear
            layer, once for each hidden layer and once for the classes; or a module, a copy of which
            is taken as it is.
        hidden: Sizes of the hidden layers; fastai's (512,) by default, () for none.
        dropout: Dropout before the last layer, a fraction; the others get half. By default 0.5,
            and none with a single layer.
        activation: Between the layers: "relu" (the default), "gelu", ...; or a function that makes
            a module.

    Returns:
        A module from the body's output to [n, n_out]; its weights are torch's own.
    """
    if isinstance(head, nn.Module):
        return copy.deepcopy(head)  # another learner may be given the same
    if head != "fastai":
        pool = [] if pooled else [nn.AdaptiveAvgPool2d(1), Flatten()]
        drop = [nn.Dropout(dropout)] if dropout else []
        return nn.Sequential(*pool, *drop, nn.Linear(features, n_out))
    sizes = None if hidden is None else list(hidden)
    made = create_head(
        features, n_out, sizes, ps=0.5 if dropout is None else dropout, pool=not pooled
    )
    if activation is not None:
        make = ACTIVATIONS[activation] if isinstance(activation, str) else activation
        layers = [make() if isinstance(layer, nn.ReLU) else layer for layer in made]
        made = nn.Sequential(*layers)
    return made


def head_code(
    built: nn.Module,
    *,
    countable: bool,
    head: Head = "native",
    hidden: Sequence[int] | None = None,
    dropout: float | None = None,
    activation: Activation = None,
) -> str:
    """Write how `make_head` has built it; `countable`: fastai counts such a body's features."""
    if isinstance(head, nn.Module):
        return "head = ...  # your own module"
    pooled = not any("Pool" in type(layer).__name__ for layer in built)
    n = next(layer.in_features for layer in built if isinstance(layer, nn.Linear))
    if head == "fastai" and not pooled:
        n //= 2  # it pools in two ways
    features = "num_features_model(body)" if countable and not pooled else n
    if head != "fastai":
        pool = "" if pooled else "nn.AdaptiveAvgPool2d(1), Flatten(), "
        drop = f"nn.Dropout({dropout!r}), " if dropout else ""
        return f"n = {features}\nhead = nn.Sequential({pool}{drop}nn.Linear(n, dls.c))"
    options = [f"{features}, dls.c", *size_code(hidden, dropout), f"pool={not pooled}"]
    code = f"head = create_head({', '.join(options)})"
    if activation is not None and hidden != ():
        new = f"nn.{ACTIVATIONS[activation].__name__}()" if isinstance(activation, str) else "..."
        code += f"\nhead = nn.Sequential(*[{new} if isinstance(m, nn.ReLU) else m for m in head])"
    return f"{code}\napply_init(head, nn.init.kaiming_normal_)"


def size_code(hidden: Sequence[int] | None, dropout: float | None) -> list[str]:
    """Write the sizes and the dropout that are given, as fastai calls them."""
    sizes = [] if hidden is None else [f"lin_ftrs={list(hidden)}"]
    return sizes if dropout is None else [*sizes, f"ps={dropout!r}"]
