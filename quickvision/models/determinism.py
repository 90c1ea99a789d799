"""The same bits each time on a GPU, at the price of speed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

from quickvision.base.errors import RunError


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
