"""The same split and the same recipe for several models: which is better, and is it sure?"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fastai.data.core import DataLoaders
from torch import nn

from quickvision.base.choices import SCHEDULES, one_of
from quickvision.base.errors import DataError, RunError, as_path, expect, some
from quickvision.base.figures import Accuracy, to_seconds
from quickvision.base.files import write_whole
from quickvision.base.memory import peak_memory
from quickvision.base.processes import started_by_launcher
from quickvision.base.progress import say
from quickvision.data.paths import find_files
from quickvision.models.optimisers import find_opt
from quickvision.models.zoo import find_arch
from quickvision.results.comparison import Comparison, tabled
from quickvision.runs.config import split_hash
from quickvision.runs.run import Run
from quickvision.runs.train import train
from quickvision.ship.predictor import Predictor

LOOKS = 10  # pictures that the latency is the median of

Arch = str | Callable[..., nn.Module]


def compare(
    data: str | Path | DataLoaders,
    archs: Arch | Sequence[Arch],
    *,
    opts: Sequence[str] | None = None,
    schedules: Sequence[str] | None = None,
    seeds: int | Sequence[int] = 1,
    budget: str | float | None = None,
    out: str | Path = "runs",
    name: str = "compare",
    verbose: bool = True,
    **options: Any,
) -> Comparison:
    """Train candidates on the same split with the same recipe, and say which differ.

    All archs with all `opts` and all `schedules`. What is done is written down at once: a second
    call with the same data and options trains only what is missing or failed. A candidate that
    fails is a row with its reason.

    Args:
        data: As in `train`, but no `Learner`. From a folder each arch gets pictures of its own
            size; who is held out is the same for all of them and for all seeds.
        archs: Names, or functions that build a model.
        opts: Optimisers to compare, as `opt` in `cnn_learner`.
        schedules: Schedules to compare, as in `train`.
        seeds: How many, from 0, or which ones.
        budget: Time for all of it, as "30min", shared out evenly: `train` then picks the epochs.
        out: Folder in which `NAME` is made, or found from an earlier call.
        name: Name of the comparison.
        verbose: Say a line a candidate.
        **options: Go to `train`: weights, epochs, size, ...

    Returns:
        The table, the best first. Several seeds: the mean error; for McNemar's test a picture
        counts as right where most of the seeds (at least half) get it right.

    Raises:
        ModelError: An arch is unknown.
        RunError: All candidates failed, or `out` cannot be written.
        TypeError: `data` is a `Learner`, or an option belongs to `compare` itself.
        ValueError: No archs or seeds, or an unknown optimiser or schedule.
    """
    archs = [archs] if isinstance(archs, str) or not isinstance(archs, Sequence) else [*archs]
    expect(seeds, (int, list, tuple, range), "seeds")
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not archs or not numbers:
        raise ValueError(f"expected archs and seeds, got {len(archs)} and {len(numbers)}")
    if not isinstance(data, str | Path | DataLoaders):
        raise TypeError(f"expected a folder or DataLoaders, got {type(data).__name__}")
    for name_, asked in (("opts", opts), ("schedules", schedules)):
        if isinstance(asked, str) or len({*map(_told, asked or ())}) < len(asked or ()):
            raise ValueError(f"{name_}: expected a list with each name once, got {asked!r}")
    if len({*numbers}) < len(numbers):
        raise ValueError(f"seeds: expected each once, got {seeds!r}")
    if started_by_launcher():
        raise RunError("compare: expected one process, got several; start it without a launcher")
    if own := {"opt", "schedule", "seed", "arch"} & set(options):
        raise TypeError(f"{some(sorted(own))}: give them as archs=, opts=, schedules=, seeds=")
    for arch in archs:
        find_arch(arch)
    if len({*map(_name, archs)}) < len(archs):
        raise ValueError(f"archs: expected each name once, got {', '.join(map(_name, archs))}")
    for opt in opts or ():
        find_opt(opt)
    for schedule in schedules or ():
        one_of("schedules", schedule, SCHEDULES)
    deadline = None if budget is None else time.perf_counter() + to_seconds(budget)
    folder = as_path(out, "out") / name
    # None leaves the choice to `train`.
    usual: list[Any] = [None]
    wanted = list(itertools.product(archs, opts or usual, schedules or usual, numbers))
    width = max(len(_label(*which[:3])) for which in wanted)
    rows, seen = [], _seen(data)
    split = _split(seen, options, folder)
    for place, (arch, opt, schedule, seed) in enumerate(wanted):
        label = _label(arch, opt, schedule)
        chosen = {"budget": budget, "opt": opt, "schedule": schedule}
        given = {key: value for key, value in chosen.items() if value is not None}
        given |= {**options, "seed": seed}
        file = folder / f"{_key(seen, label, given)}.json"
        row: dict[str, Any] = {"failed": "new"}
        row = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else row
        if row["failed"]:
            if deadline is not None:
                left = max(deadline - time.perf_counter(), 1.0)
                given["budget"] = left / (len(wanted) - place)
            row = _trained(data, arch, given, folder, split)
            write_whole(file, partial(_write, row))
        rows.append({**row, "name": label, "seed": seed})
        count = f"{place + 1}/{len(wanted)}"
        result = row["failed"] or f"{Accuracy(sum(row['right']), len(row['right']))}"
        say(f"{count:<5} {label:<{width}}  {result}", verbose=verbose)
    failures = [f"{row['name']}: {row['failed']}" for row in rows if row["failed"]]
    if len(failures) == len(rows):
        raise RunError(f"expected a candidate that can be trained, got none: {some(failures)}")
    return Comparison(tabled(rows), folder)


def _trained(
    data: Any, arch: Arch, options: dict[str, Any], folder: Path, split: Path
) -> dict[str, Any]:
    """Train one candidate; what goes wrong is its result, too."""
    if isinstance(data, str | Path) and split.is_file():
        options = {**options, "valid": split}
    try:
        with peak_memory() as peak:
            run = train(data, arch=arch, out=folder, name=_name(arch), verbose=False, **options)
        row = _measured(run)
    except DataError:  # the others have the same data
        raise
    except Exception as error:  # whatever it is, the other candidates are not lost
        return {"failed": " ".join(f"{type(error).__name__}: {error}".split())}
    if not split.is_file() and (run.path / "split.csv").is_file():
        write_whole(split, partial(shutil.copyfile, run.path / "split.csv"))
    return {**row, "memory": peak[0] if peak else None, "failed": ""}


def _measured(run: Run) -> dict[str, Any]:
    order = np.argsort([str(path) for path in run.preds.paths], kind="stable")
    right = run.preds.right[order]
    latency = None
    if next(run.learn.model.parameters()).device.type == "cpu":
        ask, times = Predictor(run.learn), []
        pictures = [path for path in run.preds.paths if path.is_file()]
        for path in itertools.islice(itertools.cycle(pictures), 1 + LOOKS if pictures else 0):
            start = time.perf_counter()
            ask.predict(path)
            times.append(1000 * (time.perf_counter() - start))
        latency = statistics.median(times[1:]) if times else None
    return {
        "right": right.astype(int).tolist(),
        "seconds": sum(run.timing.values()),
        "parameters": sum(p.numel() for p in run.learn.model.parameters()),
        "latency": latency,
        "run": str(run.path),
    }


def _label(arch: Arch, opt: str | None, schedule: str | None) -> str:
    return " ".join(filter(None, (_name(arch), opt, schedule)))


def _name(arch: Arch) -> str:
    return arch if isinstance(arch, str) else getattr(arch, "__name__", "custom")


def _key(seen: str, label: str, options: dict[str, Any]) -> str:
    """Name a candidate by all that it is made of, so that a changed recipe is another one."""
    plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in label)
    return f"{plain}-{options['seed']}-{_digest(seen, {'label': label, **options})}"


def _split(seen: str, options: dict[str, Any], folder: Path) -> Path:
    """Name the file of who is held out: one for each data set and way to hold out."""
    ways: dict[str, Any] = {
        name: options[name] for name in ("valid", "groups", "pat") if name in options
    }
    return folder / f"split-{_digest(seen, ways)}.csv"


def _digest(seen: str, options: dict[str, Any]) -> str:
    parts = [seen, *sorted(f"{k}={_told(v)}" for k, v in options.items())]
    return _hashed("\n".join(parts))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _told(value: Any) -> str:
    """Name a value by what it is: a function's `repr` has its address, another in each process."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_told, value))}]"
    if isinstance(value, str | Path) and Path(value).is_file():
        return f"{value} of {Path(value).stat().st_mtime_ns}"
    name = getattr(value, "__qualname__", None)
    return f"{value.__module__}.{name}" if callable(value) and name else repr(value)


def _seen(data: Any) -> str:
    """Name the data by its pictures: where they come or go, or others are held out, it is new."""
    if isinstance(data, DataLoaders):
        parts = [f"{data.path}", f"bs={data.bs}", f"{split_hash(data)}"]
        parts += [f"{dl.after_item} {dl.after_batch} {len(dl.dataset)}" for dl in data.loaders]
        return "\n".join(parts)
    path = as_path(data, "data").resolve()
    if path.is_file():
        return f"{path} of {path.stat().st_mtime_ns}"
    names = find_files(path)[0] if path.is_dir() else []
    return "\n".join([f"{path}", *names])


def _write(row: dict[str, Any], part: Path) -> None:
    part.write_text(json.dumps(row), encoding="utf-8")
