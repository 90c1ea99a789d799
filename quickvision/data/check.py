"""Look at a data set before an hour is spent on it: what is in it, and what is wrong with it."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from fastai.data.core import DataLoaders

from quickvision.base.errors import DataError, DataWarning, as_path, some
from quickvision.base.files import write_whole
from quickvision.base.progress import Lines, html_table, line
from quickvision.data.classes import in_order
from quickvision.data.findings import beside, find
from quickvision.data.holdout import skipped_of, split_of
from quickvision.data.layouts import find_listing
from quickvision.data.leaks import Finding
from quickvision.data.listing import Listing
from quickvision.data.loaders import Examined, examine, split_by
from quickvision.data.mended import DROPPED
from quickvision.data.options import Options, Size
from quickvision.data.scan import Facts
from quickvision.data.understood import understood, understood_of

SEVERITIES = ("error", "warning", "note")
COLOURS = {"error": "#b3261e", "warning": "#8a5a00", "note": "#5f6368"}  # dark enough to read
HIDDEN = ["error", "digest", "thumb", "colours", "alpha", "low", "top"]  # from users
EXAMPLES = 3  # that are shown; all are in the table and in the JSON


@dataclass(frozen=True, eq=False, repr=False)
class DataCheck:
    """What `check` found.

    Attributes:
        path: The folder or file that was looked at.
        layout: How the pictures are labelled: the call that loads them.
        findings: Worst first: columns `severity` (`error`: training would be misled; `warning`:
            look at it; `note`: handled), `finding`, `n` (files or classes), `advice`, `examples`
            (all of them).
        pictures: A row a file: `path`, `label`, `side` ("train", "valid", or "" where it is left
            out), `reason`, `format`, `mode`, `width`, `height` (pixels), `turn` (EXIF), `frames`.
        classes: Pictures of each class (the index) on each side: columns `train`, `valid`.
        understood: Where labels and split come from, as `load_data` prints it; empty where no
            training is possible.
    """

    path: Path
    layout: str
    findings: pd.DataFrame
    pictures: pd.DataFrame
    classes: pd.DataFrame
    understood: Lines = field(default_factory=Lines)

    @property
    def ok(self) -> bool:
        """True where no finding is an error."""
        return "error" not in set(self.findings["severity"])

    def to_json(self) -> str:
        """Return layout, classes and findings, with all examples, as JSON."""
        return json.dumps(
            {
                "path": str(self.path),
                "layout": self.layout,
                "ok": self.ok,
                "pictures": len(self.pictures),
                "classes": self.classes.reset_index().to_dict("records"),
                "findings": self.findings.to_dict("records"),
            },
            indent=2,
            ensure_ascii=False,
        )

    def save(self, path: str | Path) -> Path:
        """Write the JSON; return the path.

        Raises:
            RunError: It cannot be written.
        """
        text = self.to_json().encode("utf-8", "replace")  # a file's name need not be proper text
        return write_whole(as_path(path, "path"), lambda part: part.write_bytes(text))

    def summary(self) -> Lines:
        """Say what is there in a few named lines of text."""
        sides = self.pictures["side"].value_counts()
        out = f", {sides.get('', 0):,} left out" if sides.get("", 0) else ""
        n_train, n_valid = sides.get("train", 0), sides.get("valid", 0)
        counted = self.findings["severity"].value_counts()
        found = [
            f"{counted[s]} {s}{'s' if counted[s] > 1 else ''}" for s in SEVERITIES if s in counted
        ]
        lines = dict(self.understood) or {
            "layout": self.layout,
            "classes": f"{len(self.classes)}: {some(self.classes.index, limit=5)}",
            "pictures": f"{n_train:,} to train, {n_valid:,} to validate",
        }
        lines["pictures"] = f"{len(self.pictures):,}{out}: {lines['pictures']}"
        return Lines(lines, found=", ".join(found) or "nothing to mend")

    def _rows(self) -> list[Finding]:
        return [Finding(*row) for row in self.findings.to_numpy(dtype=object)]

    def __repr__(self) -> str:
        return f"<DataCheck {self.path}: {self.summary()['found']}>"

    def __str__(self) -> str:
        parts = [str(self.summary())]
        for row in self._rows():
            said = [f"{row.finding}: {row.n:,}", row.advice, *(f"- {e}" for e in _shown(row))]
            parts.append(line(row.severity, "\n".join(said)))
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        rows = [(name, escape(text)) for name, text in self.summary().items()]
        for row in self._rows():
            mark = f'<span style="color:{COLOURS[row.severity]}">{row.severity}</span>'
            lines = [f"<b>{escape(row.finding)}: {row.n:,}</b>", escape(row.advice)]
            lines += [f"<code>{escape(example)}</code>" for example in _shown(row)]
            rows.append((mark, "<br>".join(lines)))
        return html_table(rows)


def _shown(finding: Finding) -> list[str]:
    """Return a line for each of the first examples, and one that counts the rest."""
    shown = list(finding.examples[:EXAMPLES])
    more = len(finding.examples) - len(shown)
    return [*shown, f"and {more:,} more"] if more else shown


def check(
    data: str | Path | DataLoaders,
    *,
    pat: str | None = None,
    valid: Any = None,
    groups: Any = None,
    class_names: Any = None,
    fixes: Any = None,
    size: Size = 224,
    seed: int = 42,
    max_bad: float = 0.05,
) -> DataCheck:
    """Look for all that misleads training: bad files, bad labels, bad splits, twins.

    Every file is read once, in parallel; what is known of a file that has not changed is not read
    again, here or by the doors. Nothing in the data folder changes.

    Args:
        data: A folder or a CSV file, in any layout that `load_data` knows, or `DataLoaders` that
            one of our doors has made.
        pat: The pattern of `from_name_re`, where labels are in the names.
        valid: As in `from_folder`: the split that is looked at.
        groups: As in `from_folder`.
        class_names: As in `from_folder`.
        fixes: As in `from_folder`: the data is looked at as it is with them.
        size: Pixels of the training pictures.
        seed: Of the split.
        max_bad: Fraction of bad files that is still no error.

    Returns:
        The findings, and the tables that they are made from.

    Raises:
        DataError: Nothing is there, or it has no layout that is known.
    """
    named = {"class_names": class_names, "fixes": fixes}
    asked = Options(valid=valid, groups=groups, size=size, seed=seed, max_bad=max_bad, **named)
    if isinstance(data, DataLoaders):
        listing = _known(data)
    else:
        how = {"valid": asked.valid, "groups": groups, "max_bad": max_bad}
        listing = find_listing(data, pat=pat, **how)
    seen = examine(listing, asked, everything=True)
    listing, found = seen.listing, []
    lines = understood_of(data) if isinstance(data, DataLoaders) else Lines()
    fixed = listing.held or [False] * len(listing.names)
    sides = dict(zip(listing.names, fixed, strict=True))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # each is a finding of its own
            split = seen.split()
        sides = dict(zip(split["path"], split["valid"], strict=True))
        lines = lines or understood(listing, split, asked, fixes=seen.fixes.said(split))
    except DataError as error:
        labels = sorted({label for label in listing.labels if label})
        found.append(
            Finding("error", "no training possible", len(labels), str(error), tuple(labels))
        )
    pictures = _table(seen, sides)
    used_labels = set(pictures["label"][pictures["reason"] == ""])
    if lost := tuple(sorted(set(filter(None, listing.labels)) - used_labels)):
        advice = "all their pictures are left out: not a class any more"
        finding = "classes without a usable picture"
        found.append(Finding("warning", finding, len(lost), advice, lost))
    found += find(
        pictures[~pictures["reason"].str.startswith(DROPPED)],  # that is no fault of theirs
        listing.root,
        size=asked.side,
        max_bad=max_bad,
        levels=asked.levels,
        split=split_by(listing, asked),
    )
    found += beside(listing)
    found.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    kept = pictures[pictures["side"] != ""]
    classes = pd.crosstab(kept["label"], kept["side"]).reindex(columns=["train", "valid"])
    classes = classes.reindex(in_order(classes.index))
    return DataCheck(
        path=listing.root if isinstance(data, DataLoaders) else Path(data),
        layout=listing.found_by or "DataLoaders",
        findings=pd.DataFrame(found, columns=Finding._fields),
        pictures=pictures.drop(columns=HIDDEN),
        classes=classes.fillna(0).astype(int),
        understood=lines,
    )


def _known(dls: DataLoaders) -> Listing:
    """List what went into `DataLoaders` of ours."""
    split, skipped = split_of(dls), skipped_of(dls)
    if split is None:
        raise DataError(
            "expected a path, or DataLoaders that quickvision has made, got others, which do not"
            " say what was left out and why; give the folder or the table that they come from"
        )
    root = Path(dls.path)
    out = dict(zip(skipped["path"], skipped["reason"], strict=True))
    return Listing(
        root=root,
        names=[*split["path"], *out],
        labels=[*split["label"], *[""] * len(out)],
        get_y=str,
        left_out=out,
        missing=frozenset(name for name in out if not (root / name).exists()),
        held=[*split["valid"], *[False] * len(out)],
        side="valid",
    )


def _table(seen: Examined, held: dict[str, bool]) -> pd.DataFrame:
    names, none, reasons = seen.listing.names, Facts(), seen.reasons
    out = [reasons.get(name, "") for name in names]
    sides = ["valid" if held.get(name) else "train" for name in names]
    columns = {
        "path": list(names),
        "label": list(seen.fixes.listing(seen.listing).labels),
        "side": ["" if why else side for why, side in zip(out, sides, strict=True)],
        "reason": out,
    }
    facts = pd.DataFrame([seen.facts.get(name, none) for name in names], columns=Facts._fields)
    return pd.concat([pd.DataFrame(columns), facts], axis=1)
