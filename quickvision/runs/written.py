"""What a finished run writes into its folder: tables and plots."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from quickvision.base.files import write_whole
from quickvision.results.plots import plot_lr_find, save_plot
from quickvision.runs.run import Run


def save_results(run: Run) -> None:
    """Write a run's tables and plots, each whole or not at all.

    Raises:
        RunError: They cannot be written.
    """
    tables = {"predictions": run.preds.to_frame(), "confused": run.most_confused()}
    for name, table in tables.items():
        write_whole(
            run.path / f"{name}.csv", partial(table.to_csv, index=False, errors="surrogateescape")
        )
    arrays: dict[str, Any] = {"probs": run.preds.probs, "targs": run.preds.targs}
    write_whole(run.path / "predictions.npz", lambda part: np.savez_compressed(part, **arrays))
    plots = {"confusion": run.plot_confusion(), "history": run.plot_history()}
    plots["top_losses"] = run.plot_top_losses()
    for name, found in run.lr_finds.items():
        plots[f"lr_find-{name}"] = plot_lr_find({name: found})
    for name, ax in plots.items():
        write_whole(run.path / f"{name}.png", partial(save_plot, ax))
