"""The folder of a run: made where nothing is, and what is in it from the start."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from fastai.data.core import DataLoaders

from quickvision.runs.run_options import RunConfig
from quickvision.base.errors import RunError, as_path, expect
from quickvision.base.files import write_whole
from quickvision.data.holdout import CSV, save_split
from quickvision.runs.config import write_config


def new_run_folder(out: str | Path, name: str) -> Path:
    """Make the next free `out/NAME-001`, `NAME-002`, ...

    Raises:
        RunError: It cannot be made there.
    """
    out = as_path(out, "out")
    expect(name, str, "name")
    plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".-") or "run"
    number = 1
    while True:
        path = out / f"{plain}-{number:03d}"
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            if not out.is_dir():
                raise RunError(f"expected a folder to write runs in, got a file: {out}") from None
            number += 1
        except OSError as error:
            raise RunError(
                f"expected to write in {out}, got: {error}; give another out="
            ) from error


def start_folder(
    out: str | Path, name: str, config: RunConfig, made: Mapping[str, Any], dls: DataLoaders
) -> Path:
    """Make a run's folder, with what is known before: `config.json`, `split.csv`, `skipped.csv`.

    Raises:
        RunError: They cannot be written.
    """
    path = new_run_folder(out, name)
    if isinstance(getattr(dls, "split", None), pd.DataFrame):  # made by our doors
        save_split(dls, path / "split.csv")
    skipped = getattr(dls, "skipped", None)
    if isinstance(skipped, pd.DataFrame) and len(skipped):
        write_whole(path / "skipped.csv", partial(skipped.to_csv, **CSV))
    write_config(path, config, made, dls)  # last: what has it can be resumed
    return path
