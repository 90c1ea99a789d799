"""A body that is the library's own network, less its last layer: pooling, norm and all."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from quickvision.models.compute import evaluating

# GoogLeNet's and Inception's: further outputs, for training alone; and statistics of their own,
# which are ours to normalise by.
_AUXILIARY = ("AuxLogits", "aux1", "aux2")
_FLAGS = ("aux_logits", "transform_input")


def last_layer(model: nn.Module, picture: torch.Tensor) -> str:
    """Name the linear layer that a model ends with; empty where it ends otherwise (SqueezeNet).

    Args:
        model: A whole model, as its library builds it; it stays as it is.
        picture: A batch of one that it takes.
    """
    said: dict[str, torch.Tensor] = {}
    layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    hooks = [
        layer.register_forward_hook(lambda _, __, out, name=name: said.update({name: out}))
        for name, layer in layers.items()
    ]
    try:
        with evaluating(model), torch.no_grad():
            out: Any = model(picture)
    finally:
        for hook in hooks:
            hook.remove()
    return next((name for name in said if said[name] is out), "")


def without_last(model: nn.Module, name: str) -> int:
    """Take the last linear layer off, in place, and what is there for its training alone.

    Returns:
        How many features it took.
    """
    features = model.get_submodule(name).in_features
    model.set_submodule(name, nn.Identity())
    for value, names in ((None, _AUXILIARY), (False, _FLAGS)):
        for name in filter(partial(hasattr, model), names):
            setattr(model, name, value)
    return int(features)


def without_code(body: nn.Module, whole: nn.Module) -> list[str]:
    """Write what `without_last` has done to a script's `body`.

    Args:
        body: Such a body.
        whole: The same network, whole.
    """
    name = name_of_last(body, whole)
    further = [f"body.{part} = None" for part in _AUXILIARY if hasattr(body, part)]
    plain = [f"body.{flag} = False" for flag in _FLAGS if hasattr(body, flag)]
    return [f"body.set_submodule({name!r}, nn.Identity())", *further, *plain]


def name_of_last(body: nn.Module, whole: nn.Module) -> str:
    """Name the layer of a whole network that `without_last` has taken off a body."""
    layers = (name for name, m in whole.named_modules() if isinstance(m, nn.Linear))
    kept = dict(body.named_modules())
    return next(name for name in layers if isinstance(kept.get(name), nn.Identity))
