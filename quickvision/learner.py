"""Put a pretrained body and a new head together: `DataLoaders` in, a plain fastai `Learner` out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from fastai.data.core import DataLoaders, Pipeline
from fastai.data.transforms import Normalize
from fastai.learner import Learner
from fastai.metrics import F1Score, accuracy, error_rate
from fastai.torch_core import no_random
from fastai.vision.learner import vision_learner

from quickvision.errors import DataError, ModelError, some
from quickvision.fused import FusedAdam
from quickvision.models import Arch, Stats, find_arch, load_body
from quickvision.speed import check_precision, speed_up
from quickvision.splits import is_uneven


def cnn_learner(
    dls: DataLoaders,
    arch: str | Callable[..., torch.nn.Module] = "resnet34",
    *,
    weights: str | Path | None = "default",
    metrics: Any = None,
    path: str | Path = ".",
    precision: str = "auto",
    compile: bool = False,
    **kwargs: Any,
) -> Learner:
    """Build a fastai `Learner` with a pretrained body, frozen, and a new head.

    Args:
        dls: Any fastai `DataLoaders` of labelled pictures. It stays as it is: the learner gets its
            own copy, normalised by the statistics that its weights expect (and only by those), so
            that two learners can share one `dls`.
        arch: A torchvision or timm name (torchvision's where both have it; `timm/NAME` says
            otherwise), or a function that builds a model.
        weights: "default", the library's best ImageNet weights, downloaded once; a file with a
            state dict, for rooms without internet; or None, to start from nothing.
        metrics: fastai metrics; by default `error_rate` and `accuracy`, and macro-F1 (`f1_score`)
            where our door has found one class more than 5 times as large as another.
        path: Folder under which `learn.save` writes; fastai would write beside the pictures.
        precision: "auto", "float32", "bf16" or "fp16". "auto" is bf16 on a GPU that computes in
            it, with about half the memory, and else float32. "fp16" is for older GPUs; its
            gradients are scaled. torch's own rules for TF32 stay as they are.
        compile: Let `torch.compile` rewrite the model: worth it in long runs on a GPU; the first
            steps of all layers wait for the compiler, about a minute.
        **kwargs: Go to fastai's `vision_learner` (`loss_func`, `opt_func`, `cbs`, `lin_ftrs`, `ps`,
            `custom_head`, `wd`, ...).

    Returns:
        A plain fastai `Learner` with layer groups, frozen where it has weights. Convolutions are
        laid out channels-last where that is faster (safetensors wants `.contiguous()` of them).

    Raises:
        DataError: `dls` has no validation pictures.
        ModelError: Unknown `arch`, weights that cannot be had or do not fit, a model that
            cannot take pictures of this size, or a `precision` that the device does not have.
        ValueError: There is no such `precision`.
        TypeError: `arch` is a built model, or anything else that is no name and no function;
            `weights` is neither text nor a path; `cut=`, which fastai 2.8.12 would lose.
    """
    if not (weights is None or isinstance(weights, str | Path)):
        raise TypeError(f"weights: expected 'default', None or a file, got {weights!r}")
    if own := kwargs.keys() & {"cut", "pretrained", "normalize"}:
        raise TypeError(f"{some(sorted(own))}: set by cnn_learner itself, from arch= and weights=")
    if not len(dls.loaders[-1].dataset):
        raise DataError(
            "expected validation pictures in dls, got none; hold some out with valid=0.2"
        )
    device = dls.device or torch.device("cpu")
    precision = check_precision(precision, device)
    found = find_arch(arch)
    stats = found.stats if kwargs.get("n_in", 3) == len(found.stats[0]) else None
    download = weights == "default"
    if metrics is None:
        macro_f1 = [F1Score(average="macro")] if is_uneven(getattr(dls, "split", None)) else []
        metrics = [error_rate, accuracy, *macro_f1]
    if device.type == "cuda" and not kwargs.get("wd_bn_bias"):
        kwargs.setdefault("opt_func", FusedAdam)
    try:
        learn = vision_learner(
            _normalised(dls, stats),
            found.source,
            normalize=False,
            pretrained=download,
            metrics=metrics,
            path=path,
            **kwargs,
        )
    except StopIteration as error:
        raise ModelError(
            f"cannot tell {found.name}'s body from its head: no pooling layer"
        ) from error
    # Shapes that do not fit, a download with a wrong checksum.
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"cannot build {found.name}: {error}") from error
    except OSError as error:  # URLError, and Hugging Face's offline error, are both of this kind
        raise ModelError(
            f"expected to download the weights of {found.name}, got: {error}. Three ways out: go"
            f" online once (they are kept); copy the file to this machine and pass weights=FILE;"
            " or train from nothing with weights=None"
        ) from error
    if weights is not None and not download:
        load_body(learn.model[0], found, weights)
        learn.pretrained = True
        learn.freeze()
    speed_up(learn, precision)
    _try_one_picture(learn, found)
    if compile:
        learn.model.compile()  # in place: torch.compile(model) renames its weights
    return learn


def _normalised(dls: DataLoaders, stats: Stats | None) -> DataLoaders:
    """Copy `dls` with these statistics, or none, in place of any that were put in earlier."""
    own = copy.copy(dls)
    with no_random(reproducible=False):  # building a loader draws from Python's generator
        own.loaders = []
        for dl in dls.loaders:
            tfms = [tfm for tfm in dl.after_batch.fs if not isinstance(tfm, Normalize)]
            tfms += [Normalize.from_stats(*stats)] if stats else []
            new = dl.new(after_batch=Pipeline(tfms))
            new.rng.setstate(dl.rng.getstate())
            own.loaders.append(new)
    own.device = dls.device or torch.device("cpu")
    return own


def _try_one_picture(learn: Learner, arch: Arch) -> None:
    """Send one validation picture through, so that a misfit shows now and not in an hour."""
    with no_random(reproducible=False), torch.no_grad():
        picture = learn.dls.loaders[-1].new(bs=1, shuffle=False).one_batch()[0]
        try:
            out = learn.model.to(picture.device).eval()(picture)
        # torch's own kinds: shapes that do not fit, timm's size checks, a ModuleList in the body
        except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
            height, width = picture.shape[-2:]
            raise ModelError(
                f"{arch.name} cannot take pictures of {height} x {width} pixels: {error}; build the"
                " data with the size= that it was made for (224 for most)"
            ) from error
    if out.shape != (1, learn.n_out):
        raise ModelError(
            f"expected an output for each of {learn.n_out} classes, got {tuple(out.shape[1:])}; ps="
            " needs one more entry than lin_ftrs="
        )
