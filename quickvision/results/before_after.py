"""Before and after the labels were mended: what the labels did, and what the model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from quickvision.base.errors import some
from quickvision.base.figures import Accuracy
from quickvision.data.fixes import actions_in
from quickvision.data.mended import DROP, RELABEL
from quickvision.results.comparison import ALPHA, mcnemar
from quickvision.results.predictions import Predictions


@dataclass(frozen=True, eq=False, repr=False)
class BeforeAfter:
    """Two models on the same pictures, of which some have another label now.

    Cleaning the validation pictures raises the figure without a better model. So three figures
    stand side by side, of the pictures that both models have seen: the step from the first to the
    second is what the labels did, the step from the second to the third what the model did.

    Attributes:
        table: A row a picture that both have: `path`, `was` (its old label), `label` (the new one),
            `old` and `new` (what the two models say).
        dropped: A row a picture that the new run does not have any more: `path`, `was`, `old`.
        added: Paths of pictures that only the new run has.
        unsaid: Paths of pictures that have changed their label, or are gone, though the fixes say
            nothing of it; empty where no fixes were given.
    """

    table: pd.DataFrame
    dropped: pd.DataFrame
    added: tuple[str, ...] = ()
    unsaid: tuple[str, ...] = ()

    @property
    def relabelled(self) -> pd.DataFrame:
        """The rows of `table` whose label is another now."""
        return self.table[self.table["was"] != self.table["label"]]

    @property
    def old_on_old(self) -> Accuracy:
        """The old model, by the old labels."""
        return _accuracy(self.table, "old", "was")

    @property
    def old_on_new(self) -> Accuracy:
        """The old model, by the new labels."""
        return _accuracy(self.table, "old", "label")

    @property
    def new_on_new(self) -> Accuracy:
        """The new model, by the new labels."""
        return _accuracy(self.table, "new", "label")

    @property
    def reported(self) -> Accuracy:
        """The old model by the old labels, with the dropped pictures: what its own report says."""
        gone, kept = self.dropped, self.old_on_old
        return Accuracy(kept.correct + int((gone["old"] == gone["was"]).sum()), kept.n + len(gone))

    @cached_property
    def p_value(self) -> float:
        """McNemar's p of the two models by the new labels; see `quickvision.mcnemar`."""
        sides = [(self.table[who] == self.table["label"]).to_numpy() for who in ("old", "new")]
        return mcnemar(*sides)

    def shown(self) -> pd.DataFrame:
        """The three figures, as they are printed: columns `model`, `labels`, `accuracy`."""
        rows = [
            ("old", "old", str(self.old_on_old)),
            ("old", "new", str(self.old_on_new)),
            ("new", "new", str(self.new_on_new)),
        ]
        return pd.DataFrame(rows, columns=["model", "labels", "accuracy"])

    def sentences(self) -> list[str]:
        """Say what the labels did and what the model did, and what was not counted."""
        said = [self._difference()]
        if len(self.dropped):
            right = int((self.dropped["old"] == self.dropped["was"]).sum())
            said.append(
                f"Dropped, and in none of the three: {len(self.dropped):,}"
                f" picture{_s(len(self.dropped))}, of which the old model had {right:,} right; its"
                f" own report, which counts {'them' if len(self.dropped) > 1 else 'it'}, says"
                f" {self.reported}."
            )
        if self.added:
            said.append(
                f"Only the new run has {len(self.added):,} picture{_s(len(self.added))}"
                f" ({some(self.added)}): not counted. Was the split the same?"
            )
        if self.unsaid:
            said.append(
                f"{len(self.unsaid):,} picture{_s(len(self.unsaid))} changed though the fixes say"
                f" nothing of it: {some(self.unsaid)}."
            )
        return said

    def _difference(self) -> str:
        """Say in pictures, which add up, where the difference comes from."""
        start, middle, end = self.old_on_old, self.old_on_new, self.new_on_new
        by_labels, by_model = middle.correct - start.correct, end.correct - middle.correct
        n_labels = len(self.relabelled)
        p = f"p {self.p_value:.2f}" if self.p_value >= 0.005 else "p < 0.01"
        sure = "hardly chance" if self.p_value < ALPHA else "may be chance"
        model = f"{_more(by_model)} by the model ({p}: {sure})"
        if (self.table["old"] == self.table["new"]).all():
            model = "none by the model, which says the same of each picture"
        points = f"{100 * (end.value - start.value):+.1f} points"
        total = f"{_more(by_labels + by_model)} right of {end.n:,} ({points})"
        if not n_labels:
            also = " that both have" if len(self.dropped) else ""
            same = f"the labels{also} are the same to the last, only the model changed"
            return f"{total}: {same}: {model}."
        changed = f"{n_labels:,} label{_s(n_labels)} changed"
        return f"{total}: {_more(by_labels)} by the labels ({changed}), {model}."

    def __str__(self) -> str:
        return "\n".join([self.shown().to_string(index=False), *self.sentences()])

    def __repr__(self) -> str:
        three = (self.old_on_old, self.old_on_new, self.new_on_new)
        return (
            f"<BeforeAfter of {len(self.table):,}: {' -> '.join(f'{a.value:.1%}' for a in three)}>"
        )

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.sentences())
        return f"{self.shown().to_html(index=False)}{said}"


