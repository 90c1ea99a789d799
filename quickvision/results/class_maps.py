"""Heat maps by a model alone: from which places of its last map a class is read."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from fastai.vision.learner import TimmBody
from torch import nn
from torchvision.models import SwinTransformer, VisionTransformer

from quickvision.base.errors import ModelError
from quickvision.training.features import FIXED

_PASSING = (*FIXED, nn.modules.dropout._DropoutNd)  # layers that make no map of their own
_ALONE = threading.Lock()  # who has a hook in a model, which all threads would meet


@dataclass(frozen=True)
class Way:
    """How a model's last map of places is reached.

    Attributes:
        see: From pictures to their features at these places, a leaf, and the outputs made of them.
        placed: From features, summed over each place's own, to [n, h, w].
    """

    see: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
    placed: Callable[[torch.Tensor], torch.Tensor]

    def maps(self, x: torch.Tensor, classes: np.ndarray | None) -> np.ndarray:
        """Make heat maps of pictures; several threads may ask at once.

        The body runs without gradients, in full precision; one backward pass through the head for
        each class follows. No gradient of a weight is computed.

        Args:
            x: What the model takes, float32 [n, channels, height, width], on its device.
            classes: int [n, k]; None for the class with the largest output of each.

        Returns:
            float32 [n, k, h, w]: at each place, the sum over features of gradient times activation.
        """
        with _exactly(x):
            features, out = self.see(x.clone() if x.is_inference() else x)
            chosen = out.argmax(1, keepdim=True)
            if classes is not None:
                chosen = torch.from_numpy(classes.astype(np.int64)).to(x.device)
            found = []
            for one in chosen.T:
                score = out.gather(1, one[:, None]).sum()  # pictures do not know of each other
                (slope,) = torch.autograd.grad(score, features, retain_graph=True)
                found.append(self.placed(slope * features.detach()))
            return torch.stack(found, 1).float().cpu().numpy()


class Maps:
    """The heat maps of one model, whose way is looked for when it is first asked.

    Args:
        model: As in `find_way`.
        one: As in `find_way`.
    """

    def __init__(self, model: nn.Module, one: torch.Tensor) -> None:
        self._model, self._one = model, one

    @cached_property
    def there(self) -> bool:
        """The model has a map of places that its classes are read from."""
        try:
            return bool(self._way)
        except ModelError:
            return False

    @cached_property
    def _way(self) -> Way:
        return find_way(self._model, self._one)

    def __call__(self, x: torch.Tensor, classes: np.ndarray | None) -> np.ndarray:
        """Make them; see `Way.maps`.

        Raises:
            ModelError: It has none.
        """
        return self._way.maps(x, classes)


def find_way(model: nn.Module, one: torch.Tensor) -> Way:
    """Find the last map of places that a model's classes are read from.

    Of a body and a head that is what the body gives. Blocks of transformers mix all places, and
    where a class token is read, no place of what they give counts at all: of ViT and Swin it is
    what the last block's attention reads, the output of its first norm. (In a small Swin that was
    trained on patches in black pictures, maps of 100 found 92 there, 49 in what comes out at the
    end, 4 in the second norm; 25 are chance.)

    Args:
        model: A body and a head (`nn.Sequential`), or a whole network of timm or torchvision, in
            evaluation mode; it stays as it is.
        one: A batch of one that it takes, on its device.

    Raises:
        ModelError: It has no such map.
    """
    with _exactly(one):
        return _found(model, one.clone() if one.is_inference() else one)


@contextmanager
def _exactly(x: torch.Tensor) -> Iterator[None]:
    """Compute with gradients and in full precision, whatever the caller has set."""
    full = torch.autocast(x.device.type, enabled=False)
    with torch.inference_mode(False), torch.enable_grad(), full:
        yield


def _found(model: nn.Module, one: torch.Tensor) -> Way:
    body, head = model, nn.Identity()
    if type(model) is nn.Sequential and len(model) == 2:
        body, head = model
        with torch.no_grad():
            mapped = getattr(body(one), "ndim", 0) == 4
        if mapped:
            return Way(_split(body, head), lambda product: product.sum(1))
    network = body.model if isinstance(body, TimmBody) else body
    if hasattr(network, "forward_features") and hasattr(network, "forward_head"):
        way = _of_timm(nn.Sequential(network, head), one)
    elif isinstance(network, VisionTransformer | SwinTransformer):
        way = _of_transformer(model, network, one)
    else:
        layer = _last_map(network, one)
        if layer is None:
            raise _no_map(model, "no layer whose output is a map")
        way = Way(_hooked(model, layer), lambda product: product.sum(1))
    with torch.no_grad():
        same = torch.allclose(way.see(one)[1], model(one), rtol=1e-3, atol=1e-4)
    if not same:
        raise _no_map(model, "a head that does not simply follow its body")
    return way


def _of_timm(model: nn.Sequential, one: torch.Tensor) -> Way:
    """Find it in a network of timm, which all say where their features end, and its head."""
    network, head = model

    def back(features: torch.Tensor) -> torch.Tensor:
        return head(network.forward_head(features))

    with torch.no_grad():
        shape = network.forward_features(one).shape
    last = len(shape) == 4 and shape[3] == network.num_features != shape[1]  # channels
    if len(shape) == 4 and not (last and _norms(network)):
        see = _split(network.forward_features, back)
        return Way(see, lambda product: product.sum(3 if last else 1))
    return _of_transformer(model, network, one)


def _of_transformer(model: nn.Module, network: nn.Module, one: torch.Tensor) -> Way:
    """Find it in a network of tokens: what the last block reads, before it mixes all places."""
    norms = _norms(network)
    if not norms:
        raise _no_map(network, "no block with a norm before its attention")
    see = _hooked(model, norms[-1])
    shape = see(one)[0].shape
    if len(shape) == 4:
        return Way(see, lambda product: product.sum(3))
    if len(shape) != 3:
        raise _no_map(network, f"tokens of shape {list(shape)}")
    prefix = int(getattr(network, "num_prefix_tokens", isinstance(network, VisionTransformer)))
    grid = _grid(network, shape[1] - prefix, one)
    return Way(see, lambda product: product.sum(2)[:, prefix:].unflatten(1, grid))


def _norms(network: nn.Module) -> list[nn.Module]:
    """List the norms that blocks of transformers begin with."""
    named = (getattr(m, "norm1", getattr(m, "ln_1", None)) for m in network.modules())
    return [norm for norm in named if isinstance(norm, nn.Module)]


def _split(
    body: Callable[[torch.Tensor], torch.Tensor], head: Callable[[torch.Tensor], torch.Tensor]
) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """See by a body and a head."""

    def see(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            leaf = body(x).detach()
        with torch.enable_grad():
            leaf.requires_grad_()
            return leaf, head(leaf.clone())  # a head may begin with a layer that writes in place

    return see


def _hooked(
    model: nn.Module, layer: nn.Module
) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """See by a layer within a model: from its output on gradients are kept, and not before."""

    def see(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        leaves = []

        def begin(_: nn.Module, __: Any, out: torch.Tensor) -> torch.Tensor:
            torch.set_grad_enabled(True)  # until `no_grad` below ends
            leaves.append(out.detach().requires_grad_())
            return leaves[-1].clone()

        with _ALONE:
            hook = layer.register_forward_hook(begin)
            try:
                with torch.no_grad():
                    out = model(x)
            finally:
                hook.remove()
        return leaves[-1], out

    return see


def _grid(network: nn.Module, n: int, one: torch.Tensor) -> tuple[int, int]:
    """Say on which grid n tokens lie."""
    sized = getattr(getattr(network, "patch_embed", None), "dynamic_feat_size", None)
    side = math.isqrt(max(n, 0))
    grid = (side, side) if sized is None else sized(one.shape[2:])
    if grid[0] * grid[1] != n:
        raise _no_map(network, f"{n} tokens that are on no grid")
    return grid[0], grid[1]


def _last_map(network: nn.Module, one: torch.Tensor) -> nn.Module | None:
    """Find the last part of a network whose output is a map, before it is pooled; if there is one.

    A part that is given a map and gives none (a network in a wrapper) is looked into.
    """
    maps, wrappers = [], []

    def note(layer: nn.Module, given: Any, out: Any) -> None:
        if isinstance(layer, _PASSING):
            return
        if getattr(out, "ndim", 0) == 4:
            maps.append(layer)
        elif given and getattr(given[0], "ndim", 0) == 4:
            wrappers.append(layer)

    hooks = [layer.register_forward_hook(note) for layer in _parts(network)]
    try:
        with torch.no_grad():
            network(one)
    finally:
        for hook in hooks:
            hook.remove()
    if maps:
        return maps[-1]
    return _last_map(wrappers[-1], one) if wrappers else None


def _parts(network: nn.Module) -> Iterator[nn.Module]:
    """List its parts; a list of modules is never called itself, but each in it."""
    for part in network.children():
        yield from _parts(part) if isinstance(part, nn.ModuleList) else (part,)


def _no_map(model: nn.Module, got: str) -> ModelError:
    return ModelError(
        "expected a model whose classes are read from a map of places [n, features, height, width],"
        f" got {type(model).__name__} with {got}; a heat map is made of nn.Sequential(body, head),"
        " as cnn_learner builds it, where the body gives such a map"
    )
