"""The callback that writes down each epoch, and often enough all that a killed run needs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from fastai.callback.core import Callback
from fastai.learner import Learner
from torch import nn

from quickvision.base.errors import RunError
from quickvision.base.files import write_whole
from quickvision.base.processes import everyones, rank, share, world_size
from quickvision.models.compute import device_of
from quickvision.runs.checkpoints import (
    BEST,
    FOLDER,
    Checkpoint,
    FitState,
    plain,
    random_states,
    save_checkpoint,
    set_random_states,
)
from quickvision.runs.config import NAME
from quickvision.runs.progress import Progress
from quickvision.training.records import BestEpoch

SHARE = 0.05  # of the time that may go into checkpoints; cached epochs take milliseconds


class Checkpointer(Callback):
    """Write `log.csv` after each epoch, and a checkpoint unless the last one is young.

    Of several processes the first one writes; the others give it their random states.

    A run that goes on from any of them ends the same, so where epochs are shorter than what writing
    takes some are left out: checkpoints take a twentieth of the time at most.

    Args:
        path: The run's folder.
        model: The whole model; a fit may be of its head alone.
        best: Its weights are written beside.
        progress: How far the run is; it gets a row an epoch, over all fits.
        fit: What the first fit goes on from, where a run goes on in the midst of one.
        restored: False where a run goes on, until its first fit has put that back: until then the
            checkpoint that it goes on from must stay.
    """

    order = 62.5  # after EpochLog and BestEpoch, and before whatever stops a fit

    def __init__(
        self,
        path: Path,
        model: nn.Module,
        best: BestEpoch,
        progress: Progress,
        fit: FitState | None = None,
        *,
        restored: bool = True,
    ) -> None:
        self.path, self.whole, self.best, self.progress = path, model, best, progress
        self.fit_state, self.restored = fit, restored
        self.cached = False  # what trains now trains on cached features
        self.took, self.saved, self.kept = 0.0, time.perf_counter(), best.row
        self.epoch_kept = len(progress.rows)

    def before_fit(self) -> None:
        """Put back what the optimiser and the random generators were, where a run goes on."""
        state, self.fit_state, self.restored = self.fit_state, None, True
        if state is None:
            return
        try:
            self.opt.load_state_dict(_on(device_of(self.learn), state.opt))
        except (AssertionError, KeyError, ValueError) as error:
            raise RunError(
                f"expected the optimiser and layer groups that the run had, got others: {error!r}"
            ) from error
        if state.scaler:
            self.learn.scaler.load_state_dict(state.scaler)
        smooth = self.recorder.smooth_loss
        smooth.count, smooth.val = state.smooth_loss
        mine = rank() if len(state.random) == world_size() else 0
        set_random_states(state.random[mine], self.dls)

    def after_epoch(self) -> None:
        """Write down the epoch."""
        self.progress.rows.append({**self.learn.epoch_log.rows[-1], "cached": self.cached})
        self.progress.way = getattr(getattr(self.learn, "settle", None), "kept", None)
        if rank() == 0:
            with self._saying_what_is_kept():
                table = pd.DataFrame(self.progress.rows)
                write_whole(self.path / "log.csv", partial(table.to_csv, index=False))
        if share(time.perf_counter() - self.saved > self.took / SHARE):
            self.save(self.learn)

    def save(self, learn: Learner | None = None) -> None:
        """Write a checkpoint: in the midst of a fit of `learn`, or between two fits.

        Raises:
            RunError: It cannot be written; the one before stays.
        """
        start = time.perf_counter()
        fit = None
        if learn is not None:
            smooth = learn.recorder.smooth_loss
            fit = FitState(
                opt=learn.opt.state_dict(),
                scaler=learn.scaler.state_dict() if hasattr(learn, "scaler") else {},
                random=everyones(random_states(learn.dls)),
                smooth_loss=(smooth.count, smooth.val),
            )
        self.progress.best = self.best.row
        self.save_best()
        if rank() == 0:
            with self._saying_what_is_kept():
                now = Checkpoint(self.progress, self.whole.state_dict(), fit)
                save_checkpoint(self.path / FOLDER, now)
        self.saved, self.epoch_kept = time.perf_counter(), len(self.progress.rows)
        self.took = self.saved - start

    def save_best(self) -> None:
        """Write the best epoch's weights, where it is a new one."""
        if self.best.row is not self.kept and rank() == 0:
            with self._saying_what_is_kept():
                write_whole(
                    self.path / FOLDER / BEST, partial(torch.save, plain(self.best.to_save()))
                )
            self.kept = self.best.row

    @contextmanager
    def _saying_what_is_kept(self) -> Iterator[None]:
        if not (self.path / NAME).exists():
            raise RunError(
                f"expected the run's folder {self.path}, got none: it was taken away, with what had"
                " been saved"
            )
        try:
            yield
        except RunError as error:
            last = self.progress.rows[self.epoch_kept - 1] if self.epoch_kept else None
            kept = f"after {last['stage']} epoch {last['epoch']}" if last else "from the start"
            raise RunError(
                f"{error}; what was saved before is whole: once that is mended, resume"
                f"({str(self.path)!r}) goes on {kept}"
            ) from error


def _on(device: torch.device, value: Any) -> Any:
    """Move the tensors in lists and dicts."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _on(device, part) for key, part in value.items()}
    return [_on(device, part) for part in value] if isinstance(value, list) else value