def before_after(old: Any, new: Any, *, fixes: Any = None) -> BeforeAfter:
    """Tell apart what mended labels did and what the model did, on the same validation pictures.

    A model that was trained on mended labels, and is measured by mended labels, gains twice. Here
    the old model is measured by both, and only the last step is the model's.

    Args:
        old: `Predictions` of the model before, with the labels of then; or the run.
        new: `Predictions` of the model after, with the labels of now; or the run. It was made with
            the same split: `train(..., fixes="fixes.csv")` keeps it.
        fixes: What was mended, as the doors take it: what has changed without it is named.

    Returns:
        The three figures, with their intervals, and McNemar's p; print it. A picture is the same
        where its path below `root` is.

    Raises:
        DataError: `fixes` cannot be read.
        TypeError: `old` or `new` is something else.
        ValueError: They know other classes, have no picture in common, or have no paths.
    """
    before, after = _predictions(old, "old"), _predictions(new, "new")
    if {*before.vocab} != {*after.vocab}:
        only = {who: sorted({*a.vocab} - {*b.vocab}) for who, a, b in _both_ways(before, after)}
        got = " and ".join(
            f"{some(names)} in the {who} alone" for who, names in only.items() if names
        )
        raise ValueError(
            f"expected two models of the same classes, got {got}: with other classes the question"
            " is another, and so is the figure; train one of them anew on the classes of the other"
        )
    was, now = _told(before, "old"), _told(after, "new")
    both = was.merge(now, on="path", suffixes=("_old", "_new"))
    if both.empty:
        raise ValueError(
            f"expected predictions of the same validation pictures, got none in common:"
            f" {some(was['path'])} in old, {some(now['path'])} in new; train the new run on the"
            " same data, with the same split and seed"
        )
    names = {"actual_old": "was", "actual_new": "label", "predicted_old": "old"}
    table = both.rename(columns={**names, "predicted_new": "new"})
    gone = was[~was["path"].isin(now["path"])].rename(columns={"actual": "was", "predicted": "old"})
    return BeforeAfter(
        table[["path", "was", "label", "old", "new"]],
        gone[["path", "was", "old"]].reset_index(drop=True),
        tuple(now["path"][~now["path"].isin(was["path"])]),
        _unsaid(table, gone, fixes),
    )


def _predictions(given: Any, name: str) -> Predictions:
    found = given if isinstance(given, Predictions) else getattr(given, "preds", None)
    if not isinstance(found, Predictions):
        raise TypeError(f"{name}: expected Predictions or a Run, got {type(given).__name__}")
    return found


def _both_ways(old: Predictions, new: Predictions) -> list[tuple[str, Predictions, Predictions]]:
    return [("old", old, new), ("new", new, old)]


def _told(preds: Predictions, name: str) -> pd.DataFrame:
    """Return what a model says of each picture, by its path: `path`, `actual`, `predicted`."""
    if nameless := [path for path in preds.paths if re.fullmatch(r"item-\d+", str(path))]:
        raise ValueError(
            f"{name}: expected predictions of files, which can be found again, got {some(nameless)}"
        )
    told = preds.to_frame()[["path", "actual", "predicted"]]
    if twice := [*told["path"][told["path"].duplicated()]]:
        raise ValueError(f"{name}: expected each picture once, got {some(twice)} again")
    return told


def _unsaid(table: pd.DataFrame, gone: pd.DataFrame, fixes: Any) -> tuple[str, ...]:
    """Return the pictures that have changed though the fixes say nothing of it."""
    if fixes is None:
        return ()
    said = actions_in(fixes)
    changed = table["path"][table["was"] != table["label"]]
    found = [path for path in changed if said.get(path) != RELABEL]
    return (*found, *(path for path in gone["path"] if said.get(path) != DROP))


def _accuracy(table: pd.DataFrame, said: str, label: str) -> Accuracy:
    return Accuracy(int(np.count_nonzero(table[said] == table[label])), len(table))


def _more(n: int) -> str:
    return f"{abs(n):,} {'more' if n >= 0 else 'fewer'}"


def _s(n: int) -> str:
    return "s" if n > 1 else ""
