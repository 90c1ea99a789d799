"""What is said while training runs: one line an epoch, and a live bar where there is a terminal.

Beside `cli`, the only room that prints. fastai's own bars flood pipes with carriage returns, and
its table stays blank in some editors' notebooks.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from fastai.callback.core import Callback
from tqdm.std import tqdm

from quickvision.base.figures import Accuracy
from quickvision.base.processes import rank

T = TypeVar("T")


def say(text: str, *, verbose: bool = True) -> None:
    """Print one line at once, above a bar if one is running; the first process alone does."""
    if verbose and rank() == 0:
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()


def counted(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Go through `items`; show a bar where it takes more than two seconds and somebody looks."""
    looked_at = (sys.stderr.isatty() or "ipykernel" in sys.modules) and rank() == 0
    options = {"total": total, "desc": label, "delay": 2, "leave": False, "dynamic_ncols": True}
    return iter(tqdm(items, disable=not looked_at, **options))


class Bar(Callback):
    """Show a live bar over the batches where there is a terminal, and nothing elsewhere.

    Args:
        stage: What is going on, in a word or two.
    """

    order = 62

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.shown: tqdm | None = None

    def before_train(self) -> None:
        """Show a bar over the training batches."""
        self._open("train")

    def before_validate(self) -> None:
        """Show a bar over the validation batches."""
        self._open("valid")

    def after_batch(self) -> None:
        """Move the bar on."""
        if self.shown is not None:
            self.shown.update()

    def after_epoch(self) -> None:
        """Take the bar away."""
        self._close()

    def after_fit(self) -> None:
        """Take the bar away, also where a callback cut the fit short."""
        self._close()

    def _open(self, side: str) -> None:
        self._close()
        if sys.stderr.isatty() and rank() == 0:
            label = f"{self.stage} {self.epoch + 1}/{self.n_epoch} {side}"
            self.shown = tqdm(total=len(self.dl), desc=label, leave=False, dynamic_ncols=True)

    def _close(self) -> None:
        if self.shown is not None:
            self.shown.close()
            self.shown = None


class EpochLog(Callback):
    """Keep one row an epoch, and say it.

    fastai's recorder forgets everything at the next fit or rate finder; these rows do not.

    Args:
        stage: What is trained, in a word.
        verbose: Say the lines.
        past: Rows of epochs before, where a fit goes on.

    Attributes:
        rows: One dict an epoch: `stage`, `epoch` (from 1), `train_loss`, `valid_loss`, the metrics,
            `lr` (the head's largest in this epoch) and `seconds`.
    """

    order = 61  # after the Recorder, whose values it reads

    def __init__(
        self, stage: str, *, verbose: bool = True, past: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        self.stage, self.verbose = stage, verbose
        self.rows: list[dict[str, Any]] = [dict(row) for row in past]

    def before_epoch(self) -> None:
        """Start the clock."""
        self.start = time.perf_counter()
        self.first = len(self.recorder.lrs)

    def after_epoch(self) -> None:
        """Keep the row and say the line."""
        if len(self.recorder.lrs) == self.first:  # skipped by `start_epoch`
            return
        names = [name for name in self.recorder.metric_names[1:] if name != "time"]
        row: dict[str, Any] = {"stage": self.stage, "epoch": self.epoch + 1}
        row |= dict(zip(names, map(_number, self.recorder.values[-1]), strict=True))
        row["lr"] = float(max(self.recorder.lrs[self.first :]))
        row["seconds"] = time.perf_counter() - self.start
        self.rows.append(row)
        parts = [_shown(name, row[name], len(self.dls.valid_ds)) for name in names]
        counter = f"{self.stage} {row['epoch']}/{self.n_epoch}"
        say(f"{counter:<12} {'  '.join(parts)}  {row['seconds']:.0f} s", verbose=self.verbose)


def _number(value: Any) -> float:
    return np.nan if value is None else float(value)


def _shown(name: str, value: float, n: int) -> str:
    if name == "accuracy" and np.isfinite(value):
        return f"{name} {Accuracy(round(value * n), n)}"
    return f"{name} {value:.3f}"
