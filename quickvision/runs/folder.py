"""The folder of a run: made where nothing is, one process's at a time, filled with results."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
from fastai.data.core import DataLoaders
from filelock import FileLock, Timeout

from quickvision.base.errors import DataError, ModelError, RunError, as_path, expect, some
from quickvision.base.files import read_rows, write_whole
from quickvision.base.processes import rank
from quickvision.data.holdout import CSV, save_split, skipped_of, split_of
from quickvision.results.plots import plot_lr_find, save_plot
from quickvision.runs.checkpoints import BEFORE, FOLDER
from quickvision.runs.config import Sides, Spec, write_config
from quickvision.runs.kept import keep_preds
from quickvision.runs.run import Run
from quickvision.training.lr_find import LRFind


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


def start_folder(out: str | Path, name: str, spec: Spec, sides: Sides, dls: DataLoaders) -> Path:
    """Make a run's folder, with what is known before: `config.json`, `split.csv`, `skipped.csv`.

    Raises:
        RunError: They cannot be written.
    """
    path = new_run_folder(out, name)
    if split_of(dls) is not None:
        save_split(dls, path / "split.csv")
    if len(skipped := skipped_of(dls)):
        write_whole(path / "skipped.csv", partial(skipped.to_csv, **CSV))
    write_config(path, spec, sides, dls)  # last: what has it can be resumed
    return path


@contextmanager
def asking_where(path: Path, files: Mapping[str, Path], given: Iterable[str]) -> Iterator[None]:
    """Where a run's data or weights cannot be had, say how to tell where they are now.

    Args:
        path: The run's folder.
        files: Where they were, by the option's name.
        given: The options that say where they are now.

    Raises:
        DataError: As what happens here, with that added.
        ModelError: As what happens here, with that added.
    """
    try:
        yield
    except (DataError, ModelError) as error:
        asked = [name for name in files if name not in given]
        gone = [name for name in asked if not files[name].exists()]
        if not gone and isinstance(error, DataError) and "data" in asked:
            gone = ["data"]  # a part of it may be
        if not gone:
            raise
        kind = DataError if isinstance(error, DataError) else ModelError
        raise kind(f"{error}; {_elsewhere(path, gone)}") from error


def _elsewhere(path: Path, names: Sequence[str] = ("data",)) -> str:
    """Say how to tell where the files of a run are now."""
    given = ", ".join(f"{name}=..." for name in names)
    text = f"if they have moved, say where to: resume({str(path)!r}, {given})"
    return f"{text}, or quickvision resume {path} --data ..." if [*names] == ["data"] else text


def check_same(path: Path, sides: Sides, dls: DataLoaders) -> None:
    """See that the pictures are those that the run had, on the same sides.

    Raises:
        RunError: They are others; what has come and gone is named.
    """
    now_there = Sides.of(dls)
    if now_there == sides:
        return
    if replace(now_there, vocab=sides.vocab) == sides and {*now_there.vocab} == {*sides.vocab}:
        raise RunError(
            f"expected the classes in the order of {path}, which its weights have learned, got"
            f" {some(now_there.vocab)}; build the DataLoaders with vocab={list(sides.vocab)}"
        )
    text = f"{len(dls.train_ds):,} to train on instead of {sides.n_train:,}"
    if (path / "split.csv").is_file() and (split := split_of(dls)) is not None:
        was = {row[0] for row in read_rows(path / "split.csv", errors="surrogateescape")[1:]}
        now = {name.strip() for name in split["path"]}
        new, gone = sorted(now - was), sorted(was - now)
        text = f"{len(new):,} new ones ({some(new)}) and {len(gone):,} gone ({some(gone)})"
    raise RunError(
        f"expected the pictures of {path / 'split.csv'}, got others: {text}; put them back, or"
        f" begin a new run; {_elsewhere(path)}"
    )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from training in this folder meanwhile.

    The operating system lets go of the lock when the process dies, however it dies: what a dead one
    leaves is no lock. `lock` names the process (host and pid) for people to read.

    Raises:
        RunError: Another process, or another training in this one, is at it; or the file cannot be
            written.
    """
    lock = FileLock(folder / "lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        who = ""
        with suppress(OSError):  # Windows does not let anybody read what is locked
            who = (folder / "lock").read_text(encoding="utf-8", errors="replace")
        raise RunError(
            f"expected {folder} for this process alone, got another that trains in it"
            f" ({who.strip() or 'unknown'}); wait for it, or stop it"
        ) from None
    except OSError as error:
        raise RunError(f"expected to write {folder / 'lock'}, got: {error}") from error
    try:
        with suppress(OSError):  # where the system lets nobody write into what is locked
            text = f"{socket.gethostname()} pid {os.getpid()}\n"
            (folder / "lock").write_text(text, encoding="utf-8")
        yield
    finally:
        lock.release()


def save_search(path: Path, stage: str, found: LRFind) -> None:
    """Write what a rate finder saw; of several processes the first one does.

    Raises:
        RunError: It cannot be written.
    """
    table = pd.DataFrame({"lr": found.lrs, "loss": found.losses})
    if rank() == 0:
        write_whole(path / f"lr_find-{stage}.csv", partial(table.to_csv, index=False))


def save_results(run: Run) -> None:
    """Write a run's tables, and plots where they are asked for, each whole or not at all.

    The checkpoint before the last goes: nobody needs it any more.

    Raises:
        RunError: They cannot be written.
    """
    tables = {"predictions": run.preds.to_frame(), "confused": run.most_confused()}
    for name, table in tables.items():
        write_whole(
            run.path / f"{name}.csv", partial(table.to_csv, index=False, errors="surrogateescape")
        )
    keep_preds(run.path, run.preds)
    _save_plots(run)
    (run.path / FOLDER / BEFORE).unlink(missing_ok=True)


def _save_plots(run: Run) -> None:
    if not run.config.plots:
        return
    plots = {"confusion": run.plot_confusion(), "history": run.plot_history()}
    plots["top_losses"] = run.plot_top_losses()
    for name, found in run.lr_finds.items():
        plots[f"lr_find-{name}"] = plot_lr_find({name: found})
    for name, ax in plots.items():
        write_whole(run.path / f"{name}.png", partial(save_plot, ax))


def tidy(path: Path) -> None:
    """Take away what a killed process had begun to write."""
    for part in [*path.glob(".*"), *(path / FOLDER).glob(".*")]:
        if re.fullmatch(r"\.\d+-[\w-]+\.(json|csv|npz|png|pt|pth|html|md)", part.name):
            part.unlink(missing_ok=True)
