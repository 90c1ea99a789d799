"""A trained network under timm's own names, where timm has that network: proved by its logits."""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import timm
import torch
from fastai.torch_core import no_random
from torch import nn

from quickvision.models.zoo import Arch

SAME = 1e-6  # how far logits in float64 may be apart, as a share of the largest
LOOKS = 2  # inputs that are compared

# What timm raises where a model is not made for such pictures: they have no common parent.
_MISFITS = (RuntimeError, TypeError, ValueError, AssertionError)
# torchvision's names, where timm has another.
_RENAMED = {
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "efficientnet_v2_s": "efficientnetv2_s",
    "efficientnet_v2_m": "efficientnetv2_m",
    "efficientnet_v2_l": "efficientnetv2_l",
    "mnasnet0_5": "mnasnet_050",
    "mnasnet0_75": "mnasnet_075",
    "mnasnet1_0": "mnasnet_100",
    "vit_b_16": "vit_base_patch16_224",
    "vit_b_32": "vit_base_patch32_224",
    "vit_l_16": "vit_large_patch16_224",
    "vit_l_32": "vit_large_patch32_224",
    "swin_t": "swin_tiny_patch4_window7_224",
    "swin_s": "swin_small_patch4_window7_224",
    "swin_b": "swin_base_patch4_window7_224",
    "swin_v2_t": "swinv2_tiny_window8_256",
    "swin_v2_s": "swinv2_small_window8_256",
    "swin_v2_b": "swinv2_base_window8_256",
}
_REGNET = re.compile(r"regnet_([xy])_(\d+)(?:_(\d+))?([mg])f")


@dataclass(frozen=True)
class Timms:
    """A network of timm's with the weights of ours, which answers alike.

    Attributes:
        name: timm's name, without a tag.
        model: The network, in evaluation mode, in float32.
        args: Further arguments of `create_model`.
    """

    name: str
    model: nn.Module
    args: Mapping[str, int]


def as_timms(model: nn.Module, arch: Arch, *, c: int, shape: tuple[int, int, int]) -> Timms | str:
    """Find timm's network that answers as this one does.

    Tensors are paired by their names, else in their order among those of the same size; then the
    logits of random inputs decide, in float64.

    Args:
        model: The trained network, body and head; it stays as it is.
        arch: What it was built as.
        c: Classes.
        shape: Channels, height and width of what it takes.

    Returns:
        The network; or a clause that says why there is none.
    """
    name = timms_name(arch)
    if not name:
        return f"timm has no {arch.name}"
    args, cfg = {} if shape[0] == 3 else {"in_chans": shape[0]}, timm.get_pretrained_cfg(name)
    if cfg is not None and cfg.fixed_input_size and tuple(cfg.input_size[1:]) != shape[1:]:
        args["img_size"] = shape[1]
    try:
        with no_random(reproducible=False):
            theirs = timm.create_model(name, num_classes=c, **args).eval()
    except _MISFITS as error:
        return f"timm cannot build {name} for such pictures: {error}"
    ours = copy.deepcopy(model).cpu().float().eval()
    pairs = _pairs(ours.state_dict(), theirs.state_dict())
    if pairs is None:
        return f"its layers are not those of timm's {name}"
    state, mine = theirs.state_dict(), ours.state_dict()
    for their, our in pairs.items():
        state[their] = mine[our].reshape(state[their].shape).contiguous()
    _same_epsilon(state, pairs, ours, theirs)
    theirs.load_state_dict(state)
    try:
        apart = _apart(ours, theirs, shape)
    except _MISFITS as error:
        return f"timm's {name} cannot take its pictures: {error}"
    if apart > SAME:
        return f"timm's {name} answers otherwise with its weights"
    return Timms(name, theirs, args)


def timms_name(arch: Arch) -> str:
    """Name timm's architecture, without a tag; empty where there is none of that kind."""
    if isinstance(arch.source, str):
        return arch.source.partition(".")[0]
    if arch.settings.library != "torchvision":
        return ""
    name = _RENAMED.get(arch.name, arch.name)
    if found := _REGNET.fullmatch(arch.name):
        kind, whole, tenths, unit = found.groups()
        flops = float(f"{whole}.{tenths or 0}") * (10 if unit == "g" else 0.01)
        name = f"regnet{kind}_{round(flops):03d}"
    return name if timm.is_model(name) else ""


State = Mapping[str, torch.Tensor]


def _pairs(ours: State, theirs: State) -> dict[str, str] | None:
    """Say which of our tensors each of theirs is; None where they are not the same in number."""
    mine, wanted = (
        {name: t for name, t in state.items() if t.is_floating_point()} for state in (ours, theirs)
    )
    if len(mine) != len(wanted):
        return None
    plain = {re.sub(r"^0\.(model\.)?", "", name): name for name in mine}
    named = {name: plain[name] for name in wanted if name in plain}
    rest = [name for name in wanted if name not in named]
    left = defaultdict(list)
    for name in mine:
        if name not in {*named.values()}:
            left[mine[name].numel()].append(name)
    for name in rest:
        if not left[wanted[name].numel()]:
            return None
        named[name] = left[wanted[name].numel()].pop(0)
    same = all(mine[our].numel() == wanted[their].numel() for their, our in named.items())
    return named if same else None


def _same_epsilon(
    state: dict[str, torch.Tensor], pairs: Mapping[str, str], ours: nn.Module, theirs: nn.Module
) -> None:
    """Put what two batch norms add to a variance, where it differs, into the variance itself."""
    for their, our in pairs.items():
        if their.endswith("running_var"):
            one, other = (
                model.get_submodule(name.rpartition(".")[0])
                for model, name in ((ours, our), (theirs, their))
            )
            more = getattr(one, "eps", 0.0) - getattr(other, "eps", 0.0)
            state[their] = (state[their] + more).clamp_min(0)


def _apart(ours: nn.Module, theirs: nn.Module, shape: tuple[int, int, int]) -> float:
    """Compare logits, in float64: the largest difference as a share of the largest of them."""
    x = torch.randn(LOOKS, *shape, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        one, other = (copy.deepcopy(model).double().eval()(x) for model in (ours, theirs))
    if one.shape != other.shape:
        return float("inf")
    return float((one - other).abs().max() / one.abs().max().clamp_min(1e-12))
