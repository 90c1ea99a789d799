"""Random states, as plain data that can be written down: all that a training draws from."""

from __future__ import annotations

import random
from typing import Any, cast

import numpy as np
import torch
from fastai.data.core import DataLoaders

States = dict[str, Any]


def random_states(dls: DataLoaders) -> States:
    """Take down the states of torch, NumPy and Python, and of the loaders' own orders.

    Args:
        dls: Whose pictures are drawn.

    Returns:
        Tensors, lists and numbers alone, which `torch.load(weights_only=True)` reads.
    """
    name, keys, *rest = cast(tuple[Any, ...], np.random.get_state(legacy=True))
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), *rest],
        "python": _written(random.getstate()),
        "loaders": [_written(dl.rng.getstate()) for dl in dls.loaders],
    }


def set_random_states(states: States, dls: DataLoaders) -> None:
    """Go back to states that `random_states` took down; a GPU that was not there keeps its own."""
    torch.set_rng_state(states["torch"].cpu())
    if len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), *rest))
    random.setstate(_read(states["python"]))
    for dl, state in zip(dls.loaders, states["loaders"], strict=True):
        dl.rng.setstate(_read(state))


def _written(state: tuple[Any, ...]) -> list[Any]:
    version, numbers, gauss = state
    return [version, torch.tensor(numbers, dtype=torch.int64), gauss]


def _read(state: list[Any]) -> tuple[Any, ...]:
    version, numbers, gauss = state
    return version, tuple(numbers.tolist()), gauss
