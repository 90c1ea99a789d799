"""Which of several models is better, and is it sure: McNemar, Holm, the table."""

from __future__ import annotations

import itertools
import re
import statistics
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import binomtest

from quickvision.base.errors import some
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
            asked for), `accuracy` (a fraction, the mean over the seeds that were finished), `low`
            and `high` (its 95 % Wilson interval for n pictures), `n`, `seeds`, `seconds` (of a
            training, everything included; the median over the seeds), `memory` (MiB that it took
            at its peak; see `peak_memory`), `parameters`, `latency` (milliseconds for one picture
            on the CPU, decoding included; nan on a GPU), `p_value` (of the test whether it is worse
            than the best: exact McNemar over the seeds that both finished, corrected by Holm for
            the number of candidates; nan for the best), `same` (no significant difference from the
            best, at the 5 % level), and `failed` (why it has none of these).
        path: Folder of the runs.
    """

    table: pd.DataFrame
    path: Path

    @property
    def best(self) -> str:
        """Name of the candidate with the highest accuracy."""
        return str(self.table["name"].iloc[0])

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """See `quickvision.plot_comparison`."""
        return plots.plot_comparison(self.table, ax=ax)

    @property
    def _done(self) -> pd.DataFrame:
        return self.table[self.table["failed"] == ""]

    def shown(self) -> pd.DataFrame:
        """The table in words and units, as it is printed; a single candidate is compared to none.

        Where one has failed, `_foot` says why.
        """
        rows, several = [], len(self._done) > 1
        for row in self.table.to_dict("records"):
            if row["failed"]:
                rows.append({"candidate": row["name"], "accuracy": "failed"})
                continue
            low, high = 100 * row["low"], 100 * row["high"]
            rows.append(
                {
                    "candidate": row["name"],
                    "accuracy": f"{row['accuracy']:.1%} ({low:.1f}-{high:.1f})",
                    **({"": _verdict(row["p_value"], same=row["same"])} if several else {}),
                    "seconds": f"{row['seconds']:.0f}",
                    "memory": "" if np.isnan(row["memory"]) else f"{row['memory']:,.0f} MiB",
                    "params": f"{row['parameters'] / 1e6:.1f} M",
                    "latency": "" if np.isnan(row["latency"]) else f"{row['latency']:.0f} ms",
                }
            )
        return pd.DataFrame(rows).fillna("")

    def _foot(self) -> list[str]:
        """Say what the table is about, what its words mean, and why candidates have failed."""
        done = self._done
        seeds = int(done["seeds"].max())
        mean = f", mean of {seeds} seeds" if seeds > 1 else ""
        lines = [f"n={int(done['n'].iloc[0]):,}{mean}; in brackets: the 95 % interval"]
        if len(done) > 1:
            lines[0] += "; same: no significant difference from the best (McNemar, 5 % level)"
        failed = self.table[self.table["failed"] != ""]
        return [*lines, *said_of_failures(zip(failed["name"], failed["failed"], strict=True))]

    def __str__(self) -> str:
        lines = [self.shown().to_string(index=False), *self._foot(), f"written to {self.path}"]
        return "\n".join(lines)

    def __repr__(self) -> str:
        best = f"best {self.best}" if len(self._done) > 1 else self.best
        return f"<Comparison of {len(self.table)}: {best}, {self.path}>"

    def _repr_html_(self) -> str:
        foot = "".join(f"<p>{escape(text)}</p>" for text in self._foot())
        return f"{self.shown().to_html(index=False)}{foot}"


def _verdict(p: float, *, same: bool) -> str:
    """Say how a candidate did beside the best.

    >>> _verdict(float("nan"), same=True), _verdict(0.5, same=True), _verdict(0.001, same=False)
    ('best', 'p 0.50, same', 'p < 0.01, worse')
    """
    if np.isnan(p):
        return "best"
    return f"{f'p {p:.2f}' if p >= 0.005 else 'p < 0.01'}, {'same' if same else 'worse'}"


def said_of_failures(failures: Iterable[tuple[str, str]]) -> list[str]:
    """Say why candidates have failed: a reason that several have, once.

    Args:
        failures: Pairs of a candidate's name and the reason, which may hold the name, and an
            address that is the candidate's own.

    Returns:
        A line a reason, with the text of the first candidate that has it.

    >>> for text in said_of_failures([("a", "no file a.pth"), ("b", "no file b.pth")]):
    ...     print(text)
    a failed: no file a.pth
    b failed for the same reason
    """
    alike: dict[str, list[tuple[str, str]]] = {}
    for name, reason in failures:
        words = (name, name.partition(" ")[0], name.rpartition("/")[2])
        plain = re.sub(r"https?://\S+", "", reason)
        for word in sorted(words, key=len, reverse=True):
            plain = plain.replace(word, "")
        alike.setdefault(plain, []).append((name, reason))
    lines = []
    for (name, reason), *others in alike.values():
        lines.append(f"{name} failed: {reason}")
        if others:
            lines.append(f"{some([other for other, _ in others])} failed for the same reason")
    return lines


def in_short(reason: str) -> str:
    """Say the beginning of a reason that is told in full at the end.

    >>> in_short("out of memory")
    'failed: out of memory'
    """
    return f"failed: {textwrap.shorten(reason, 60, placeholder=' ...')}"


def name_of(arch: Any) -> str:
    """Name an architecture: as it was asked for, or as its function or class is called."""
    made = arch.func if isinstance(arch, partial) else arch
    return made if isinstance(made, str) else getattr(made, "__name__", type(made).__name__)


def names_apart(archs: Sequence[Any]) -> list[str]:
    """Name each, those of one name by their modules, too, and what is still alike by numbers."""
    short, names = [*map(name_of, archs)], []
    for arch, name in zip(archs, short, strict=True):
        made = arch.func if isinstance(arch, partial) else arch
        alike = short.count(name) > 1 and not isinstance(arch, str)
        names.append(f"{made.__module__}.{name}" if alike else name)
    return [
        f"{name}#{names[: place + 1].count(name)}" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


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
        mean = {"accuracy": right.mean(), "low": low, "high": high, "n": n}
        cost = {key: _median(done, key) for key in ("seconds", "memory", "parameters", "latency")}
        table.append({"name": label, "failed": "", "seeds": len(done), **mean, **cost})
    frame = pd.DataFrame(table).sort_values(
        "accuracy", ascending=False, kind="stable", ignore_index=True
    )
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
