"""`Run`: what a finished training hands back, its tables and plots one call away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastai.learner import Learner
from matplotlib.axes import Axes

from quickvision.base.errors import RunError, some
from quickvision.base.figures import Accuracy, is_uneven, spoken
from quickvision.base.progress import Lines
from quickvision.data.understood import understood_of
from quickvision.results import plots
from quickvision.results import predictions as interpret
from quickvision.results.predictions import Predictions
from quickvision.runs.checkpoints import BEST, FOLDER, load_weights
from quickvision.runs.config import Spec
from quickvision.runs.options import RunConfig
from quickvision.runs.progress import Stage
from quickvision.runs.script import Code, write_script
from quickvision.runs.stages import said, stage_table
from quickvision.ship.export import export
from quickvision.ship.network import weights_of
from quickvision.training.lr_find import LRFind


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A finished training: the learner, what happened, and what the model gets wrong.

    Attributes:
        learn: The plain fastai `Learner`, with the weights of the last epoch;
            `learn.load("best")` goes to the best epoch of all stages, `learn.load("stage-1")` back
            to the end of the frozen one, where there was one.
        history: One row an epoch over all stages, as `fit_frozen` returns it, and `cached`: whether
            it was one on cached features.
        preds: The one inference pass over the validation pictures.
        lr_finds: What the rate finder saw, by stage; empty where rates were given.
        arch: Name of the architecture.
        path: Folder with the stages' weights, the tables and the plots.
        skipped: Pictures that were left out: columns `path` (below `dls.path`) and `reason`.
        spec: What was asked for: the options of data and model, and how it was to be trained.
        done: What each stage did, its rates with it.
        right_after: Whether each validation picture was right after a stage, bool [n], by the
            stage's name; of those alone that another one followed.
        best: The best epoch's row of `history`: most accurate, then of lowest validation loss. It
            is picked on the pictures that it is measured on, which flatters it.
        timing: Seconds by stage, in their order: "data" and "model" (building them), "estimate",
            "features", "frozen rates", "frozen", "unfrozen rates", "unfrozen", "report".
        baseline: Another run on the same pictures to compare with, or None.
    """

    learn: Learner
    history: pd.DataFrame
    preds: Predictions
    lr_finds: Mapping[str, LRFind]
    arch: str
    path: Path
    skipped: pd.DataFrame
    spec: Spec
    done: tuple[Stage, ...] = ()
    right_after: Mapping[str, np.ndarray] = field(default_factory=dict)
    best: Mapping[str, Any] = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)
    baseline: Run | None = None

    @property
    def config(self) -> RunConfig:
        """How it was trained."""
        return self.spec.train

    @property
    def accuracy(self) -> Accuracy:
        """Accuracy on the validation pictures at the end of the run, with its interval."""
        return self.preds.accuracy

    @property
    def stages(self) -> pd.DataFrame:
        """What each stage brought: accuracy after it, the difference, McNemar's p.

        One row a stage, with columns `stage`, `epochs`, `lr`, `seconds`, `accuracy`, `valid_loss`,
        `gained` (a fraction) and `p_value`; the last two are nan where nothing came before. With
        `tta` the accuracy after the last stage is that of the looks.
        """
        right = self.preds.right
        return stage_table(self.done, self.history, self.timing, self.right_after, right)

    def most_confused(self, *, min_val: int = 1) -> pd.DataFrame:
        """See `quickvision.most_confused`."""
        return interpret.most_confused(self.preds, min_val=min_val)

    def top_losses(self, k: int | None = 9) -> pd.DataFrame:
        """See `quickvision.top_losses`."""
        return interpret.top_losses(self.preds, k)

    def class_report(self) -> pd.DataFrame:
        """See `quickvision.class_report`."""
        return interpret.class_report(self.preds)

    def plot_top_losses(self, k: int = 9, *, ax: Axes | None = None) -> Axes:
        """See `quickvision.plot_top_losses`."""
        return plots.plot_top_losses(self.preds, k, ax=ax)

    def plot_confusion(self, *, ax: Axes | None = None) -> Axes:
        """See `quickvision.plot_confusion`."""
        return plots.plot_confusion(self.preds, ax=ax)

    def plot_history(
        self, y: str | tuple[str, ...] = ("train_loss", "valid_loss"), *, ax: Axes | None = None
    ) -> Axes:
        """See `quickvision.plot_history`."""
        return plots.plot_history(self.history, y, ax=ax)

    def plot_lr_find(self, *, ax: Axes | None = None) -> Axes:
        """See `quickvision.plot_lr_find`.

        Raises:
            RunError: The rates were given, so nothing was searched.
        """
        if not self.lr_finds:
            raise RunError("expected a rate finder's curve, got none: this run was given its rates")
        return plots.plot_lr_find(self.lr_finds, ax=ax)

    def export(
        self,
        path: str | Path,
        *,
        onnx: bool = False,
        best: bool = False,
        calibrate: bool = True,
        verbose: bool = True,
    ) -> Path:
        """Write the model as a folder that needs neither the run nor its pictures.

        See `quickvision.export`, which says what is in it and what is checked.

        Args:
            path: The folder to write; an earlier export is replaced, anything else is left alone.
            onnx: Write an ONNX file, too; needs `pip install 'quickvision[onnx]'`.
            best: Of the best epoch (`Run.best`), and not of the last one.
            calibrate: Make the probabilities true, in the last layer's weights.
            verbose: Say what was checked.

        Returns:
            The folder.
        """
        how: dict[str, Any] = {"onnx": onnx, "calibrate": calibrate, "verbose": verbose}
        if not best:
            preds = None if self.config.tta else self.preds
            return export(self.learn, path, preds=preds, **how)
        model, last = self.learn.model, weights_of(self.learn)
        try:
            model.load_state_dict(load_weights(self.path / FOLDER / BEST))
            return export(self.learn, path, **how)
        finally:
            model.load_state_dict(last)

    def show_code(self) -> Code:
        """Write the plain fastai script that does what this run did, with its real numbers.

        With the same versions and threads on the same CPU it gives the same probabilities, to the
        bit: pictures are opened alike, cached features, views and augmented looks are computed and
        drawn as they were. What was yours (a loss, transforms, callbacks, `DataLoaders`) is left
        to fill in. Not repeated are several processes, batches that were taken in parts as they did
        not fit into memory, and the bits of a GPU; where it can be seen, the script says so.

        Returns:
            Text, which notebooks and prompts show as it is.
        """
        return write_script(self.learn, self.spec, self.done, self.path / "split.csv")

    def summary(self) -> Lines:
        """Say the result in a few named lines of text."""
        n_train, n_valid = len(self.learn.dls.train_ds), len(self.preds)
        sides, n_skipped = f"{n_train:,} to train, {n_valid:,} to validate", len(self.skipped)
        stages = self.history.groupby("stage", sort=False)[["epoch", "cached"]].max()
        epochs = " + ".join(
            f"{row.epoch} {stage}{' (on cached features)' if row.cached else ''}"
            for stage, row in stages.iterrows()
        )
        total = sum(self.timing.values())
        slow = [
            f"{name} {spoken(s) if s >= 10 else f'{s:.1f} s'}"
            for name, s in self.timing.items()
            if s > total / 20
        ]
        confused = [f"{r.actual} taken for {r.predicted} ({r.count_})" for r in self._pairs()]
        lines = {
            "accuracy": f"{self.accuracy}{self._looks()}",
            "macro-F1": f"{interpret.macro_f1(self.preds):.1%}, each class counting the same"
            if is_uneven(self.learn.dls)
            else "",
            "stages": said(self.stages),
            "best epoch": self._best(),
            "baseline": str(self.baseline.accuracy) if self.baseline else "",
            "model": f"{self.arch}, {epochs} epochs",
            "time": f"{spoken(total)}: {', '.join(slow)}",
            **(understood_of(self.learn.dls) or {"pictures": sides}),
            "confused": some(confused) or "nothing",
            "left out": f"{n_skipped:,} picture{'' if n_skipped == 1 else 's'}, see run.skipped"
            if n_skipped
            else "",
            "written to": str(self.path),
        }
        return Lines({name: text for name, text in lines.items() if text})

    def _looks(self) -> str:
        tta = self.config.tta
        return f", with {tta} augmented looks" if tta else ""

    def _best(self) -> str:
        """Name the best epoch, where it was not the last."""
        best, last = self.best, self.history.iloc[-1]
        if not best or (best["stage"], best["epoch"]) == (last["stage"], last["epoch"]):
            return ""
        said = f"valid_loss {best['valid_loss']:.3f}"
        if "accuracy" in best:
            n = len(self.preds)
            said = str(Accuracy(round(best["accuracy"] * n), n))
        return f"{best['stage']} {best['epoch']}, {said}: run.learn.load('best') goes back to it"

    def _pairs(self) -> list[Any]:
        return list(self.most_confused().rename(columns={"count": "count_"}).itertuples())

    def __repr__(self) -> str:
        return f"<Run {self.path}: {self.arch}, accuracy {self.accuracy}>"

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
