"""What is said before training starts: each a `DataWarning`, a few lines in all."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from quickvision.base.errors import Advice, some, warn
from quickvision.base.figures import UNEVEN, imbalance
from quickvision.data.classes import look_alikes, mirrored
from quickvision.data.findings import depth
from quickvision.data.leaks import Split, leaks
from quickvision.data.options import Options
from quickvision.data.rgb import Levels


def of_uneven(counts: Mapping[str, int], balance: str | None) -> None:
    """Say where classes are uneven, and nothing is done about it."""
    times = imbalance(counts)
    if times > UNEVEN and balance is None:
        large, small = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        warn(
            f"uneven classes: {counts[large]:,} training pictures of {large}, {counts[small]:,} of"
            f" {small} ({times:,.1f} times); read macro-F1 beside accuracy, and try"
            " balance='weights' or 'oversample'",
            Advice,
        )


def of_names(labels: Collection[str], options: Options) -> None:
    """Say what the classes' names alone give away."""
    for group in look_alikes(labels):
        warn(
            f"the classes {' and '.join(map(repr, group))} differ in case, blanks or accents"
            " alone; where they are one, give them one name in folders or table"
        )
    flips = options.flip and options.augment != "none" and options.batch_tfms is None
    if flips and (wrong := mirrored(labels)):
        warn(
            f"mirrored pictures seem wrong for the classes {some(wrong)}, and training mirrors"
            " half of them: flip=False turns that off",
            Advice,
        )


def of_leaks(used: pd.DataFrame, root: Path, split: Split) -> None:
    """Say which pictures are on both sides, in the words of `check`; see `findings.leaks`."""
    for finding in leaks(used, root, split):
        warn(f"{finding.finding}: {finding.n:,}; {finding.advice}; as {some(finding.examples)}")


def of_pictures(named: Sequence[tuple[str, Any]], levels: Levels | None, *, asked: bool) -> None:
    """Say where pictures are not what they seem, in the words of `check`; see `findings.depth`."""
    for finding in depth(named, levels, asked):
        warn(f"{finding.finding}: {finding.n:,}; {finding.advice}; as {some(finding.examples)}")
