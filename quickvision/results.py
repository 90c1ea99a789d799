"""What a finished run writes into its folder: tables and plots."""

from __future__ import annotations

from functools import partial

import pandas as pd

from quickvision.files import write_whole
from quickvision.holdout import save_split
from quickvision.plots import save_plot
from quickvision.run import Run


def save_results(run: Run) -> None:
    """Write a run's tables and plots, each whole or not at all.

    Raises:
        RunError: They cannot be written.
    """
    tables = {"predictions": run.preds.to_frame(), "confused": run.most_confused()}
    if len(run.skipped):
        tables["skipped"] = run.skipped
    if isinstance(getattr(run.learn.dls, "split", None), pd.DataFrame):  # made by our doors
        save_split(run.learn.dls, run.path / "split.csv")
    for name, table in tables.items():
        write_whole(run.path / f"{name}.csv", partial(table.to_csv, index=False))
    plots = {"confusion": run.plot_confusion(), "history": run.plot_history()}
    plots["top_losses"] = run.plot_top_losses()
    if run.lr_finds:
        plots["lr_find"] = run.plot_lr_find()
    for name, ax in plots.items():
        write_whole(run.path / f"{name}.png", partial(save_plot, ax))
