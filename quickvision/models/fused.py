"""Adam in a single fused kernel, for GPUs; fastai's own takes several small ones a parameter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import torch
from fastai.optimizer import OptimWrapper


class FusedAdam(OptimWrapper):
    """fastai's `Adam` (decoupled decay, its defaults) computed by torch's fused `AdamW`.

    To fastai it has the layer groups that it was given. Inside, each is two of torch's: biases and
    norm layers (tensors of one dimension) do not decay, as with fastai's `wd_bn_bias=False`, a flag
    which `OptimWrapper` alone would lose. (Other tensors of one dimension, such as the layer scale
    of some transformers, do decay in fastai's.)

    Args:
        params: Layer groups, from the input to the head, or the parameters of a single one.
        lr: Rate.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3) -> None:
        parts = list(params)  # a Learner without a splitter gives them in one flat list
        groups = [parts] if isinstance(parts[0], torch.Tensor) else [list(group) for group in parts]
        halves = [
            {"params": [p for p in group if (p.ndim > 1) is decays], "weight_decay": decay}
            for group in groups
            for decays, decay in ((True, 0.01), (False, 0.0))
        ]
        adam = partial(torch.optim.AdamW, lr=lr, betas=(0.9, 0.99), eps=1e-5, fused=True)
        super().__init__(halves, opt=adam, convert_groups=False)

    @property
    def hypers(self) -> list[dict[str, Any]]:
        """The hyperparameters of each layer group."""
        return super().hypers[::2]

    @property
    def param_lists(self) -> list[list[torch.nn.Parameter]]:
        """The parameters of each layer group."""
        halves = [half["params"] for half in self.opt.param_groups]
        return [a + b for a, b in zip(halves[::2], halves[1::2], strict=True)]

    def _set_hyper(self, k: str, v: Sequence[Any]) -> None:
        both = [float(value) for value in v for _ in range(2)]  # a numpy rate cannot be read safely
        if k == "wd":
            both[1::2] = [0.0] * len(v)
        super()._set_hyper(k, both)
