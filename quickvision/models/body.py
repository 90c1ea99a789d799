"""From an architecture to its body: the model without pooling and classifier, its weights in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from fastai.callback.hook import num_features_model
from fastai.vision.learner import TimmBody, create_body, model_meta
from torch import nn
from torchvision.models import VisionTransformer

from quickvision.base.errors import ModelError
from quickvision.models.zoo import Arch
from quickvision.models.weights import load_weights

# Children that stand between the last feature map and the classes, in torchvision's models.
_HEADS = {"avgpool", "dropout", "flatten", "classifier", "fc", "head", "heads"}
_AUXILIARY = {"AuxLogits", "aux1", "aux2"}


def make_body(
    arch: Arch, weights: str | Path | None, picture: torch.Tensor
) -> tuple[nn.Module, int, bool]:
    """Build a model, load its weights, cut its classifier off.

    It calls what fastai's `vision_learner` calls, in that order, so that both draw the same random
    numbers; but it also cuts the models that fastai cannot (most of torchvision, timm's Swin).

    Args:
        arch: What to build.
        weights: "default" (the library's best, downloaded once), a file, or None.
        picture: A batch of one, float32 [1, channels, height, width]: the body must take it.

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
        body = TimmBody(model, download, None, n_in)
        if file is not None:
            load_weights(model, model, file, name=arch.name)
        return _look(body, picture)
    meta = model_meta.get(arch.source, {})
    if arch.settings.library:
        model = arch.source(weights="DEFAULT" if download else None, **_extra(arch.name, download))
        cut = meta.get("cut", cut_classifier)
    else:
        model = arch.source(pretrained=download)
        cut = meta.get("cut")
    if file is not None:
        load_weights(model, create_body(model, cut=cut), file, name=arch.name)
    body = create_body(model, n_in, weights is not None, cut)
    if isinstance(body, VisionTransformer):
        return body, body.hidden_dim, True
    if arch.settings.fixed_size:  # fastai would try other sizes
        with torch.no_grad():
            return body.train(), body.eval()(picture).shape[1], False
    return body, num_features_model(nn.Sequential(*body.children())), False


def _extra(name: str, download: bool) -> dict[str, Any]:
    """Name what torchvision would warn of: how these two begin without weights."""
    return {} if download or name not in ("googlenet", "inception_v3") else {"init_weights": True}


def _look(body: TimmBody, picture: torch.Tensor) -> tuple[nn.Module, int, bool]:
    """See what timm's body gives: fastai takes any that could pool for one with feature maps."""
    features = body.model.num_features
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
        f"{'*' * isinstance(child, nn.ModuleList)}model.{name}"
        for name, child in model.named_children()
        if name not in _HEADS | _AUXILIARY
    ]
