"""Checkpoints on disk: whole or not there, checked when they are read, and no code in them."""

from __future__ import annotations

import os
import pickle
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from quickvision.base.errors import RunError
from quickvision.base.files import write_whole

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
