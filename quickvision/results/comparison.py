"""Which of several models is better, and is it sure: McNemar, Holm, the table."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import binomtest

from quickvision.base.figures import Accuracy
from quickvision.results import plots


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """Test whether two models are equally often right, on the same pictures.

    Args:
        one: Whether the one is right, bool [n].
        other: Whether the other is right, bool [n], in the same order.

    Returns:
        The p-value, two-sided: how often equally good models would differ by as much. 1 where no
        picture tells them apart.

    Raises:
        ValueError: They are not about the same number of pictures.

    Source: McNemar (1947), in its exact form: the pictures that only one of them gets right are
    coin tosses where both are equally good.

    >>> mcnemar(np.array([True] * 8 + [False] * 2), np.array([False] * 8 + [False] * 2))
    0.0078125
    """
    one, other = np.asarray(one, dtype=bool), np.asarray(other, dtype=bool)
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"expected the same pictures, got {one.shape} and {other.shape}")
    only_one, only_other = int((one & ~other).sum()), int((~one & other).sum())
    if not only_one + only_other:
        return 1.0
    return float(binomtest(only_one, only_one + only_other).pvalue)


ALPHA = 0.05


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What came out for each candidate, the best first.

    Attributes:
        table: A row a candidate: `name` (arch, and optimiser and schedule where several were
            asked for), `error` (a fraction, the mean over the seeds that were finished), `low` and
            `high` (its 95 % Wilson interval for n pictures), `n`, `seeds`, `seconds` (of a
            training, everything in; the median over the seeds), `memory` (MiB that it took at its
            peak; see `peak_memory`), `parameters`, `latency` (milliseconds for one picture on the
            CPU, decoding in; nan on a GPU), `p_value` (of being worse than the best, exact McNemar
            over the seeds that both finished, corrected by Holm for the number of candidates; nan
            for the best), `same` (not to be told apart from the best at 5 %), and `failed` (why it
            has none of these).
        path: Folder of the runs.
    """

    table: pd.DataFrame
    path: Path

    @property
    def best(self) -> str:
        """Name of the candidate with the smallest error."""
        return str(self.table["name"].iloc[0])

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """See `quickvision.plot_comparison`."""
        return plots.plot_comparison(self.table, ax=ax)

    def shown(self) -> pd.DataFrame:
        """The table in words and units, as it is printed."""
        rows = []
        for row in self.table.to_dict("records"):
            if row["failed"]:
                rows.append({"candidate": row["name"], "error": "failed", "": row["failed"][:60]})
                continue
            value = row["p_value"]
            p = "best" if np.isnan(value) else f"p {value:.2f}" if value >= 0.005 else "p < 0.01"
            rows.append(
                {
                    "candidate": row["name"],
                    "error": f"{row['error']:.1%} ({100 * row['low']:.1f}-{100 * row['high']:.1f})",
                    "": p if p == "best" else f"{p}, {'same' if row['same'] else 'worse'}",
                    "seconds": f"{row['seconds']:.0f}",
                    "memory": "" if np.isnan(row["memory"]) else f"{row['memory']:,.0f} MiB",
                    "params": f"{row['parameters'] / 1e6:.1f} M",
                    "latency": "" if np.isnan(row["latency"]) else f"{row['latency']:.0f} ms",
                }
            )
        return pd.DataFrame(rows).fillna("")

    def _foot(self) -> str:
        done = self.table[self.table["failed"] == ""].iloc[0]
        seeds = f", mean of {int(done['seeds'])} seeds" if done["seeds"] > 1 else ""
        return f"n={int(done['n']):,}{seeds}; same: not to be told apart from the best (5 %)"

    def __str__(self) -> str:
        table = self.shown().to_string(index=False)
        return f"{table}\n{self._foot()}\nwritten to {self.path}"

    def __repr__(self) -> str:
        return f"<Comparison of {len(self.table)}: best {self.best}, {self.path}>"

    def _repr_html_(self) -> str:
        return f"{self.shown().to_html(index=False)}<p>{escape(self._foot())}</p>"


def tabled(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Put the seeds of a candidate together, the best first, and test the others against it.

    Args:
        rows: One a training: `name`, `seed`, `failed`, and, where it did not, `right` (0 or 1 for
            each picture, in one order for all), `seconds`, `memory`, `parameters` and `latency`.

    Returns:
        The table of a `Comparison`.
    """
    table: list[dict[str, Any]] = []
    rights: dict[str, dict[int, list[int]]] = {}
    for label, group in itertools.groupby(_by_name(rows), key=lambda row: row["name"]):
        runs = list(group)
        done = [row for row in runs if not row["failed"]]
        if not done:
            table.append({"name": label, "failed": runs[0]["failed"]})
            continue
        right = np.array([row["right"] for row in done])
        n = right.shape[1]
        rights[label] = {row["seed"]: row["right"] for row in done}
        low, high = Accuracy(round(right.mean() * n), n).interval
        mean = {"error": 1 - right.mean(), "low": 1 - high, "high": 1 - low, "n": n}
        cost = {key: _median(done, key) for key in ("seconds", "memory", "parameters", "latency")}
        table.append({"name": label, "failed": "", "seeds": len(done), **mean, **cost})
    frame = pd.DataFrame(table).sort_values("error", kind="stable", ignore_index=True)
    best = frame["name"].iloc[0]
    others = [label for label in frame["name"] if label in rights and label != best]
    p_values = _holm([_worse(rights[label], rights[best]) for label in others])
    frame["p_value"] = frame["name"].map(dict(zip(others, p_values, strict=True))).astype(float)
    frame["same"] = (frame["failed"] == "") & ~(frame["p_value"] < ALPHA)
    return frame


def _worse(one: dict[int, list[int]], best: dict[int, list[int]]) -> float:
    """Test one against the best, over the seeds that both have: a picture is right by majority."""
    seeds = sorted(set(one) & set(best))
    if not seeds:
        return 1.0
    votes = [np.mean([side[seed] for seed in seeds], axis=0) >= 0.5 for side in (one, best)]
    return mcnemar(*votes) if votes[0].sum() < votes[1].sum() else 1.0


def _by_name(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["name"])


def _median(rows: list[dict[str, Any]], key: str) -> float:
    values = [row[key] for row in rows if row[key] is not None]
    return statistics.median(values) if values else float("nan")


def _holm(p_values: list[float]) -> list[float]:
    """Correct for the number of tests. Source: Holm (1979)."""
    order = np.argsort(p_values)
    out, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, p_values[i] * (len(p_values) - rank)))
        out[i] = largest
    return out
