"""What is kept to go on: checkpoints on disk, with random states.

A file is whole or not there, checked when it is read, and no code is in it.
"""

from __future__ import annotations

import os
import pickle
import random
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.torch_core import set_seed

from quickvision.base.errors import RunError
from quickvision.base.files import write_whole
from quickvision.runs.progress import Progress

FOLDER = "checkpoints"
LAST, BEFORE, BEST = "last.pt", "before.pt", "best.pth"
_DAMAGED = (zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError, EOFError, RuntimeError)
States = dict[str, Any]


@dataclass(frozen=True)
class FitState:
    """What optimiser and random generators were in the midst of a fit."""

    opt: dict[str, Any]  # state dict
    scaler: dict[str, Any]  # state dict of fp16's gradient scaler; empty without one
    random: list[States]  # of each of the processes that train together
    smooth_loss: tuple[int, Any]  # count and value of the recorder's


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on."""

    progress: Progress
    model: Mapping[str, torch.Tensor]  # state dict of the whole model
    fit: FitState | None = None  # None between two fits

    def to_plain(self) -> dict[str, Any]:
        """Write it as tensors and plain values, which `torch.load(weights_only=True)` reads."""
        fit: dict[str, Any] = {"opt": None} if self.fit is None else vars(self.fit)
        return plain({**self.progress.to_plain(), "model": self.model, **fit})

    @classmethod
    def from_plain(cls, state: dict[str, Any]) -> Checkpoint:
        """Read what `to_plain` wrote."""
        fit = None
        if state["opt"] is not None:
            count, loss = state["smooth_loss"]
            fit = FitState(state["opt"], state["scaler"], list(state["random"]), (count, loss))
        return cls(Progress.from_plain(state), dict(state["model"]), fit)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint as `last.pt`; the one that had this name becomes `before.pt`.

    Raises:
        RunError: It cannot be written; the last one stays, as `last.pt` or as `before.pt`.
    """
    new = write_whole(folder / "next.pt", partial(torch.save, checkpoint.to_plain()))
    last = folder / LAST
    try:
        if last.exists():
            os.replace(last, folder / BEFORE)
        os.replace(new, last)
    except OSError as error:
        raise RunError(f"expected to write {last}, got: {error}") from error
    return last


def save_weights(file: Path, learn: Learner) -> None:
    """Write what `learn.save()` writes, but so that none of fastai's classes is needed to read it.

    Raises:
        RunError: It cannot be written.
    """
    opt = learn.opt.state_dict() if learn.opt else None
    state = plain({"model": learn.model.state_dict(), "opt": opt})
    write_whole(file, partial(torch.save, state))


def load_weights(file: Path) -> dict[str, torch.Tensor]:
    """Read the weights that a stage ended with, on the CPU.

    Raises:
        RunError: They cannot be read.
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        return dict(state["model"])
    except (*_DAMAGED, pickle.UnpicklingError) as error:
        raise RunError(
            f"expected the weights at the end of a stage in {file}, which a later one goes back"
            f" towards, got: {error}; begin a new run"
        ) from error


def load_checkpoint(folder: Path, *, before: bool = False) -> Checkpoint | None:
    """Read the last checkpoint, or the one before it, on the CPU; code in it is never run.

    Args:
        folder: Where from.
        before: Leave the last one alone, and read the one before it.

    Returns:
        The checkpoint; None where none was written yet.

    Raises:
        RunError: It is damaged. The one before it is named, where that is whole.
    """
    last, older = folder / LAST, folder / BEFORE
    if before and not older.exists():
        raise RunError(f"expected a checkpoint before the last in {folder}, got none")
    if before or not last.exists():  # a kill between two renames leaves the older one alone
        return read_checkpoint(older) if older.exists() else None
    try:
        return read_checkpoint(last)
    except RunError as error:
        try:
            read_checkpoint(older)
        except RunError:
            raise error from None
        raise RunError(
            f"{error}; the one before it, {BEFORE}, is whole: resume with before=True (--before)"
        ) from error


def read_checkpoint(file: Path) -> Checkpoint:
    """Read one file, and check that it is what was written.

    Raises:
        RunError: It is gone, cut short or changed, or something else.
    """
    try:
        with zipfile.ZipFile(file) as parts:  # torch.load does not look at the checksums
            if bad := parts.testzip():
                raise zipfile.BadZipFile(f"damaged at {bad}")
        state = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch's text says how to run what is in it
        raise RunError(
            f"expected a checkpoint of tensors and plain values, got {file} with other objects"
        ) from error
    except _DAMAGED as error:
        why = "damaged names" if isinstance(error, UnicodeError) else error
        raise RunError(f"expected a whole checkpoint, got {file}: {why}") from error
    try:
        return Checkpoint.from_plain(state)
    except (TypeError, LookupError, ValueError, AttributeError) as error:
        raise RunError(
            f"expected a run's checkpoint, got {file} with something else: {error!r}"
        ) from error


def plain(value: Any) -> Any:
    """Turn what fastai's optimisers keep into what `torch.load(weights_only=True)` reads."""
    if isinstance(value, torch.Tensor):
        return value.detach().as_subclass(torch.Tensor)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {plain(key): plain(part) for key, part in value.items()}
    if isinstance(value, str | int | float | None):
        return value
    return [plain(part) for part in value]  # lists, tuples and fastai's L


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
        "python": _as_list(random.getstate()),
        "loaders": [_as_list(dl.rng.getstate()) for dl in dls.loaders],
    }


def seed_all(dls: DataLoaders, seed: int, apart: int = 0) -> None:
    """Seed torch, NumPy and Python, and the loaders' own orders.

    Args:
        dls: Whose pictures are drawn.
        seed: Of all.
        apart: Added for all but the orders, which several processes have in common.
    """
    set_seed(seed + apart)
    for dl in dls.loaders:
        dl.rng = random.Random(seed)


def set_random_states(states: States, dls: DataLoaders) -> None:
    """Go back to states that `random_states` took down; a GPU that was not there keeps its own."""
    torch.set_rng_state(states["torch"].cpu())
    if len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), *rest))
    random.setstate(_as_state(states["python"]))
    for dl, state in zip(dls.loaders, states["loaders"], strict=True):
        dl.rng.setstate(_as_state(state))


def _as_list(state: tuple[Any, ...]) -> list[Any]:
    version, numbers, gauss = state
    return [version, torch.tensor(numbers, dtype=torch.int64), gauss]


def _as_state(state: list[Any]) -> tuple[Any, ...]:
    version, numbers, gauss = state
    return version, tuple(numbers.tolist()), gauss
