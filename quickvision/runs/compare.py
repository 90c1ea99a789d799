"""The same split and the same recipe for several models: which is better, and is it sure?"""

from __future__ import annotations

import itertools
import json
import shutil
import statistics
import time
import uuid
import warnings
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
from quickvision.data.layouts import find_listing
from quickvision.data.paths import to_paths
from quickvision.models.optimisers import find_opt
from quickvision.models.zoo import find_arch
from quickvision.results.comparison import Comparison, tabled
from quickvision.runs.config import versions
from quickvision.runs.keys import hashed, identify, stamp
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

    The same are pictures with the same labels and contents (of more than 128 MiB: sizes and times
    of change), functions and classes with the same code, constants, defaults, closures and globals
    that they use, objects with the same state, files with the same contents, and the same versions
    of the packages. What cannot be told (an object that holds a lock or a generator) is named in
    a line, and trained each time.

    Args:
        data: As in `train`, but no `Learner`. From a folder each arch gets pictures of its own
            size; who is held out is the same for all of them and for all seeds.
        archs: Names, or functions that build a model; of two functions of one name the table says
            their modules, too, or numbers them.
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
    kinds = [identify(arch) for arch in archs]
    numbers = _checked(data, archs, kinds, opts, schedules, seeds, options)
    deadline = None if budget is None else time.perf_counter() + to_seconds(budget)
    folder = as_path(out, "out") / name
    # None leaves the choice to `train`.
    usual: list[Any] = [None]
    labels = dict(enumerate(_labels(archs)))
    wanted = list(itertools.product(labels, opts or usual, schedules or usual, numbers))
    width = max(len(_label(labels[which], *how)) for which, *how, _ in wanted)
    seen, told = _seen(data, options), identify(options, versions())
    named = {**dict(zip(labels.values(), kinds, strict=True)), "data": seen}
    named |= {option: identify(value) for option, value in options.items() if told[1]}
    if untold := some([f"{part} ({why})" for part, (_, why) in named.items() if why]):
        say(f"always trained, as it may have changed: {untold}", verbose=verbose)
    split, rows = _split(seen, options, folder), []
    for place, (which, opt, schedule, seed) in enumerate(wanted):
        label, arch = _label(labels[which], opt, schedule), archs[which]
        chosen = {"budget": budget, "opt": opt, "schedule": schedule}
        given = {key: value for key, value in chosen.items() if value is not None}
        given["seed"] = seed
        file = folder / _file(_label(_name(arch), opt, schedule), given, seen, told, kinds[which])
        given |= options
        row: dict[str, Any] = {"failed": "new"}
        if file.is_file() and all(key for key, _ in (seen, told, kinds[which])):
            row = json.loads(file.read_text(encoding="utf-8"))
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


Key = tuple[str, str]  # what `identify` gives


def _checked(
    data: Any,
    archs: Sequence[Arch],
    kinds: Sequence[Key],
    opts: Sequence[str] | None,
    schedules: Sequence[str] | None,
    seeds: int | Sequence[int],
    options: dict[str, Any],
) -> list[int]:
    """Check what is asked for, before anything is trained, and list the seeds."""
    expect(seeds, (int, list, tuple, range), "seeds")
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not archs or not numbers:
        raise ValueError(f"expected archs and seeds, got {len(archs)} and {len(numbers)}")
    if not isinstance(data, str | Path | DataLoaders):
        raise TypeError(f"expected a folder or DataLoaders, got {type(data).__name__}")
    for name_, asked in (("opts", opts), ("schedules", schedules)):
        if isinstance(asked, str) or len({*map(repr, asked or ())}) < len(asked or ()):
            raise ValueError(f"{name_}: expected a list with each name once, got {asked!r}")
    if len({*numbers}) < len(numbers):
        raise ValueError(f"seeds: expected each once, got {seeds!r}")
    if started_by_launcher():
        raise RunError("compare: expected one process, got several; start it without a launcher")
    if own := {"opt", "schedule", "seed", "arch"} & set(options):
        raise TypeError(f"{some(sorted(own))}: give them as archs=, opts=, schedules=, seeds=")
    for arch in archs:
        find_arch(arch)
    known = [key for key, _ in kinds if key]
    if len({*known}) < len(known):
        raise ValueError(f"archs: expected each once, got {', '.join(map(_name, archs))}")
    for opt in opts or ():
        find_opt(opt)
    for schedule in schedules or ():
        one_of("schedules", schedule, SCHEDULES)
    return numbers


def _trained(
    data: Any, arch: Arch, options: dict[str, Any], folder: Path, split: Path
) -> dict[str, Any]:
    """Train one candidate; what goes wrong is its result, too."""
    if isinstance(data, str | Path) and split.is_file():
        options = {**options, "valid": split}
    try:
        with peak_memory() as peak:
            # The table is what is shown.
            how = {"plots": False, "report": False, **options, "verbose": False}
            run = train(data, arch=arch, out=folder, name=_name(arch), **how)
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


def _label(*parts: str | None) -> str:
    return " ".join(filter(None, parts))


def _name(arch: Arch) -> str:
    made = arch.func if isinstance(arch, partial) else arch
    return made if isinstance(made, str) else getattr(made, "__name__", type(made).__name__)


def _labels(archs: Sequence[Arch]) -> list[str]:
    """Name each, those of one name by their modules, too, and what is still alike by numbers."""
    short, names = [*map(_name, archs)], []
    for arch, name in zip(archs, short, strict=True):
        made = arch.func if isinstance(arch, partial) else arch
        alike = short.count(name) > 1 and not isinstance(arch, str)
        names.append(f"{made.__module__}.{name}" if alike else name)
    return [
        f"{name}#{names[: place + 1].count(name)}" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


def _file(label: str, given: dict[str, Any], *keys: Key) -> str:
    """Name a candidate by all that it is made of, so that a changed recipe is another one."""
    plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in label)
    return f"{plain}-{given['seed']}-{hashed(repr(sorted(given.items())), *map(repr, keys))}.json"


def _split(seen: Key, options: dict[str, Any], folder: Path) -> Path:
    """Name the file of who is held out: one for each data set and way to hold out."""
    told = identify({n: options[n] for n in ("valid", "groups", "pat") if n in options})
    same = seen[0] and told[0]
    return folder / f"split-{hashed(seen[0], told[0]) if same else uuid.uuid4().hex[:12]}.csv"


def _seen(data: Any, options: dict[str, Any]) -> Key:
    """Name the data by its pictures and what is known of them before they are looked into."""
    if isinstance(data, DataLoaders):
        return identify(data)
    how = {name: options[name] for name in ("pat", "valid", "groups") if name in options}
    with warnings.catch_warnings(action="ignore"):  # `train` says it again
        found = find_listing(data, **how)
    root = found.root.resolve()
    listed = (str(root), found.names, found.labels, found.held, found.groups, sorted(found.missing))
    return hashed(repr(listed), stamp(to_paths(root, found.names))), ""


def _write(row: dict[str, Any], part: Path) -> None:
    part.write_text(json.dumps(row), encoding="utf-8")
