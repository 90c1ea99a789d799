"""From an architecture to its body: weights in, classifier cut off, layers in groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from fastai.callback.hook import num_features_model
from fastai.torch_core import no_random, params
from fastai.vision.learner import TimmBody, _update_first_layer, create_body, model_meta
from timm.models import group_parameters
from torch import nn
from torchvision.models import VisionTransformer

from quickvision.base.errors import ModelError
from quickvision.models.fitting import Target, find_fit
from quickvision.models.loading import load_code, load_weights
from quickvision.models.native import last_layer, name_of_last, without_code, without_last
from quickvision.models.weights import read_weights
from quickvision.models.zoo import Arch

Groups = list[list[nn.Parameter]]


def layer_groups(model: nn.Sequential, *, n: int | None = 3) -> Groups:
    """Split body and head into layer groups, in the order from input to head.

    Args:
        model: Body and head.
        n: Groups; the last one is the head, the others hold about equally many tensors of the body.
            None: each stage of the body is a group. Fewer where the body has fewer stages.

    Source: timm's `group_matcher(coarse=True)`; in other models, the modules by name, where one
    with more than half of the body's tensors is opened (ResNet's layers stay whole).
    """
    body = model[0]
    found = _by_matcher(body.model if isinstance(body, TimmBody) else body)
    stages = [stage for stage in found if stage]
    parts = len(stages) if n is None else min(n - 1, len(stages))
    return [*_merge(stages, parts), params(model[1:])]


def _merge(stages: Groups, parts: int) -> Groups:
    """Join neighbours, so that all parts hold about equally many tensors, and at least one."""
    ends = np.cumsum([len(stage) for stage in stages])
    cuts: list[int] = []
    for part in range(1, parts):
        low, high = (cuts[-1] + 1 if cuts else 1), len(stages) - (parts - part)
        near = np.abs(ends[low - 1 : high] - ends[-1] * part / parts)
        cuts.append(low + int(near.argmin()))
    edges = [0, *cuts, len(stages)]
    return [[p for stage in stages[i:j] for p in stage] for i, j in pairwise(edges)]


def _by_matcher(model: nn.Module) -> Groups:
    if not hasattr(model, "group_matcher"):
        return _by_name(model)
    named = dict(model.named_parameters())
    try:
        grouped = group_parameters(model, model.group_matcher(coarse=True))
    except AssertionError:  # timm's RDNet has no coarse ones
        return _by_name(model)
    return [[named[name] for name in grouped[key]] for key in sorted(grouped)]


def _by_name(body: nn.Module) -> Groups:
    """Group by the first part of each name, and by more parts where one holds too much."""
    named = {tuple(name.split(".")): p for name, p in body.named_parameters()}
    depth = dict.fromkeys(named, 1)
    while True:
        sizes = Counter(name[: depth[name]] for name in named)
        stage, size = max(sizes.items(), key=lambda item: item[1], default=((), 0))
        inside = [n for n in named if n[: depth[n]] == stage and depth[n] < len(n) - 1]
        if size <= len(named) / 2 or not inside:
            return [[p for n, p in named.items() if n[: depth[n]] == s] for s in sizes]
        for name in inside:
            depth[name] += 1


# Children that stand between the last feature map and the classes, in torchvision's models.
_HEADS = {"avgpool", "dropout", "flatten", "classifier", "fc", "head", "heads"}
_AUXILIARY = {"AuxLogits", "aux1", "aux2"}


def make_body(
    arch: Arch, weights: str | Path | None, picture: torch.Tensor, *, native: bool = False
) -> tuple[nn.Module, int, bool]:
    """Build a model, load its weights, cut its classifier off.

    It calls what fastai's `vision_learner` calls, in that order, so that both draw the same random
    numbers; but it also cuts the models that fastai cannot (most of torchvision, timm's Swin).

    Args:
        arch: What to build.
        weights: "default" (the library's best, downloaded once), what `read_weights` reads, or
            None.
        picture: A batch of one, float32 [1, channels, height, width]: the body must take it.
        native: Keep all of the network but its last linear layer; where it ends otherwise, it is
            cut all the same.

    Returns:
        The body; how many features it gives; and whether these are pooled: [n, f], and not
        [n, f, height, width].

    Raises:
        ModelError: As `load_weights`; or there are no weights to download.
        StopIteration: fastai finds no pooling layer to cut a callable's model at.
        OSError: The weights cannot be downloaded.
        RuntimeError: The model cannot take the picture.
    """
    file = None if weights in ("default", None) else weights
    download, n_in = weights == "default", picture.shape[1]
    if download and arch.settings.library and arch.settings.weights is None:
        raise ModelError(
            f"expected weights of {arch.name} to download, got none: {arch.settings.library} has"
            " none; pass weights=None or a file"
        )
    if isinstance(arch.source, str):
        model = timm.create_model(arch.source, pretrained=download, num_classes=0, in_chans=n_in)
        if file is not None:
            load_weights(model, model, file, name=arch.name, timm_name=arch.source)
        return _whole(model, picture) if native else _look(model, n_in, picture)
    meta = model_meta.get(arch.source, {})
    if arch.settings.library:
        model = arch.source(weights="DEFAULT" if download else None, **_extra(arch.name, download))
        cut = meta.get("cut", cut_classifier)
    else:
        model = arch.source(pretrained=download)
        cut = meta.get("cut")
    if native and (last := _last_layer(model, picture)):
        without_last(model, last)
        if file is not None:
            load_weights(model, model, file, name=arch.name, cut=_cut_out(model, cut))
        _update_first_layer(model, n_in, weights is not None)
        return _whole(model, picture)
    if file is not None:
        body = create_body(model, cut=cut)
        load_weights(model, body, file, name=arch.name, cut=body)
    body = create_body(model, n_in, weights is not None, cut)
    if isinstance(body, VisionTransformer):
        return body, body.hidden_dim, True
    if arch.settings.fixed_size:  # fastai would try other sizes
        with torch.no_grad():
            return body.train(), body.eval()(picture).shape[1], False
    return body, num_features_model(nn.Sequential(*body.children())), False


def is_cut(body: nn.Module) -> bool:
    """Say whether a body gives feature maps that are yet to be pooled, or has been taken apart."""
    return isinstance(body, TimmBody) or type(body) is nn.Sequential


def _last_layer(model: nn.Module, picture: torch.Tensor) -> str:
    """Find the last layer by a look at a picture, of three channels as the model is built for."""
    return last_layer(model, picture[:, :1].expand(-1, 3, -1, -1))


def _whole(body: nn.Module, picture: torch.Tensor) -> tuple[nn.Module, int, bool]:
    """See how many features a network gives that pools by itself."""
    with torch.no_grad():
        features = body.eval()(picture).shape[1]
    return body.train(), features, True


def _extra(name: str, download: bool) -> dict[str, Any]:
    """Name what torchvision would warn of: how these two begin without weights."""
    return {} if download or name not in ("googlenet", "inception_v3") else {"init_weights": True}


def _look(model: nn.Module, n_in: int, picture: torch.Tensor) -> tuple[nn.Module, int, bool]:
    """See what timm's body gives: fastai takes any that could pool for one with feature maps."""
    body, features = TimmBody(model, False, None, n_in), model.num_features
    with torch.no_grad():
        out = body.eval()(picture)
        if out.ndim == 4 and out.shape[1] == features:
            return body.train(), features, False
        body.needs_pool = False  # Swin's channels come last: its own pooling knows
        out = body(picture)
    return body.train(), out.shape[1], True


def cut_classifier(model: nn.Module) -> nn.Module:
    """Take off a torchvision model's pooling, classifier and auxiliary heads."""
    if isinstance(model, VisionTransformer):  # its tokens and positions are no layers
        model.heads = nn.Identity()
        return model
    layers: list[nn.Module] = []
    for name in kept_children(model):
        child = getattr(model, name.removeprefix("*model.").removeprefix("model."))
        layers += child if name.startswith("*") else [child]
    return nn.Sequential(*layers)


def kept_children(model: nn.Module) -> list[str]:
    """Name the children that make a torchvision model's body, as code: `model.features`."""
    return [
        f"{'*' if isinstance(child, nn.ModuleList) else ''}model.{name}"
        for name, child in model.named_children()
        if name not in _HEADS | _AUXILIARY
    ]


def body_code(
    arch: Arch, weights: str | Path | None, body: nn.Module, *, native: bool = False
) -> str:
    """Write how `make_body` has built this body: the model, its weights, where it is cut."""
    download = weights == "default"
    if isinstance(arch.source, str):
        model = f"timm.create_model({arch.name!r}, pretrained={download}, num_classes=0)"
        cut = "body = model" if native else "body = TimmBody(model)"
        if not native and not getattr(body, "needs_pool", True):
            cut += "\nbody.needs_pool = False  # its own pooling"
    elif not arch.settings.library:
        less = "without its last layer" if native else "as create_body makes it"
        return f"body = ...  # your {arch.name}(), {less}"
    else:
        model = f"torchvision.models.{arch.name}(weights={'DEFAULT' if download else None!r})"
        cut = _native_code(arch.source, body) if native else _cut_code(arch.source, body)
    if weights in ("default", None):
        return f"model = {model}\n{cut}"
    return f"model = {model}\n{_load_code(arch, str(weights), body, native=native)}\n{cut}"


def _load_code(arch: Arch, weights: str, body: nn.Module, *, native: bool) -> str:
    """Write how the weights came into the model: they are looked at again, if they are there."""
    whole = _unloaded(arch.source)
    kept = cut = whole
    out = ""
    if not isinstance(arch.source, str):
        how = model_meta.get(arch.source, {}).get("cut", cut_classifier)
        if native:
            kept = _unloaded(arch.source)
            without_last(kept, name_of_last(body, kept))
        cut = _cut_out(kept, how) or kept
        kept = kept if native else cut
        out = _cut_code(arch.source, cut).removeprefix("body = ")
    timm_name = arch.source if isinstance(arch.source, str) else None
    try:
        stored = read_weights(weights)
        target = Target.of(kept if native or timm_name else whole, kept, cut, timm_name)
        fit, _ = find_fit(stored, target, name=arch.name)
    except (ModelError, OSError):  # gone since
        return f"model.load_state_dict(..., strict=False)  # {weights}"
    return load_code(weights, stored, fit, whole, cut=out)


def _cut_out(model: nn.Module, cut: object) -> nn.Module | None:
    """Cut a body out of a network, with which it shares its tensors, where that is a `Sequential`.

    It is how fastai's `learn.save` and our runs with a head of their own name the tensors.
    """
    if isinstance(model, VisionTransformer):
        return None
    with suppress(StopIteration):  # fastai finds no pooling layer
        return create_body(model, cut=cut)
    return None


def _native_code(build: Callable[..., nn.Module], body: nn.Module) -> str:
    return "\n".join(["body = model", *without_code(body, _unloaded(build))])


def _unloaded(build: str | Callable[..., nn.Module]) -> nn.Module:
    """Build a network without weights that anybody will read."""
    if isinstance(build, str):
        with torch.device("meta"):
            return timm.create_model(build, num_classes=0)
    try:
        with torch.device("meta"):  # without memory for them
            return build(weights=None)
    except NotImplementedError:  # RegNets compute their widths as tensors
        with no_random(reproducible=False):
            return build(weights=None)


def _cut_code(build: Callable[..., nn.Module], body: nn.Module) -> str:
    if isinstance(body, VisionTransformer):
        return "model.heads = nn.Identity()\nbody = model"
    if cut := model_meta.get(build, {}).get("cut"):
        return f"body = create_body(model, cut={cut})"
    kept = kept_children(_unloaded(build))
    return f"body = nn.Sequential({', '.join(kept)})"


def groups_code(model: nn.Module, groups: Groups) -> str:
    """Write layer groups as places in `p`, the list of the model's parameters."""
    places = {id(p): i for i, p in enumerate(model.parameters())}
    parts = [[places[id(p)] for p in group] for group in groups]
    if [i for part in parts for i in part] == list(places.values()):
        return ", ".join(f"p[{part[0]}:{part[-1] + 1}]" for part in parts)
    return ", ".join(f"[p[i] for i in {part}]" for part in parts)
