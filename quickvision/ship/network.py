"""From a trained learner to weights that anyone can put into their network again, and back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import timm
import torch
from fastai.layers import Flatten
from fastai.learner import Learner
from fastai.torch_core import no_random
from torch import nn

from quickvision.base.errors import BundleError, ModelError, some
from quickvision.models.body import is_cut, make_body
from quickvision.models.compute import evaluating
from quickvision.models.head import ACTIVATIONS, make_head
from quickvision.models.zoo import Arch, find_arch
from quickvision.ship.bundle import MOST_CLASSES, Network
from quickvision.ship.timms import as_timms

State = Mapping[str, torch.Tensor]
# What may be asked of timm's `create_model` by a file; and how large.
_ARGS = {"in_chans": 4, "img_size": 4096}


def whole_network(
    model: nn.Module, arch: Any, *, c: int, shape: tuple[int, int, int]
) -> tuple[Network, nn.Module, str]:
    """Say which network a trained model is, in a way that needs no code to build it again.

    Args:
        model: The trained model; it stays as it is.
        arch: What it was built as, as in `cnn_learner`.
        c: Classes.
        shape: Channels, height and width of what it takes.

    Returns:
        What it is; the network whose state dict goes into the file; and why this is not timm's own,
        empty where it is.

    Raises:
        ModelError: No library has it, or the head is a module of your own.
    """
    found = _found(arch)
    why_not = "its head is not a single layer"
    if _linears(model[1:] if isinstance(model, nn.Sequential) else model) == 1:
        theirs = as_timms(model, found, c=c, shape=shape)
        if not isinstance(theirs, str):
            network = Network("timm", theirs.name, theirs.args, channels=shape[0])
            return network, theirs.model, ""
        why_not = theirs
    network = _body_and_head(model, found, shape[0])
    again = build(network, c, shape[1:])
    try:
        mine = model.state_dict().values()  # in our order: a head without dropout counts otherwise
        again.load_state_dict(dict(zip(again.state_dict(), mine, strict=True)))
        said = _logits(again, shape), _logits(model, shape)
    except (RuntimeError, ValueError) as error:
        raise _no_network(found, "layers that cnn_learner does not build") from error
    if not torch.allclose(*said, rtol=1e-4, atol=1e-5):
        raise _no_network(found, "layers that answer otherwise when they are built anew")
    return network, again, why_not


def build(network: Network, c: int, size: tuple[int, int], *, empty: bool = False) -> nn.Module:
    """Build a network by its names, in evaluation mode, with random weights.

    Args:
        network: What to build; of a stranger, as it may be.
        c: Classes.
        size: Height and width of the pictures.
        empty: Without memory for weights, where that is possible.

    Raises:
        BundleError: No library has it.
    """
    maker = _maker(network, c, size)
    try:
        with no_random(reproducible=False):
            if empty:
                # RegNets compute their widths as tensors, and cannot be built so
                with suppress(NotImplementedError), torch.device("meta"):
                    return maker().eval()
            return maker().eval()
    except (ModelError, RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise BundleError(f"expected a model that can be built, got {network.arch}: {error}") from (
            error
        )


def _maker(network: Network, c: int, size: tuple[int, int]) -> Callable[[], nn.Module]:
    """See that only what the libraries list is built, and say how."""
    if not 0 < c <= MOST_CLASSES:
        raise BundleError(f"expected 1 to {MOST_CLASSES:,} classes, got {c}")
    if network.library not in ("timm", "torchvision"):
        raise BundleError(f"expected a model of timm or torchvision, got {network.library!r}")
    try:
        arch = find_arch(f"{network.library}/{network.arch}")
    except ModelError as error:
        raise BundleError(f"expected a model of timm or torchvision: {error}") from error
    for name, value in network.args.items():
        if type(value) is not int or not 0 < value <= _ARGS.get(name, 0):
            raise BundleError(f"expected {some(_ARGS)} in a model's arguments, got {name}={value}")
    if network.head == "whole":
        if network.library != "timm":
            raise BundleError(f"expected timm's model as a whole, got {network.library}'s")
        return lambda: timm.create_model(network.arch, num_classes=c, **network.args)
    if network.head not in ("native", "linear", "fastai"):
        raise BundleError(f"expected a head of ours, got {network.head!r}")
    if network.activation not in ACTIVATIONS:
        raise BundleError(f"expected an activation of ours, got {network.activation!r}")
    return lambda: _made(network, arch, c, size)


def _made(network: Network, arch: Arch, c: int, size: tuple[int, int]) -> nn.Module:
    picture = torch.zeros(1, network.channels, *size)
    body, features, pooled = make_body(arch, None, picture, native=network.head == "native")
    options: dict[str, Any] = {}
    if network.head == "fastai":
        options = {"hidden": network.hidden, "activation": network.activation}
    head = make_head(features, c, pooled=pooled, head=network.head, **options)
    return nn.Sequential(body, head)


def _found(arch: Any) -> Arch:
    if arch is None:  # a learner of fastai's own, of a model that was built by hand
        raise ModelError(
            "expected a model of timm or torchvision by its name, got one that the learner has no"
            " name for; export(..., onnx=True) writes it as model.onnx, which needs no code"
        )
    try:
        found = find_arch(arch)
    except (ModelError, TypeError) as error:
        raise ModelError(f"expected a model that a library can build again: {error}") from error
    if not found.settings.library:
        raise _no_network(found, "a function of your own")
    return found


def _no_network(arch: Arch, got: str) -> ModelError:
    return ModelError(
        f"expected a model of timm or torchvision by its name, with a head of ours, got {arch.name}"
        f" with {got}; export(..., onnx=True) writes it as model.onnx, which needs no code"
    )


def _body_and_head(model: nn.Module, arch: Arch, channels: int) -> Network:
    """Say what kind of head a model has."""
    if type(model) is not nn.Sequential or len(model) != 2:
        raise _no_network(arch, "a model that is not a body and a head")
    body, head = model
    layers = [m for m in head.modules() if not isinstance(m, nn.Sequential)]
    linears = [m for m in layers if isinstance(m, nn.Linear)]
    known = (nn.Linear, nn.Dropout, nn.Identity, nn.AdaptiveAvgPool2d, nn.Flatten, Flatten)
    library = arch.settings.library
    name = arch.source if isinstance(arch.source, str) else arch.name
    if len(linears) == 1 and all(isinstance(m, known) for m in layers):
        kind = "linear" if is_cut(body) else "native"
        return Network(library, name, head=kind, channels=channels)
    kinds = {kind: text for text, kind in ACTIVATIONS.items()}
    found = [kinds[type(m)] for m in layers if type(m) in kinds]
    return Network(
        library,
        name,
        head="fastai",
        hidden=tuple(m.out_features for m in linears[:-1]),
        activation=found[0] if found else "relu",
        channels=channels,
    )


def _linears(model: nn.Module) -> int:
    return sum(isinstance(m, nn.Linear) for m in model.modules())


def _logits(model: nn.Module, shape: tuple[int, int, int]) -> torch.Tensor:
    device = next(model.parameters()).device
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)).to(device)
    with evaluating(model), torch.no_grad():
        return model(x).float().cpu()


def calibrated(model: nn.Module, temperature: float) -> nn.Module:
    """Copy a network, with its logits divided by a temperature: in its last layer's weights.

    Raises:
        ModelError: It does not end in a linear layer.
    """
    model = copy.deepcopy(model).cpu().float().eval()
    last = last_linear(model)
    with torch.no_grad():
        for parameter in last.parameters():
            parameter /= temperature
    return model


def last_linear(model: nn.Module) -> nn.Module:
    """Return the layer whose outputs are the logits: a linear one, or a convolution that is one."""
    classifier = model.get_classifier() if hasattr(model, "get_classifier") else None
    if isinstance(classifier, nn.Linear):
        return classifier
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    if not layers:
        raise ModelError("expected a model that ends in a linear layer, got none")
    return layers[-1]


def weights_of(learn: Learner) -> dict[str, torch.Tensor]:
    """Copy a learner's weights."""
    return {name: tensor.detach().clone() for name, tensor in learn.model.state_dict().items()}
