"""The part of a run's plain fastai script that builds its model and learner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from fastai.learner import Learner
from fastai.vision.learner import model_meta
from torch import nn
from torchvision.models import VisionTransformer

from quickvision.models.body import kept_children
from quickvision.models.compute import half_precision
from quickvision.models.head import ACTIVATIONS
from quickvision.models.zoo import Arch, find_arch

_OPTS = {
    "adamw": "Adam",
    "adam": "partial(Adam, decouple_wd=False)",
    "sgd": "partial(SGD, mom=0.9)",
    "rmsprop": "RMSProp",
    "radam": "RAdam",
    "qhadam": "QHAdam",
    "larc": "Larc",
    "lamb": "Lamb",
    "ranger": "ranger",
    "adadelta": "partial(OptimWrapper, opt=torch.optim.Adadelta)",
    "adagrad": "partial(OptimWrapper, opt=torch.optim.Adagrad)",
}
_PLAIN = (str, int, float, bool, type(None))


def model_lines(learn: Learner, made: Mapping[str, Any]) -> list[str]:
    """Write how body, head and learner are put together."""
    model, weights = dict(made["model"]), made["weights"]
    arch = find_arch(made["arch"])
    weighed = made["pictures"].get("balance") == "weights"
    options = [f"loss_func={_loss(learn, model)}"] if weighed or _own_loss(model) else []
    if {"opt", "opt_func", "momentum"} & {k for k, v in model.items() if v is not None}:
        options.append(f"opt_func={_opt(model)}")
    if model.get("momentum") is not None:
        options.append(f"moms=({model['momentum']!r},) * 3")
    metrics = "..." if "metrics" in model else "[error_rate, accuracy]"
    options.append(f"metrics={metrics}")
    shape = {"head", "hidden", "dropout", "activation", "loss", "label_smoothing", "class_weights"}
    done = shape | {"opt", "opt_func", "momentum", "metrics", "layer_groups", "splitter"}
    done |= {"loss_func", "precision", "compile"}
    for name, value in model.items():
        if name not in done:
            options.append(f"{name}={value!r}" if isinstance(value, _PLAIN) else f"{name}=...")
    meta = {} if isinstance(arch.source, str) else model_meta.get(arch.source, {})
    usual = model.get("head", "fastai") == "fastai" and model.get("activation") is None
    if meta and arch.settings.library and usual and weights in ("default", None):
        groups = model.get("layer_groups", 3) == 3
        if model.get("hidden") is not None:
            options.append(f"lin_ftrs={list(model['hidden'])}")
        if model.get("dropout") is not None:
            options.append(f"ps={model['dropout']!r}")
        splitter = [] if groups else _splitter(learn)
        options += [] if groups else ["splitter=splitter"]
        call = [f"pretrained={weights is not None}", *options]
        lines = [*splitter, _call(f"learn = vision_learner(dls, models.{arch.name}", call)]
    else:
        lines = [*_body(learn, arch, weights), *_new_head(learn, arch, model), *_splitter(learn)]
        lines.append(_call("learn = Learner(dls, model", [*options, "splitter=splitter"]))
        lines += ["learn.freeze()"] if weights is not None else []
    kernels = (p for p in learn.model.parameters() if p.ndim == 4 and min(p.shape[1:3]) > 1)
    if not all(p.is_contiguous() for p in kernels):
        lines.append("learn.model.to(memory_format=torch.channels_last)  # faster")
    half = half_precision(learn)
    return lines + ([f"learn.to_{'bf16' if half == torch.bfloat16 else 'fp16'}()"] if half else [])


def _body(learn: Learner, arch: Arch, weights: Any) -> list[str]:
    """Write how a model is built, and its classifier cut off."""
    file, download = weights not in ("default", None), weights == "default"
    body = learn.model[0]
    reader = f"torch.load({str(weights)!r}, weights_only=True)"
    if str(weights).endswith(".safetensors"):
        reader = f"load_file({str(weights)!r})"
    load = [f"model.load_state_dict({reader}, strict=False)"] if file else []
    if isinstance(arch.source, str):
        build = f"timm.create_model({arch.name!r}, pretrained={download}, num_classes=0)"
        cut = ["body = TimmBody(model)"]
        if not getattr(body, "needs_pool", True):
            cut.append("body.needs_pool = False  # its own pooling")
    elif not arch.settings.library:
        return [f"body = ...  # what create_body makes of your {arch.name}()"]
    else:
        given = "weights='DEFAULT'" if download else "weights=None"
        build = f"torchvision.models.{arch.name}({given})"
        if isinstance(body, VisionTransformer):
            cut = ["model.heads = nn.Identity()", "body = model"]
        elif cut_at := model_meta.get(arch.source, {}).get("cut"):
            cut = [f"body = create_body(model, cut={cut_at})"]
        else:
            with torch.device("meta"):
                kept = kept_children(arch.source(weights=None))
            cut = [f"body = nn.Sequential({', '.join(kept)})"]
    return [f"model = {build}", *load, *cut]


def _new_head(learn: Learner, arch: Arch, model: Mapping[str, Any]) -> list[str]:
    """Write how the head is built."""
    head = model.get("head", "fastai")
    if isinstance(head, nn.Module):
        return ["head = ...  # your own module", "model = nn.Sequential(body, head)"]
    linears = [m for m in learn.model[1].modules() if isinstance(m, nn.Linear)]
    pooled = not any("Pool" in type(m).__name__ for m in learn.model[1])
    features = linears[0].in_features // (1 if pooled or head == "linear" else 2)
    counted = not isinstance(arch.source, str) and not pooled and not arch.settings.fixed_size
    n = "num_features_model(body)" if counted and arch.settings.library else str(features)
    if head == "linear":
        pool = "" if pooled else "nn.AdaptiveAvgPool2d(1), Flatten(), "
        drop = f"nn.Dropout({model['dropout']!r}), " if model.get("dropout") else ""
        lines = [f"n = {n}", f"head = nn.Sequential({pool}{drop}nn.Linear(n, dls.c))"]
    else:
        hidden = f", lin_ftrs={list(model['hidden'])}" if model.get("hidden") is not None else ""
        ps = f", ps={model['dropout']!r}" if model.get("dropout") is not None else ""
        lines = [f"head = create_head({n}, dls.c{hidden}{ps}, pool={not pooled})"]
        if model.get("activation") is not None and model.get("hidden") != ():
            named = isinstance(model["activation"], str)
            new = f"nn.{ACTIVATIONS[model['activation']].__name__}()" if named else "..."
            swap = f"[{new} if isinstance(m, nn.ReLU) else m for m in head]"
            lines.append(f"head = nn.Sequential(*{swap})")
        lines.append("apply_init(head, nn.init.kaiming_normal_)")
    return [*lines, "model = nn.Sequential(body, head)"]


def _splitter(learn: Learner) -> list[str]:
    """Write the layer groups as places in the list of parameters."""
    place = {id(p): i for i, p in enumerate(learn.model.parameters())}
    groups = [[place[id(p)] for p in group] for group in learn.splitter(learn.model)]
    ends = np.cumsum([len(group) for group in groups]).tolist()
    parts = [f"p[{start}:{end}]" for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    if [i for group in groups for i in group] != list(range(ends[-1])):
        parts = [f"[p[i] for i in {group}]" for group in groups]
    return [
        "",
        "",
        "def splitter(model):  # layer groups, from input to head",
        "    p = list(model.parameters())",
        f"    return [{', '.join(parts)}]",
        "",
        "",
    ]


def _own_loss(model: Mapping[str, Any]) -> bool:
    names = ("loss", "loss_func", "label_smoothing", "class_weights")
    return any(name in model for name in names)


def _loss(learn: Learner, model: Mapping[str, Any]) -> str:
    if callable(model.get("loss")) or "loss_func" in model:
        return "..."
    weight = getattr(getattr(learn.loss_func, "func", None), "weight", None)
    given = [] if weight is None else [f"weight=torch.tensor({weight.tolist()})"]
    if model.get("loss") == "focal":
        return f"FocalLossFlat({', '.join(given)})"
    given.append(f"label_smoothing={model.get('label_smoothing', 0.0)!r}")
    return f"CrossEntropyLossFlat({', '.join(given)})"


def _opt(model: Mapping[str, Any]) -> str:
    opt = model.get("opt") or model.get("opt_func") or "adamw"
    momentum = model.get("momentum")
    code = _OPTS[opt.lower()] if isinstance(opt, str) else "..."
    return code if momentum is None else f"partial({code}, mom={momentum!r})"


def _call(start: str, options: Sequence[str]) -> str:
    one = f"{start}, {', '.join(options)})"
    return one if len(one) <= 100 else f"{start},\n    " + ",\n    ".join(options) + ",\n)"
