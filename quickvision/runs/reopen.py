"""A finished run, opened again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quickvision.base.errors import RunError, as_path
from quickvision.runs.checkpoints import FOLDER, load_checkpoint
from quickvision.runs.config import read_config
from quickvision.runs.run import Run
from quickvision.runs.train import resume


def load_run(path: str | Path, *, data: Any = None, **options: Any) -> Run:
    """Open a finished run again, without training: its learner, tables and plots.

    Args:
        path: The run's folder.
        data: The pictures, where they are elsewhere now; see `resume`.
        **options: What no file can hold, as in `resume`.

    Raises:
        DataError: The pictures cannot be had.
        RunError: It is no run's folder, or the run was stopped.
    """
    path = as_path(path, "path")
    read_config(path)
    checkpoint = load_checkpoint(path / FOLDER)
    if checkpoint is None or not checkpoint.progress.is_finished:
        raise RunError(
            f"expected a finished run, got {path}, which was stopped; finish it with"
            f" resume({str(path)!r}) (quickvision resume {path})"
        )
    return resume(path, data=data, verbose=False, **options)
