"""How a learner computes: memory format, precision, folded norms, and the same bits each time."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from fastai.callback.fp16 import AMPMode, MixedPrecision
from fastai.learner import Learner
from fastai.torch_core import no_random
from torch import nn
from torch.fx.experimental.optimization import fuse

from quickvision.base.choices import PRECISIONS, one_of
from quickvision.base.errors import ModelError, RunError

HALVES = {AMPMode.FP16: torch.float16, AMPMode.BF16: torch.bfloat16}


def check_precision(precision: str, device: torch.device) -> str:
    """Say which precision is meant on this device: "float32", "bf16" or "fp16".

    "auto" is bf16 where a CUDA device computes in it itself, and else float32: emulated bf16 took
    seven to nine times as long as float32 on CPUs without it.

    Raises:
        ModelError: The device does not have it.
        ValueError: No such precision.
    """
    one_of("precision", precision, PRECISIONS)
    cuda = device.type == "cuda"
    has_bf16 = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "auto":
        return "bf16" if has_bf16 else "float32"
    if (precision == "fp16" and not cuda) or (precision == "bf16" and not has_bf16):
        raise ModelError(
            f"precision: expected 'float32' on this {device.type} device, got {precision!r}, which"
            " it does not have; 'auto' takes what it has"
        )
    return precision


def speed_up(learn: Learner, precision: str) -> None:
    """Set a learner up to compute fast on the device of its data; results stay within noise.

    Convolutions with batch norm are laid out channels-last: on two CPU cores that made steps 1.07
    to 1.55 times faster in every such model that was tried; models with layer norm (ConvNeXt, ViT)
    gained nothing or lost 6 %, and stay as they are there. On CUDA all are laid out so.

    Args:
        learn: The learner; its model's weights keep their values.
        precision: What `check_precision` has made of the wish.
    """
    _laid_out(learn.model, by=learn.model, device=device_of(learn))
    if precision == "bf16":
        learn.to_bf16()
    elif precision == "fp16":
        learn.to_fp16()


def speed_code(learn: Learner) -> list[str]:
    """Write what `speed_up` has done to a learner."""
    kernels = (p for p in learn.model.parameters() if p.ndim == 4 and min(p.shape[1:3]) > 1)
    plain = all(kernel.is_contiguous() for kernel in kernels)
    lines = [] if plain else ["learn.model.to(memory_format=torch.channels_last)  # faster"]
    if half := half_precision(learn):
        lines.append(f"learn.to_{'bf16' if half == torch.bfloat16 else 'fp16'}()")
    return lines


def device_of(learn: Learner) -> torch.device:
    """Return where a learner computes: its data's device, or where its model is."""
    return torch.device(learn.dls.device or next(learn.model.parameters()).device)


def one_picture(dl: Any) -> torch.Tensor:
    """Read the first picture of a loader, float32 [1, channels, height, width], on its device.

    No random state changes: building a loader draws from Python's generator.
    """
    with no_random(reproducible=False):
        picture = dl.new(bs=1, shuffle=False, num_workers=0).one_batch()[0]
    return picture.as_subclass(torch.Tensor)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Set a model to evaluation mode for the block; then each module has its own mode again.

    `model.train()` would set all alike, also a norm layer that somebody has set apart.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield model.eval()
    finally:
        for module, mode in modes:
            module.training = mode


def half_precision(learn: Learner) -> torch.dtype | None:
    """Return the half precision that a learner trains in, if it does."""
    modes = [cb.amp_mode for cb in learn.cbs if isinstance(cb, MixedPrecision)]
    return HALVES[modes[0]] if modes else None


def autocast(device: torch.device, half: torch.dtype | None) -> AbstractContextManager[Any]:
    """Compute in half precision as fastai does: on CUDA only."""
    return torch.autocast("cuda", half) if device.type == "cuda" and half else nullcontext()


def folded(model: nn.Module, x: torch.Tensor) -> nn.Module:
    """Copy a model for inference, with its batch norms folded into its convolutions.

    A fifth to a quarter less time on two CPU cores (mobilenet_v2, batches of 1 and 64).

    Args:
        model: Any model in evaluation mode; it stays as it is.
        x: One batch that it takes, to see that the copy says the same of it.

    Returns:
        The copy; a plain one where the model cannot be traced or would answer differently.
    """
    fused = _fused(model, x)
    if fused is None:
        fused = copy.deepcopy(model)
    return _laid_out(fused, by=model, device=x.device)


def fold_code(model: nn.Module, x: torch.Tensor | None) -> str:
    """Write how `folded` makes a copy of a script's `body`; empty where that is a plain one.

    Args:
        model: The body, in either mode; it stays as it is.
        x: One batch that it takes; None to take it that the copy says the same.
    """
    if not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
        return ""
    kept = copy.deepcopy(model).eval()
    if _fused(kept, x) is None:
        return ""
    normed = any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    layout = ".to(memory_format=torch.channels_last)" if normed else ""
    return f"body = fuse(body){layout}"


def _fused(model: nn.Module, x: torch.Tensor | None) -> nn.Module | None:
    """Fold; None where the model cannot be traced or would answer differently."""
    with torch.no_grad():
        try:
            fused = fuse(model)
            if x is None:
                return fused
            said, expected = fused(x), model.forward(x)  # forward: not what compile() made of it
            same = bool((said - expected).abs().max() <= 1e-2 * expected.abs().max())
        except Exception:  # whatever the model's own code raises when torch.fx walks through it
            return None
    return fused if same else None


def _laid_out(model: nn.Module, *, by: nn.Module, device: torch.device) -> nn.Module:
    """Lay weights out channels-last where that is faster for such models; values stay."""
    normed = any(isinstance(module, nn.BatchNorm2d) for module in by.modules())
    if device.type == "cuda" or (device.type == "cpu" and normed):  # elsewhere it is not safe
        model.to(memory_format=torch.channels_last)
    return model


@contextmanager
def deterministic(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Compute with algorithms that give the same bits each time, for the length of the block.

    Max pooling to a single value, which every fastai head begins with, has no such algorithm on
    CUDA; it is computed as a plain maximum meanwhile, whose gradient is shared by those that tie.

    Args:
        model: What computes.
        device: Where. On a CPU all is so anyway, and nothing is changed.

    Raises:
        RunError: Something in the model has no such algorithm.
    """
    if device.type == "cpu":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    pools = [
        module
        for module in model.modules()
        if isinstance(module, nn.AdaptiveMaxPool2d) and module.output_size in (1, (1, 1))
    ]
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    for pool in pools:
        pool.forward = partial(torch.amax, dim=(-2, -1), keepdim=True)
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        raise RunError(
            f"deterministic: expected layers that can compute the same bits each time, got: {error}"
        ) from error
    finally:
        for pool in pools:
            del pool.forward
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
        torch.backends.cudnn.benchmark = benchmark
