"""What people have changed after a look at pictures: other classes, and some that are dropped.

The files stay as they are, and so does the split: labels change, and pictures leave their side,
after it was decided who is held out. fastai reads the annotations of a labeller, which it cannot do
as text: no `from __future__ import annotations` here.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
from fastai.data.core import DataLoaders

from quickvision.base.errors import DataError, some
from quickvision.data.listing import Listing
from quickvision.data.paths import below

COLUMNS = ["path", "action", "label"]
KEEP, RELABEL, DROP = ACTIONS = ("keep", "relabel", "drop")
DROPPED = "dropped by "  # how the reason begins, in `dls.skipped`


class FixedLabel:
    """Label pictures as another labeller does, but for those that people have relabelled."""

    def __init__(self, label: Callable[[Path], str], root: Path, labels: Mapping[str, str]) -> None:
        self.label, self.root, self.labels = label, root, labels
        self.__name__ = "FixedLabel"

    def __call__(self, path: str | Path) -> str:
        """Return the label."""
        whole = below(os.path.abspath(path), self.root.absolute())
        for name in (below(path, self.root), whole):
            if name in self.labels:
                return self.labels[name]
        return self.label(Path(path))


@dataclass(frozen=True)
class Fixes:
    """What is to become of pictures; without any nothing changes.

    Attributes:
        labels: By a picture's name its class from now on (its own, where it is kept), or None where
            it is dropped.
        was: By the name its class before.
        source: What says so, for people: a file's name, or "fixes".
    """

    labels: Mapping[str, str | None] = field(default_factory=dict)
    was: Mapping[str, str] = field(default_factory=dict)
    source: str = "fixes"

    @property
    def dropped(self) -> dict[str, str]:
        """The names of the pictures that are dropped, with the reason."""
        why = f"{DROPPED}{self.source}"
        return {name: why for name, label in self.labels.items() if label is None}

    @property
    def relabelled(self) -> dict[str, str]:
        """The names of the pictures that get another class, with that class."""
        named = {name: label for name, label in self.labels.items() if label is not None}
        return {name: label for name, label in named.items() if label != self.was[name]}

    def table(self) -> pd.DataFrame:
        """List them: columns `path`, `action`, `label` (empty for a dropped one), `was`."""
        relabelled = self.relabelled
        rows = [
            (name, _action(name, label, relabelled), label or "", self.was[name])
            for name, label in self.labels.items()
        ]
        return pd.DataFrame(rows, columns=[*COLUMNS, "was"])

    def listing(self, listing: Listing) -> Listing:
        """Return a listing with the classes as they are from now on."""
        if not (now := self.relabelled):
            return listing
        pairs = zip(listing.names, listing.labels, strict=True)
        labels = [now.get(name, label) for name, label in pairs]
        return replace(listing, labels=labels, get_y=FixedLabel(listing.get_y, listing.root, now))

    def split(self, before: pd.DataFrame) -> pd.DataFrame:
        """Change a split that was made without them: classes change, dropped pictures leave.

        Args:
            before: Columns `path`, `label`, `valid`; see `holdout.hold_out`.

        Returns:
            The same columns; who stays is on the same side, in the same order.

        Raises:
            DataError: A class has no picture any more on a side where it had some, or none to train
                on.
        """
        if not self.labels:
            return before
        after = before[~before["path"].isin(self.dropped)].reset_index(drop=True)
        now = self.relabelled
        labels = [now.get(*pair) for pair in zip(after["path"], after["label"], strict=True)]
        after = after.assign(label=pd.Series(labels, dtype=object))
        for task, valid in (("train", False), ("validate", True)):
            had, has = (set(side["label"][side["valid"] == valid]) for side in (before, after))
            if lost := sorted(had - has):
                raise DataError(
                    f"expected {self.source} to leave each class a picture to {task} on, got none"
                    f" of {some(lost)}; leave some as they are, or, to be rid of a class, take its"
                    " pictures out of the data and begin anew"
                )
        sides = (set(after["label"][after["valid"] == valid]) for valid in (True, False))
        if new := sorted(set.difference(*sides)):
            raise DataError(
                f"expected {self.source} to relabel pictures to classes that can be trained on, got"
                f" {some(new)}, of which there is no picture to train on; leave these out"
            )
        return after

    def said(self, split: pd.DataFrame) -> str:
        """Say what was done, in one line; an empty text where nothing was asked for.

        Args:
            split: Who is on which side, with the fixes in it.
        """
        used, relabelled = set(split["path"]), self.relabelled
        counts = {
            "relabelled": sum(name in used for name in relabelled),
            "dropped": len(self.dropped),
            "kept": len(self.labels) - len(relabelled) - len(self.dropped),
            "left out anyway": sum(name not in used for name in relabelled),
        }
        done = ", ".join(f"{n:,} {what}" for what, n in counts.items() if n)
        named = f", from {self.source}" if self.source != Fixes.source else ""
        return f"{done}{named}" if done else ""


def _action(name: str, label: str | None, relabelled: Mapping[str, str]) -> str:
    return DROP if label is None else RELABEL if name in relabelled else KEEP


def fixes_of(dls: DataLoaders) -> dict[str, str | None] | None:
    """Return the fixes that `DataLoaders` of ours were made with, as a door takes them again."""
    table = getattr(dls, "fixed", None)
    if not isinstance(table, pd.DataFrame) or table.empty:
        return None
    rows = zip(*(table[name] for name in COLUMNS), strict=True)
    said = {path: None if action == DROP else label for path, action, label in rows}
    return {path: label for path, label in said.items() if label != ""} or None
