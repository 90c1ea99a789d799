"""What is kept to go on: checkpoints on disk, random states, and how far a run is.

A file is whole or not there, checked when it is read, and no code is in it.
"""

from __future__ import annotations

import os
import pickle
import random
import zipfile
import zlib
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from fastai.data.core import DataLoaders

from quickvision.base.errors import RunError
from quickvision.base.files import write_whole
from quickvision.training.lr_find import LRFind

FOLDER = "checkpoints"
LAST, BEFORE, BEST = "last.pt", "before.pt", "best.pth"
_DAMAGED = (zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError, EOFError, RuntimeError)


def save_checkpoint(folder: Path, state: dict[str, Any]) -> Path:
    """Write a checkpoint as `last.pt`; the one that had this name becomes `before.pt`.

    Args:
        folder: Where to.
        state: Tensors and plain values; `plain` makes some of what fastai keeps.

    Raises:
        RunError: It cannot be written; those that are there stay.
    """
    new = write_whole(folder / "next.pt", partial(torch.save, state))
    last = folder / LAST
    try:
        if last.exists():
            os.replace(last, folder / BEFORE)
        os.replace(new, last)
    except OSError as error:
        raise RunError(f"expected to write {last}, got: {error}") from error
    return last


def load_checkpoint(folder: Path, *, before: bool = False) -> dict[str, Any] | None:
    """Read the last checkpoint, or the one before it, on the CPU; code in it is never run.

    Args:
        folder: Where from.
        before: Leave the last one alone, and read the one before it.

    Returns:
        The state; None where none was written yet.

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


def read_checkpoint(file: Path) -> dict[str, Any]:
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
    if not isinstance(state, dict):
        raise RunError(f"expected a checkpoint, got {file} with a {type(state).__name__}")
    return state


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
        "python": _as_list(random.getstate()),
        "loaders": [_as_list(dl.rng.getstate()) for dl in dls.loaders],
    }


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


@dataclass
class RunState:
    """What a run has decided and found so far.

    Attributes:
        epochs: Frozen and unfrozen ones, as planned.
        stages: Those that are done.
        rates: Rates that were searched, by stage.
        lr_finds: What was seen in these searches.
        timing: Seconds by stage, in their order.
    """

    epochs: tuple[int, int]
    stages: list[Stage] = field(default_factory=list)
    rates: dict[str, float] = field(default_factory=dict)
    lr_finds: dict[str, LRFind] = field(default_factory=dict)
    timing: dict[str, float] = field(default_factory=dict)

    def is_done(self, stage: str) -> bool:
        """Say whether a stage is behind it."""
        return any(done.name == stage for done in self.stages)

    def to_plain(self) -> dict[str, Any]:
        """Write it down, for a checkpoint."""
        return {
            "epochs": self.epochs,
            "stages": [{**asdict(stage), "lr": _plain_rate(stage.lr)} for stage in self.stages],
            "rates": self.rates,
            "lr_finds": {name: vars(found) for name, found in self.lr_finds.items()},
            "timing": self.timing,
        }

    @classmethod
    def from_plain(cls, state: dict[str, Any]) -> RunState:
        """Read what `to_plain` wrote, from a checkpoint that has more in it."""
        frozen, unfrozen = state["epochs"]
        stages = [Stage(**{**stage, "lr": _rate(stage["lr"])}) for stage in state["stages"]]
        finds = {}
        for name, found in state["lr_finds"].items():
            seen = {key: np.array(found[key]) for key in ("lrs", "losses")}
            finds[name] = LRFind(**{**found, **seen, "lr_range": tuple(found["lr_range"])})
        return cls((frozen, unfrozen), stages, dict(state["rates"]), finds, dict(state["timing"]))


def _plain_rate(rate: Any) -> Any:
    return [rate.start, rate.stop] if isinstance(rate, slice) else rate


def _rate(rate: Any) -> Any:
    return slice(*rate) if isinstance(rate, list) else rate


@dataclass(frozen=True)
class Stage:
    """One stage, as it was trained.

    Attributes:
        name: "frozen" or "unfrozen".
        epochs: Epochs that were asked for.
        lr: Rate, or rates, at the top.
        cached: It trained on cached features.
        gradual: Group by group.
    """

    name: str
    epochs: int
    lr: Any
    cached: bool = False
    gradual: bool = False
