"""A finished run, opened again."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.torch_core import no_random

from quickvision.base.errors import RunError, as_path
from quickvision.data.holdout import SKIPPED_COLUMNS
from quickvision.data.paths import TABLES
from quickvision.runs.again import given_again, rebuild
from quickvision.runs.checkpoints import FOLDER, load_checkpoint
from quickvision.runs.config import Spec, Written, read_config
from quickvision.runs.kept import read_kept, read_preds
from quickvision.runs.run import Run
from quickvision.runs.train import resume


def load_run(path: str | Path, *, data: Any = None, **options: Any) -> Run:
    """Open a finished run again: its tables, plots and report, without training.

    Neither the pictures nor the model are loaded: `run.learn`, and what needs it (`run.export`,
    heat maps), build the learner when they are asked for.

    Args:
        path: The run's folder.
        data: The pictures, where they are elsewhere now; see `resume`.
        **options: What no file can hold, for `run.learn`, as in `resume`.

    Raises:
        DataError: The pictures cannot be had (of `run.learn`).
        RunError: It is no run's folder, the run was stopped, or a file of it is damaged.
    """
    path = as_path(path, "path")
    written, kept = read_config(path), read_kept(path)
    if kept is None:  # of an older version, or stopped
        checkpoint = load_checkpoint(path / FOLDER)
        if checkpoint is None or not checkpoint.progress.is_finished:
            raise RunError(
                f"expected a finished run, got {path}, which was stopped; finish it with"
                f" resume({str(path)!r}) (quickvision resume {path})"
            )
        return resume(path, data=data, verbose=False, **options)
    given = {**options, **({} if data is None else {"data": data})}
    spec = replace(written.spec, **({} if data is None else {"data": data}))
    root = _root(kept.root, written.spec.data, data)
    return Run(
        path=path,
        spec=spec,
        arch=kept.arch,
        preds=read_preds(path, written.sides.vocab, root),
        progress=kept.progress,
        data=replace(kept.data, skipped=_skipped(path)),
        versions=kept.versions,
        code=kept.code,
        build=partial(_learner, path, written, given),
    )


def _learner(path: Path, written: Written, given: dict[str, Any]) -> Learner:
    """Build the learner, with the weights that the run ended with."""
    spec: Spec = given_again(path, written, given, by="load_run")
    with no_random(spec.train.seed, reproducible=False):
        spec, learn = rebuild(path, spec, written, given, timing={}, verbose=False)
    checkpoint = load_checkpoint(path / FOLDER)
    if checkpoint is None:
        raise RunError(f"expected the weights that {path} ended with, got no checkpoint in it")
    try:
        learn.model.load_state_dict(checkpoint.model)
    except RuntimeError as error:
        raise RunError(f"expected the run's model, got another: {error}") from error
    learn.path, learn.model_dir = path, FOLDER
    if checkpoint.progress.stages[-1].name == "frozen":
        learn.freeze()
    return learn


def _skipped(path: Path) -> pd.DataFrame:
    file = path / "skipped.csv"
    if not file.is_file():
        return pd.DataFrame(columns=SKIPPED_COLUMNS)
    how: dict[str, Any] = {"dtype": str, "keep_default_na": False}
    return pd.read_csv(file, encoding_errors="surrogateescape", **how)


def _root(root: Path, was: Any, now: Any) -> Path:
    """Say where the pictures' root is, where what the run was given has moved."""
    if now is None:
        return root
    if isinstance(now, DataLoaders | Learner):
        return Path(now.dls.path if isinstance(now, Learner) else now.path)
    if not isinstance(was, str):
        return as_path(now, "data")
    inside = os.path.relpath(root, _folder(Path(was)))
    return Path(os.path.normpath(_folder(as_path(now, "data")) / inside))


def _folder(data: Path) -> Path:
    return data.parent if data.suffix.lower() in TABLES else data
