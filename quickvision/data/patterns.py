"""File names that hold labels: the pattern that labels them, where there is one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from quickvision.data.labels import NameLabel
from quickvision.data.tree import is_id, side_of

# As data sets on the web are named: `great_pyrenees_12`, `cat.7`, `dog (3)`, `cat12`, `0042_seven`.
PATTERNS = (
    r"^(.+)_\d+\.\w+$",
    r"^(.+)[-. ]\d+\.\w+$",
    r"^(.+) \(\d+\)\.\w+$",
    r"^(\D+)\d+\.\w+$",
    r"^\d+[-_. ](.+)\.\w+$",
)

# Of one thing there is a picture of each: `10_left`, `10_right`.
_VIEWS = frozenset({"left", "right", "l", "r", "front", "back", "top", "bottom", "side"})

# What cameras and phones call pictures is no label.
CAMERA = re.compile(r"(img|dsc[fn]?|pxl|mvimg|vid|screenshot|whatsapp)([-_ ]|\d|$)", re.IGNORECASE)


def propose_pattern(names: Sequence[str], *, ids: bool = False) -> str | None:
    r"""Return the first pattern that labels nearly all names with a few classes, or None.

    At least 95 in 100 names must match; there must be two classes or more, and on average at least
    two pictures in each.

    Args:
        names: The files' names, without folders.
        ids: Take labels, too, that are more likely no classes: numbers, patients, frames.

    >>> propose_pattern(["pug_1.jpg", "pug_2.jpg", "boxer_1.jpg", "boxer_2.jpg"])
    '^(.+)_\\d+\\.\\w+$'
    >>> propose_pattern(["IMG_0001.jpg", "IMG_0002.jpg"]) is None
    True
    """
    for pattern in PATTERNS:
        classes = Counter(filter(None, NameLabel(pattern).each(names, Path())))
        if any(map(CAMERA.match, classes)) or all(map(side_of, classes)):
            continue
        if {label.casefold() for label in classes} <= _VIEWS:
            continue
        if not ids and all(label.isdecimal() or is_id(label) for label in classes):
            continue
        if classes.total() >= 0.95 * len(names) and 2 <= len(classes) <= classes.total() / 2:
            return pattern
    return None
