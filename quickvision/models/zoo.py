"""What a model's name means: its library, and the settings that its weights were made with."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import timm
import torch
import torchvision
from fastai.learner import Learner
from fastai.vision.core import imagenet_stats
from fastai.vision.learner import model_meta
from torch import nn

from quickvision.base.errors import ModelError, did_you_mean, expect
from quickvision.base.files import cache_folder, write_whole
from quickvision.base.progress import counted
from quickvision.models.weights import hub_parts, is_on_hub

_MODELS = torchvision.models
_TORCHVISION = {name: getattr(_MODELS, name) for name in _MODELS.list_models(module=_MODELS)}

# With weights these two undo ImageNet's statistics inside `forward`, which the cut leaves out.
_CENTRED = frozenset({"inception_v3", "googlenet"})
# Cadene's `pretrainedmodels`, which many tutorials use, wrote timm's names this way.
_CADENE = re.compile(r"^se_(?=resne)")


@dataclass(frozen=True)
class ModelSettings:
    """What a model's weights were made with, and so want to be used with.

    Attributes:
        name: Its name, as `cnn_learner` takes it.
        library: "torchvision", "timm", or "" for a function of your own.
        weights: Name of its best weights; None where there are none.
        mean: Mean of each channel.
        std: Standard deviation of each channel.
        input_size: Pixels of a side.
        interpolation: How pictures are resized: "bilinear", "bicubic", ...
        crop_pct: Share of a resized picture's side that validation looks at, its middle.
        fixed_size: It takes pictures of `input_size` and no others.
        licence: Licence of the weights, where the library says it.
    """

    name: str
    library: str
    weights: str | None = None
    mean: tuple[float, ...] = tuple(imagenet_stats[0])
    std: tuple[float, ...] = tuple(imagenet_stats[1])
    input_size: int = 224
    interpolation: str = "bilinear"
    crop_pct: float = 1.0
    fixed_size: bool = False
    licence: str | None = None


@dataclass(frozen=True)
class Arch:
    """One architecture, found.

    Attributes:
        name: Plain name, such as `resnet34`.
        source: A torchvision builder or other callable, or, for timm, the name.
        settings: What its weights want.
    """

    name: str
    source: str | Callable[..., nn.Module]
    settings: ModelSettings


def find_arch(arch: str | Callable[..., nn.Module]) -> Arch:
    """Look up a torchvision name, a timm name, or a callable that builds a model.

    Where both libraries have a name, torchvision's is taken; `timm/NAME` and `torchvision/NAME`
    say which. Names of the old `pretrainedmodels`, such as `se_resnet50`, are timm's `seresnet50`.
    `hf_hub:timm/NAME.TAG`, where timm keeps its weights, is timm's `NAME.TAG`; nothing is asked of
    the Hub for that.

    Raises:
        ModelError: No such name; near ones are named.
        TypeError: Neither a name nor a callable that builds a model.
    """
    if isinstance(arch, nn.Module) or not (isinstance(arch, str) or callable(arch)):
        raise TypeError(
            f"arch: expected a name such as 'resnet34' or a function that builds a model, got"
            f" {type(arch).__name__}; a model that is built already goes to fastai's Learner"
        )
    if not isinstance(arch, str):
        name = getattr(arch, "__name__", "custom")
        if arch in _TORCHVISION.values():
            return Arch(name, arch, _of_torchvision(name))
        mean, std = model_meta.get(arch, {}).get("stats", imagenet_stats)
        return Arch(name, arch, ModelSettings(name, "", mean=tuple(mean), std=tuple(std)))
    library, _, name = (_on_hub(arch) if is_on_hub(arch) else arch).rpartition("/")
    name = _CADENE.sub("se", name)
    if library in ("", "torchvision") and name in _TORCHVISION:
        return Arch(name, _TORCHVISION[name], _of_torchvision(name))
    if library in ("", "timm") and timm.is_model(name):
        return Arch(name, name, _of_timm(name))
    known = {"torchvision": list(_TORCHVISION), "timm": timm.list_models()}
    options = known.get(library) or [*known["torchvision"], *known["timm"]]
    raise ModelError(
        f"expected a model of torchvision or timm, got {arch!r}{did_you_mean(name, options)};"
        " qv.list_models() lists them"
    )


def _on_hub(arch: str) -> str:
    """Turn the name of one of timm's own models on the Hub into the name that timm has for it."""
    repository, revision = hub_parts(arch)
    owner, _, name = repository.rpartition("/")
    if owner != "timm" or revision:
        raise ModelError(
            f"arch: on the Hub expected timm's own, as 'hf_hub:timm/resnet18.a1_in1k', got"
            f" {arch!r}; name the architecture that its config.json says, with weights={arch!r}"
        )
    return f"timm/{name}"


def download_address(arch: Arch) -> str:
    """Return where the file of a model's best weights can be had; empty where it is not known."""
    name, library = arch.name, arch.settings.library
    if library == "torchvision" and arch.settings.weights:
        return str(_MODELS.get_model_weights(name).DEFAULT.url)
    cfg = timm.get_pretrained_cfg(arch.source) if isinstance(arch.source, str) else None
    if cfg is not None and cfg.hf_hub_id:
        return f"https://huggingface.co/{cfg.hf_hub_id}/resolve/main/model.safetensors"
    return str(cfg.url or "") if cfg is not None else ""


