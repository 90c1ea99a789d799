"""The same split and the same recipe for several models: which is better, and is it sure?"""

from __future__ import annotations

import itertools
import json
import statistics
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from fastai.data.core import DataLoaders

from quickvision.base.choices import whole
from quickvision.base.errors import DataError, DataWarning, RunError, as_path, expect, some, warn
from quickvision.base.figures import Accuracy, to_seconds
from quickvision.base.files import read_rows, write_whole
from quickvision.base.memory import peak_memory
from quickvision.base.processes import started_by_launcher
from quickvision.base.progress import line, say
from quickvision.base.versions import versions
from quickvision.data.doors import load_data
from quickvision.data.holdout import save_split
from quickvision.data.layouts import find_listing
from quickvision.data.paths import to_paths
from quickvision.results.comparison import (
    Comparison,
    in_short,
    name_of,
    said_of_failures,
    tabled,
)
from quickvision.runs.build import asked_for
from quickvision.runs.candidates import HELD, Arch, Key, list_candidates
from quickvision.runs.keys import hashed, identify, stamp
from quickvision.runs.options import MAX_SEED
from quickvision.runs.run import Run
from quickvision.runs.train import train
from quickvision.ship.predictor import Predictor
from quickvision.training.trials import FIRST

T = TypeVar("T")
LOOKS = 10  # pictures that the latency is the median of


def compare(
    data: str | Path | DataLoaders,
    archs: Arch | Sequence[Arch],
    *,
    opts: Sequence[str] | None = None,
    schedules: Sequence[str] | None = None,
    recipes: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 42,
    seeds: int | Sequence[int] = 1,
    budget: str | float | None = None,
    out: str | Path = "runs",
    name: str = "compare",
    verbose: bool = True,
    **options: Any,
) -> Comparison:
    """Train candidates on the same split with the same recipe, and say which differ.

    All archs with all `opts`, all `schedules` and all `recipes`. The split is the one that `train`
    and `check` draw of the same data with the same `seed`, so that a candidate's accuracy here is
    what `train` would say of it. What is done is written down at once: a second call with the same
    data and options trains only what is missing or failed. A candidate that fails is a row with its
    reason.

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
        recipes: Ways to train by name, each with its options of `train`, which go over `options`:
            {"head alone": {"unfrozen_epochs": 0}, "all layers": {}}.
        seed: Of the split, and of the first training of each candidate.
        seeds: How many times each candidate is trained, with `seed`, `seed + 1` and so on; or which
            seeds, as [1, 2, 3]. The split stays that of `seed`.
        budget: Time for all of it, as "30min", shared out evenly: `train` then picks the epochs.
        out: Folder in which `NAME` is made, or found from an earlier call.
        name: Name of the comparison.
        verbose: Say what the data is, which split it is, and a line a candidate.
        **options: Go to `train`: weights, epochs, size, valid, ...

    Returns:
        The table, the best first. Several seeds: the mean accuracy; for McNemar's test a picture
        counts as right where most of the seeds (at least half) get it right.

    Raises:
        DataError: The data cannot be trained on.
        ModelError: An arch is unknown.
        RunError: All candidates failed, or `out` cannot be written.
        TypeError: `data` is a `Learner`, an option is unknown or belongs to `compare` itself, or a
            recipe holds out pictures of its own.
        ValueError: No archs or seeds, one of them twice, or an unknown optimiser or schedule.
    """
    archs = [archs] if isinstance(archs, str) or not isinstance(archs, Sequence) else [*archs]
    numbers = _seeds(data, seed, seeds)
    candidates = list_candidates(archs, opts, schedules, recipes, options)
    deadline = None if budget is None else time.perf_counter() + to_seconds(budget)
    folder = as_path(out, "out") / name
    wanted = list(itertools.product(candidates, numbers))
    width = max(len(one.label) for one in candidates)
    seen, told = _seen(data, options), identify(options, versions())
    named = {**{one.label: one.key for one in candidates}, "data": seen}
    named |= {option: identify(value) for option, value in options.items() if told[1]}
    if untold := some([f"{part} ({why})" for part, (_, why) in named.items() if why]):
        say(f"always trained, as it may have changed: {untold}", verbose=verbose)
    split, warned = _split(seen, options, seed, folder), set[str]()
    _heard_once(partial(_hold_out, data, options, seed, split, verbose=verbose), warned)
    rows: list[dict[str, Any]] = []
    for place, (one, number) in enumerate(wanted):
        given = {**one.how, "seed": number}
        if budget is not None:
            given["budget"] = budget
        file = folder / _file(one.plain, given, seen, told, one.key, (split.name, ""))
        given |= {**options, **one.recipe}
        row: dict[str, Any] = {"failed": "new"}
        if file.is_file() and all(key for key, _ in (seen, told, one.key)):
            row = json.loads(file.read_text(encoding="utf-8"))
        if row["failed"]:
            if deadline is not None:
                left = max(deadline - time.perf_counter(), 1.0)
                given["budget"] = left / (len(wanted) - place)
            row = _heard_once(partial(_trained, data, one.arch, given, folder, split), warned)
            write_whole(file, partial(Path.write_text, data=json.dumps(row), encoding="utf-8"))
        rows.append({**row, "name": one.label, "seed": number})
        count = f"{place + 1}/{len(wanted)}"
        right = row.get("right", ())
        result = Accuracy(sum(right), len(right)) if right else in_short(row["failed"])
        say(f"{count:<5} {one.label:<{width}}  {result}", verbose=verbose)
    if all(row["failed"] for row in rows):
        why = "\n".join(said_of_failures((row["name"], row["failed"]) for row in rows))
        raise RunError(f"expected a candidate that can be trained, got none: {why}")
    return Comparison(tabled(rows), folder)


