"""Write a file so that it is whole or not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from quickvision.base.errors import RunError


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a file under another name and move it into place, so that it is never half there.

    Args:
        path: The file to end with.
        write: Called with the path to write to, which has the same suffix.

    Raises:
        RunError: It cannot be written; an older file of this name is as it was.
    """
    part = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        with open(part, "r+b") as file:  # Windows syncs only what can be written
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, RuntimeError) as error:  # torch.save says RuntimeError where the disk is full
        raise RunError(f"expected to write {path}, got: {error}") from error
    finally:
        with suppress(OSError):  # a parent that is a file, a scanner that holds it
            part.unlink(missing_ok=True)
    return path