def model_settings(arch: str | Callable[..., nn.Module]) -> ModelSettings:
    """Say what a model's best weights were made with: statistics, size, interpolation, crop.

    Args:
        arch: As in `cnn_learner`.

    Raises:
        ModelError: No such name; near ones are named.
        TypeError: Neither a name nor a callable that builds a model.

    Source: the transforms of torchvision's `WeightsEnum.DEFAULT`, and timm's `PretrainedCfg`.
    """
    return find_arch(arch).settings


def list_models(pattern: str = "*", *, pretrained: bool = False) -> pd.DataFrame:
    """List the models of torchvision and timm together.

    Args:
        pattern: Shell pattern, such as `"*resnet*"`; text without `*` is looked for anywhere.
            `timm/` or `torchvision/` before it asks one library.
        pretrained: Only those that have weights.

    Returns:
        Columns `name` (as `cnn_learner` takes it: `timm/NAME` where torchvision has that name too),
        `library`, `parameters` (all of the model's, its ImageNet classifier with them),
        `input_size` (pixels) and `weights` (name of the best, or None), in the order of the names;
        empty where none matches.

    timm does not say how many parameters a model has: each is built once, without memory for its
    weights (a twentieth of a second), and the number is kept in quickvision's cache folder.
    """
    expect(pattern, str, "pattern")
    library, _, plain = pattern.rpartition("/")
    plain = plain if set(plain) & set("*?[") else f"*{plain}*"
    rows = []
    if library in ("", "torchvision"):
        for name in fnmatch.filter(_TORCHVISION, plain):
            found = _of_torchvision(name)
            best = _MODELS.get_model_weights(name)
            n = best.DEFAULT.meta["num_params"] if found.weights else _count(_TORCHVISION[name])
            rows.append((name, "torchvision", n, found.input_size, found.weights))
    if library in ("", "timm"):
        names = timm.list_models(plain)
        parameters = _timm_parameters(names)
        for name in names:
            found = _of_timm(name)
            row = ("timm", parameters[name], found.input_size, found.weights)
            rows.append((f"timm/{name}" if name in _TORCHVISION else name, *row))
    rows = [row for row in sorted(rows) if row[-1] or not pretrained]
    columns = ["name", "library", "parameters", "input_size", "weights"]
    return pd.DataFrame(rows, columns=columns).astype({"parameters": int, "input_size": int})


def _of_torchvision(name: str) -> ModelSettings:
    weights = list(_MODELS.get_model_weights(name))
    if not weights:
        return ModelSettings(name, "torchvision")
    best = _MODELS.get_model_weights(name).DEFAULT
    preset = best.transforms()
    (side,), (resized,) = preset.crop_size, preset.resize_size
    centred = name in _CENTRED
    return ModelSettings(
        name,
        "torchvision",
        best.name,
        (0.5,) * 3 if centred else tuple(preset.mean),
        (0.5,) * 3 if centred else tuple(preset.std),
        side,
        preset.interpolation.value,
        side / resized,
        fixed_size=name.startswith(("vit_", "maxvit_")),
        licence=best.meta.get("license"),
    )


def _of_timm(name: str) -> ModelSettings:
    try:
        cfg = timm.get_pretrained_cfg(name)
    except RuntimeError as error:  # no weights of this tag
        raise ModelError(f"expected weights of timm, got {name!r}: {error}") from error
    written = f"timm/{name}" if name in _TORCHVISION else name
    today = getattr(timm.models._registry, "_deprecated_models", {}).get(name)
    if cfg is None and today:  # an old name, whose settings timm keeps under today's
        return _of_timm(today)
    if cfg is None:
        return ModelSettings(written, "timm")
    return ModelSettings(
        written,
        "timm",
        cfg.tag or "default" if cfg.has_weights else None,
        tuple(cfg.mean),
        tuple(cfg.std),
        cfg.input_size[-1],
        cfg.interpolation if cfg.interpolation in ("bilinear", "bicubic", "lanczos") else "bicubic",
        cfg.crop_pct,
        fixed_size=cfg.fixed_input_size,
        licence=cfg.license,
    )


def _timm_parameters(names: list[str]) -> dict[str, int]:
    """Count the parameters of timm's models, each once for a version of timm."""
    file = cache_folder() / f"timm-{timm.__version__}-parameters.json"
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    if new := [name for name in names if name not in known]:
        for name in counted(new, len(new), "counting parameters"):
            known[name] = _count(partial(timm.create_model, name))
        write_whole(file, lambda part: part.write_text(json.dumps(known), encoding="utf-8"))
    return known


def _count(build: Callable[[], Any]) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in build().parameters())


def arch_name(learn: Learner) -> str:
    """Return the name of a learner's architecture, or of its model's class."""
    arch = getattr(learn, "arch", None) or type(learn.model)
    return arch if isinstance(arch, str) else getattr(arch, "__name__", str(arch))
