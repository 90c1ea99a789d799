"""The error tree, and two helpers that make messages useful."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches


class QuickvisionError(Exception):
    """Something outside the program is not as it must be: a folder, a picture, a file, a model."""


class DataError(QuickvisionError):
    """The data set cannot be trained on as it is."""


class ModelError(QuickvisionError):
    """The model or its weights cannot be had, or do not fit."""


class RunError(QuickvisionError):
    """A run cannot go on: its folder cannot be written, or its loss is no number any more."""


class DataWarning(UserWarning):
    """Training goes on, but with less or other data than the folder seems to hold."""


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Name the nearest options to a mistyped word, as the end of an error message.

    Returns:
        For example `; did you mean 'resnet34' or 'resnet18'?`, or an empty string where nothing
        is near.
    """
    near = get_close_matches(word, list(dict.fromkeys(options)), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def some(items: Collection[object], *, limit: int = 3) -> str:
    """List at most `limit` items and the count of the rest: `a.jpg, b.jpg, c.jpg and 12 more`."""
    shown = ", ".join(str(item) for item, _ in zip(items, range(limit), strict=False))
    return shown + (f" and {len(items) - limit:,} more" if len(items) > limit else "")
