"""`Run`: what a finished training hands back, its tables and plots one call away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastai.learner import Learner
from matplotlib.axes import Axes

from quickvision.base.errors import RunError
from quickvision.base.figures import Accuracy
from quickvision.base.files import write_whole
from quickvision.base.progress import Lines
from quickvision.base.tables import Table
from quickvision.data.holdout import CSV
from quickvision.report.outcome import Data, Outcome
from quickvision.report.page import HTML, as_short, write_report
from quickvision.results import plots
from quickvision.results import predictions as interpret
from quickvision.results.embeddings import Embeddings, read_embeddings
from quickvision.results.predictions import Predictions
from quickvision.runs.checkpoints import BEST, FOLDER, load_weights
from quickvision.runs.config import Spec
from quickvision.runs.kept import FEATURES, doubtful, read_heat
from quickvision.runs.options import RunConfig
from quickvision.runs.progress import Progress, Stage
from quickvision.runs.script import Code
from quickvision.runs.spoken import call_of, settings_of
from quickvision.runs.stages import stage_table
from quickvision.runs.summary import summary_of
from quickvision.ship.export import export
from quickvision.ship.network import weights_of
from quickvision.training.lr_find import LRFind

SUSPECTS = "suspects.csv"


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A finished training: the learner, what happened, and what the model gets wrong.

    Attributes:
        path: Folder with the stages' weights, the tables, the plots and the report.
        spec: What was asked for: the options of data and model, and how it was to be trained.
        arch: Name of the architecture.
        preds: The one inference pass over the validation pictures.
        progress: What each stage did, epoch by epoch.
        data: What is known of the pictures.
        versions: Of the packages that it was trained with.
        code: The plain fastai script that does the same; see `show_code`.
        build: Gives the learner when it is asked for.
        baseline: Another run on the same pictures to compare with, or None.
    """

    path: Path
    spec: Spec
    arch: str
    preds: Predictions
    progress: Progress
    data: Data
    versions: Mapping[str, str]
    code: str
    build: Callable[[], Learner]
    baseline: Run | None = None

    @cached_property
    def learn(self) -> Learner:
        """The plain fastai `Learner`, with the weights of the last epoch.

        `learn.load("best")` goes to the best epoch of all stages, `learn.load("stage-1")` back to
        the end of the frozen one, where there was one. Of a run that `load_run` has opened it is
        built when it is asked for, from the pictures.
        """
        return self.build()

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row an epoch, as `fit_frozen` returns it, and whether it was on cached features."""
        return Table(self.progress.rows)

    @property
    def lr_finds(self) -> Mapping[str, LRFind]:
        """What the rate finder saw, by stage; empty where rates were given."""
        return self.progress.lr_finds

    @property
    def done(self) -> tuple[Stage, ...]:
        """What each stage did, its rates with it."""
        return tuple(self.progress.stages)

    @property
    def best(self) -> Mapping[str, Any]:
        """The best epoch's row of `history`: most accurate, then of lowest validation loss.

        It is picked on the pictures that it is measured on, which flatters it.
        """
        return self.progress.best or {}

    @property
    def timing(self) -> Mapping[str, float]:
        """Seconds by part, from "data" and "model" over the stages to "report"."""
        return self.progress.timing

    @property
    def skipped(self) -> pd.DataFrame:
        """Pictures that were left out: columns `path` (below `dls.path`) and `reason`."""
        return self.data.skipped

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
        right_after = {name: np.array(right) for name, right in self.progress.right.items()}
        right = self.preds.right
        return stage_table(self.done, self.history, self.timing, right_after, right)

    @cached_property
    def embeddings(self) -> Embeddings | None:
        """What the pretrained body says of all pictures, before it has learned their labels.

        None where the frozen stage was not on cached features.
        """
        file = self.path / FEATURES
        return read_embeddings(file) if file.is_file() else None

    def suspects(self) -> pd.DataFrame:
        """List the labels that look wrong, on both sides; see `quickvision.suspects`.

        Raises:
            RunError: Nothing is known but what a trained body says, which has learned the labels.
        """
        if self._suspects is None:
            raise RunError(
                f"expected a run with a report and cached features, got {self.path}, which has no"
                f" {FEATURES}; train with weights, frozen epochs, cache_features and report True"
            )
        return self._suspects.copy()

    def wrong(self) -> pd.DataFrame:
        """See `quickvision.wrong`."""
        return interpret.wrong(self.preds)

    def most_confused(self, *, min_val: int = 1) -> pd.DataFrame:
        """See `quickvision.most_confused`."""
        return interpret.most_confused(self.preds, min_val=min_val)

    def top_losses(self, k: int | None = 9) -> pd.DataFrame:
        """See `quickvision.top_losses`."""
        return interpret.top_losses(self.preds, k)

    def class_report(self) -> pd.DataFrame:
        """See `quickvision.class_report`."""
        return interpret.class_report(self.preds)

    def plot_top_losses(self, k: int = 9, *, heatmap: bool = False, ax: Axes | None = None) -> Axes:
        """See `quickvision.plot_top_losses`; `heatmap` draws what speaks for each answer."""
        learn = self.learn if heatmap else None
        return plots.plot_top_losses(self.preds, k, learn=learn, ax=ax)

    def plot_calibration(self, *, ax: Axes | None = None) -> Axes:
        """See `quickvision.plot_calibration`."""
        return plots.plot_calibration(self.preds, ax=ax)

    def plot_confusion(self, *, ax: Axes | None = None) -> Axes:
        """See `quickvision.plot_confusion`."""
        return plots.plot_confusion(self.preds, ax=ax)

    def plot_history(
        self, y: str | tuple[str, ...] | None = None, *, ax: Axes | None = None
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

        See `quickvision.export`, which says what is in it, and what the options do.

        Args:
            path: The folder to write; an earlier export is replaced, anything else is left alone.
            onnx: Write an ONNX file, too.
            best: Of the best epoch (`Run.best`), and not of the last one.
            calibrate: Make the probabilities true.
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
        return Code(self.code)

    def report(self) -> Path:
        """Write `report.html`, one page that people read, and the same in words, `report.md`.

        The page is one file: it loads nothing, sends nothing, and reads with scripts blocked. What
        is decided on it about doubtful labels is saved as `fixes.csv`. `train` writes it at the
        end of a run. Pictures that are not where they were are left out.

        Returns:
            Path of `report.html`, in the run's folder.

        Raises:
            RunError: It cannot be written.
        """
        found = self.outcome()
        if found.suspects is not None:
            file = self.path / SUSPECTS
            write_whole(file, partial(pd.DataFrame(found.suspects).to_csv, **CSV))
        return write_report(found, self.path)

    @cached_property
    def _suspects(self) -> pd.DataFrame | None:
        return None if self.embeddings is None else doubtful(self.embeddings, self.data)

    def outcome(self) -> Outcome:
        """Put together what a report tells."""
        return self._outcome(self.embeddings, self._suspects)

    def _outcome(self, known: Embeddings | None, suspects: pd.DataFrame | None) -> Outcome:
        # To find doubtful labels among many pictures takes seconds.
        return Outcome(
            name=self.path.name,
            arch=self.arch,
            preds=self.preds,
            data=self.data,
            history=self.history,
            stages=self.stages,
            lr_finds=self.lr_finds,
            timing=self.timing,
            embeddings=known,
            suspects=suspects,
            heat=read_heat(self.path),
            settings=settings_of(self.spec),
            versions=self.versions,
            command=call_of(self.spec),
            code=self.code,
        )

    def summary(self) -> Lines:
        """Say the result in a few named lines of text."""
        page = self.path / HTML
        return summary_of(
            self._outcome(None, None),
            best=self.best,
            tta=self.config.tta,
            baseline=self.baseline.accuracy if self.baseline else None,
            path=self.path,
            page=page if page.is_file() else None,
        )

    def __repr__(self) -> str:
        return f"<Run {self.path}: {self.arch}, accuracy {self.accuracy}>"

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        page = self.path / HTML
        where = f"The whole report: {page}" if page.is_file() else f"Written to {self.path}"
        return as_short(self.outcome(), where)
