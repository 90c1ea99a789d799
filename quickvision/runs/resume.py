"""Go on with a run that was stopped, from its folder alone."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.torch_core import no_random

from quickvision.base.errors import RunError, as_path, some
from quickvision.base.figures import to_seconds
from quickvision.base.files import read_rows
from quickvision.base.processes import by_first, first_then_others, join
from quickvision.base.progress import say
from quickvision.runs.build import build, sorted_out
from quickvision.runs.checkpoints import FOLDER, load_checkpoint
from quickvision.runs.config import RunConfig, read_config, sides
from quickvision.runs.folder import _tidy, locked
from quickvision.runs.job import Job
from quickvision.runs.launch import check_gpus, launch
from quickvision.runs.run import Run


def resume(
    path: str | Path,
    *,
    data: str | Path | DataLoaders | Learner | None = None,
    before: bool = False,
    gpus: int | None = None,
    cbs: Any = None,
    verbose: bool = True,
    **options: Any,
) -> Run:
    """Go on with a run that was stopped, in whatever way: killed, out of power, by Ctrl-C.

    Data and model are built as they were, and training goes on after the last epoch that was
    written down, at its place in the schedule. On the same CPU, with the same versions, it ends
    with the very weights that it would have had. A run that is complete is looked at once more.

    Args:
        path: The run's folder, which has its `config.json`.
        data: The pictures, where they are elsewhere now, or where the run was given `DataLoaders`
            or a `Learner`: these, built anew in the same way.
        before: Go on from the checkpoint before the last one, where that is damaged.
        gpus: As in `train`.
        cbs: fastai callbacks, where the run had some. They begin anew: what a callback has counted
            is not in a checkpoint.
        verbose: Say what happens.
        **options: What no file can hold, as it was given to `train`: functions, transforms, losses.

    Returns:
        The finished run, as `train` returns it.

    Raises:
        DataError: The pictures cannot be had.
        RunError: `path` is no run's folder, another process is at it, pictures have come or gone,
            something is to be given again, or a checkpoint is damaged.
        TypeError: An option that the run was not given, or that is no option.
    """
    join()
    path = as_path(path, "path")
    found = by_first(lambda: read_config(path))
    config: RunConfig = found["train"]
    made = _made(path, found, data, cbs, options)
    if gpus is not None:
        _launch(path, made, gpus, before, verbose)
        verbose = before = False
    with ExitStack() as held:
        by_first(lambda: held.enter_context(locked(path)))
        by_first(lambda: _tidy(path))
        state = by_first(lambda: load_checkpoint(path / FOLDER, before=before))
        timing: dict[str, float] = {}
        how: dict[str, Any] = {"seed": config.seed, "verbose": verbose, "timing": timing}
        with no_random(config.seed, reproducible=False):
            learn = first_then_others(lambda: build(made, **how))
            _check_same(path, found, learn)
            budget = None if config.budget is None or state else to_seconds(config.budget)
            where = _said(state)
            say(f"{'resumed':<13}{path}, {where}", verbose=verbose)
            job = Job(
                learn,
                path,
                config,
                cbs=cbs,
                verbose=verbose,
                deadline=None if budget is None else time.perf_counter() + budget,
                timing=timing,
                made=made,
                state=state,
            )
            return job.train()


def _launch(path: Path, made: dict[str, Any], gpus: int, before: bool, verbose: bool) -> None:
    """Let several processes go on with it."""
    check_gpus(gpus)
    data = made["data"]
    if made["cbs"] or not isinstance(data, str | Path):
        raise TypeError("gpus: goes with a folder or a CSV file, and without callbacks")
    more = ["--data", str(data)] + ["--before"] * before
    launch(["resume", str(path), *more], gpus, verbose=verbose)


def _made(
    path: Path, found: dict[str, Any], data: Any, cbs: Any, options: dict[str, Any]
) -> dict[str, Any]:
    """Put together what was written down and what is given again."""
    lacking = set(found["lacking"])
    given = {**options, **({} if cbs is None else {"cbs": cbs})}
    given |= {} if data is None else {"data": data}
    names = {name.rpartition(".")[2] for name in lacking}
    if lost := sorted(names - set(given)):
        raise RunError(
            f"expected {some(lost)} as the run was given, which no file can hold: resume"
            f"({str(path)!r}, {', '.join(f'{name}=...' for name in lost)})"
        )
    if strange := sorted(set(given) - names - {"data"}):
        raise TypeError(f"{some(strange)}: the run goes on as it began; it has its own")
    made = {name: found.get(name, options.get(name)) for name in ("arch", "weights")}
    more = {name: part for name, part in options.items() if name not in made}
    model, pictures = sorted_out(more)
    made |= {"model": found["model"] | model, "pictures": found["pictures"] | pictures}
    return made | {"data": found.get("data") if data is None else data, "cbs": cbs is not None}


def _check_same(path: Path, found: dict[str, Any], learn: Learner) -> None:
    """See that the pictures are those of the run, on the same sides."""
    dls = learn.dls
    seen = sides(dls)
    if seen == {name: found.get(name) for name in seen}:
        return
    text = f"{len(dls.train_ds):,} to train on instead of {found['n_train']:,}"
    split = getattr(dls, "split", None)
    if (path / "split.csv").is_file() and isinstance(split, pd.DataFrame):
        was = {row[0] for row in read_rows(path / "split.csv", errors="surrogateescape")[1:]}
        now = {name.strip() for name in split["path"]}
        new, gone = sorted(now - was), sorted(was - now)
        text = f"{len(new):,} new ones ({some(new)}) and {len(gone):,} gone ({some(gone)})"
    raise RunError(
        f"expected the pictures of {path / 'split.csv'}, got others: {text}; put them back, or"
        " begin a new run"
    )


def _said(state: dict[str, Any] | None) -> str:
    """Say where it goes on."""
    if state is None or not state["rows"]:
        return "from its start"
    last = state["rows"][-1]
    return f"after {last['stage']} epoch {last['epoch']}"