def _heard_once(work: Callable[[], T], warned: set[str]) -> T:
    """Let each `DataWarning` through once (`warned` grows): all trainings look at the same data."""
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DataWarning)
            return work()
    finally:
        for one in caught:
            text = str(one.message)
            if not issubclass(one.category, DataWarning):
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
            elif text not in warned:
                warned.add(text)
                warn(text)


def _seeds(data: Any, seed: int, seeds: int | Sequence[int]) -> list[int]:
    """Check what is asked for, before anything is trained, and list the seeds."""
    expect(seeds, (int, list, tuple, range), "seeds")
    whole("seed", seed, high=MAX_SEED)
    numbers = list(range(seed, seed + seeds)) if isinstance(seeds, int) else list(seeds)
    if not isinstance(data, str | Path | DataLoaders):
        raise TypeError(f"expected a folder or DataLoaders, got {type(data).__name__}")
    if not numbers:
        raise ValueError(f"seeds: expected 1 or more, got {seeds!r}")
    if len({*numbers}) < len(numbers):
        raise ValueError(f"seeds: expected each once, got {seeds!r}")
    if started_by_launcher():
        raise RunError("compare: expected one process, got several; start it without a launcher")
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
            run = train(data, arch=arch, out=folder, name=name_of(arch), **how)
        row = {**_measured(run), "split": split.name}
    except DataError:  # the others have the same data
        raise
    except Exception as error:  # whatever it is, the other candidates are not lost
        return {"failed": " ".join(f"{type(error).__name__}: {error}".split())}
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


def _file(label: str, given: dict[str, Any], *keys: Key) -> str:
    """Name a candidate by all that it is made of, so that a changed recipe is another one."""
    plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in label)
    return f"{plain}-{given['seed']}-{hashed(repr(sorted(given.items())), *map(repr, keys))}.json"


def _split(seen: Key, options: dict[str, Any], seed: int, folder: Path) -> Path:
    """Name the file of who is held out: one for each data set, way to hold out, and seed."""
    told = identify({name: options[name] for name in HELD if name in options}, seed)
    same = seen[0] and told[0]
    return folder / f"split-{hashed(seen[0], told[0]) if same else uuid.uuid4().hex[:12]}.csv"


def _hold_out(
    data: str | Path | DataLoaders,
    options: dict[str, Any],
    seed: int,
    split: Path,
    *,
    verbose: bool,
) -> None:
    """Hold out whom `train` would, write it down for all candidates, and say which split it is."""
    if isinstance(data, DataLoaders):
        say(line("split", "that of the DataLoaders, for all candidates"), verbose=verbose)
        return
    if not split.is_file():
        if n := _older(split.parent):
            lost = f"{n:,} in {split.parent} are of an earlier version, which split by other seeds"
            say(line("results", f"{lost}: not used, and left there"), verbose=verbose)
        _, _, pictures = asked_for(options)
        bs = {"bs": FIRST} if pictures.get("bs") == "auto" else {}
        how = {"seed": seed, **pictures, **bs, "cache": False}  # sizes are the candidates' own
        save_split(load_data(data, verbose=verbose, **how), split)
    sides = Counter(row[-1] for row in read_rows(split, errors="surrogateescape")[1:])
    n_train, n_valid = sides["False"], sides["True"]
    drawn = isinstance(options.get("valid"), float | None)
    by = f"as train draws it, seed {seed}" if drawn else "as valid= says"
    text = f"{n_train:,} to train, {n_valid:,} to validate, {by}, for all candidates: {split}"
    say(line("split", text), verbose=verbose)


def _older(folder: Path) -> int:
    """Count results of an earlier version, whose split was by the first training's seed."""
    rows = (json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*.json"))
    return sum("right" in row and "split" not in row for row in rows)


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
