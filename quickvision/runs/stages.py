"""What each stage of a run has brought, and whether it is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from quickvision.base.tables import Table
from quickvision.results.comparison import mcnemar
from quickvision.runs.progress import Stage, stage_of, weights_after


def stage_table(
    done: Sequence[Stage],
    history: pd.DataFrame,
    timing: Mapping[str, float],
    right_after: Mapping[str, np.ndarray],
    at_end: np.ndarray,
) -> pd.DataFrame:
    """Put the stages side by side.

    Args:
        done: The stages, in their order.
        history: A row an epoch.
        timing: Seconds by name.
        right_after: Whether each validation picture was right after a stage, bool [n], by its name;
            of those that another one followed.
        at_end: The same at the end of the run.

    Returns:
        A row a stage: `stage`, `epochs`, `lr` (the head's), `seconds` (with features and rates),
        `accuracy`, `valid_loss` (both of its last epoch), and, of a stage after another, `gained`
        (accuracy at its end less that before it, a fraction) and `p_value` (McNemar's, of a
        difference as large where both are equally good); nan where nothing came before.
    """
    rows: list[dict[str, Any]] = []
    before: np.ndarray | None = None
    for place, stage in enumerate(done, start=1):
        mine = history[history["stage"].map(stage_of) == stage.name]
        parts = [stage.name, f"{stage.name} rates", *(["features"] if stage.cached else [])]
        row = {
            "stage": stage.name,
            "epochs": len(mine),
            "lr": stage.lr.stop if isinstance(stage.lr, slice) else stage.lr,
            "seconds": sum(timing.get(part, 0.0) for part in parts),
            "accuracy": mine["accuracy"].iloc[-1] if "accuracy" in mine else np.nan,
            "valid_loss": mine["valid_loss"].iloc[-1],
            "gained": np.nan,
            "p_value": np.nan,
        }
        after = at_end if place == len(done) else right_after.get(stage.name)
        if before is not None and after is not None and len(before) == len(after):
            row["accuracy"], rows[-1]["accuracy"] = after.mean(), before.mean()
            row |= {"gained": after.mean() - before.mean(), "p_value": mcnemar(before, after)}
        rows.append(row)
        before = after
    return Table(rows)


def said(table: pd.DataFrame) -> str:
    """Say in a line what the last stage has brought; empty where there was one stage."""
    last = table.iloc[-1]
    if np.isnan(last["gained"]):
        return ""
    gained, first = 100 * last["gained"], table.iloc[-2]
    sure = "" if last["p_value"] < 0.05 else ", which may be chance"
    p = f"p = {last['p_value']:.2f}" if last["p_value"] >= 0.005 else "p < 0.01"
    text = f"{first['stage']} {first['accuracy']:.1%}, {last['stage']} {last['accuracy']:.1%}"
    text += f": {gained:+.1f} points ({p}, McNemar{sure})"
    if gained < 0:
        name = first["stage"]
        text += f"; run.learn.load({weights_after(name)!r}) goes back to the {name} stage's end"
    return text
