"""What an epoch leaves: a line, a row, the best weights, TensorBoard, Weights & Biases."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fastai.callback.core import Callback
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from tqdm.std import tqdm

from quickvision.base.errors import RunError
from quickvision.base.figures import Accuracy
from quickvision.base.processes import rank
from quickvision.base.progress import say


class BestEpoch(Callback):
    """Remember the weights of the best epoch, over as many fits as it is given to.

    Best is the highest accuracy (or lowest `error_rate`), and with several of these, or neither,
    the lowest validation loss. It is picked on the validation pictures, so its accuracy there
    flatters it. The weights wait in memory and are written with the next checkpoint.

    Args:
        learn: The learner of the whole model, whose weights are kept; a fit may be of its head.

    Attributes:
        row: What `EpochLog` said of the best epoch; None before the first.
        weights: State dict of the model after it, copied.
    """

    # Not called Best: `learn.best` would be what fastai's trackers call an attribute of theirs.
    order = 62  # after EpochLog, whose rows it reads, and before whatever stops a fit

    def __init__(self, learn: Learner) -> None:
        self.whole = learn.model
        self.beginning = _new_opt(learn)
        self.row: dict[str, Any] | None = None
        self.weights: dict[str, Any] = {}

    def after_epoch(self) -> None:
        """Compare."""
        rows = self.learn.epoch_log.rows
        if rows and (self.row is None or _rank(rows[-1]) > _rank(self.row)):
            self.row = rows[-1]
            self.weights = {k: v.detach().clone() for k, v in self.whole.state_dict().items()}

    def to_save(self) -> dict[str, Any]:
        """What `learn.load` reads: the weights, and an optimiser that begins anew."""
        if self.beginning is None:
            return self.weights
        return {"model": self.weights, "opt": self.beginning}


def _new_opt(learn: Learner) -> dict[str, Any] | None:
    """Return the state of an optimiser that has done nothing; without one `learn.load` warns."""
    if isinstance(learn.opt_func, OptimWrapper):  # a built one: it would be cleared
        return None
    held = learn.opt
    try:
        learn.create_opt()
        state: dict[str, Any] = learn.opt.state_dict()
        return state
    finally:
        learn.opt = held


def _rank(row: dict[str, Any]) -> tuple[float, float]:
    """Put accuracy first, then the loss; what is no number is worst."""
    right = row.get("accuracy", -row.get("error_rate", 0.0))
    loss = row["valid_loss"]
    return -np.inf if np.isnan(right) else right, -np.inf if np.isnan(loss) else -loss


@contextmanager
def logged(log: str | None, path: Path) -> Iterator[Callable[[str], list[Callback]]]:
    """Open a logger for the length of a training; the first of several processes has it.

    TensorBoard's files are in the run's folder, one run of TensorBoard's for each stage. A run of
    Weights & Biases that is open already is taken, and stays open; else one is opened in the
    project "quickvision", with the run's name, which `resume` goes on with. fastai's
    `CometCallback` has a name that is not defined, so it is not offered.

    Args:
        log: "tensorboard", "wandb" or None.
        path: The run's folder.

    Returns:
        A function from a stage's name to fastai's callbacks for it.

    Raises:
        RunError: Weights & Biases cannot be reached.
    """
    if log is None or rank() > 0:
        yield lambda stage: []
    elif log == "tensorboard":
        yield lambda stage: [_tensorboard(path / "tensorboard" / stage)]
    else:
        with _wandb(path) as made:
            yield made


def _tensorboard(folder: Path) -> Callback:
    from fastai.callback.tensorboard import TensorBoardCallback

    # It draws the model and pictures with the batches of the loader, which may be cached features.
    return TensorBoardCallback(folder, trace_model=False, log_preds=False)


@contextmanager
def _wandb(path: Path) -> Iterator[Callable[[str], list[Callback]]]:
    import wandb
    from fastai.callback.wandb import WandbCallback

    class Wandb(WandbCallback):
        """fastai's, less a listing of the learner's parts: it fails at numbers in them."""

        def before_fit(self) -> None:
            self.learn.gather_args = dict
            try:
                super().before_fit()
            finally:
                del self.learn.gather_args

    own = wandb.run is None
    if own:
        settings = path / "config.json"  # written once, so that a run is known again
        began = f"{path.name}{settings.stat().st_mtime_ns}".encode("utf-8", "surrogateescape")
        try:
            wandb.init(
                project="quickvision",
                name=path.name,
                id=hashlib.sha256(began).hexdigest()[:16],
                dir=path,
                config=json.loads(settings.read_text("utf-8", "replace")),
                resume="allow",
            )
        except wandb.Error as error:
            raise RunError(
                f"log: expected to reach Weights & Biases, got: {error}; `wandb login` once, or set"
                " WANDB_MODE=offline"
            ) from error
    try:
        yield lambda stage: [Wandb(log_preds=False)]
    finally:
        if own:
            wandb.finish()


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
