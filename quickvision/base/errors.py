"""The error tree, the warning, and what makes messages useful."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

_OURS = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")


class QuickvisionError(Exception):
    """Something outside the program is not as it must be: a folder, a picture, a file, a model."""


class DataError(QuickvisionError):
    """The data set cannot be trained on as it is."""


class ModelError(QuickvisionError):
    """The model or its weights cannot be had, or do not fit."""


class RunError(QuickvisionError):
    """A run cannot go on: its folder cannot be written, or its loss is no number any more."""


class BundleError(QuickvisionError):
    """An exported model cannot be written, or is not what was written."""


class OtherProcessError(RunError):
    """Of several processes that train together the first has failed, and says why itself."""


class DataWarning(UserWarning):
    """Training goes on, but with less or other data than the folder seems to hold."""


class Advice(DataWarning):
    """Nothing is wrong with the data, and something would help; not given with `verbose=False`."""


@contextmanager
def without_advice(quiet: bool = True) -> Iterator[None]:
    """Leave advice out, for the length of the block; nothing changes where `quiet` is False."""
    if not quiet:
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Advice)
        yield


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Name the nearest options to a mistyped word, as the end of an error message.

    Returns:
        For example `; did you mean 'resnet34' or 'resnet18'?`, or an empty string where nothing
        is near.
    """
    names = list(dict.fromkeys(options))
    begun = [name for name in names if len(word) > 2 and name.startswith(word)]
    near = begun if 0 < len(begun) <= 3 else get_close_matches(word, names, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def some(items: Collection[object], *, limit: int = 3) -> str:
    """List at most `limit` items and the count of the rest: `a.jpg, b.jpg, c.jpg and 12 more`."""
    shown = ", ".join(str(item) for item, _ in zip(items, range(limit), strict=False))
    return shown + (f" and {len(items) - limit:,} more" if len(items) > limit else "")


def expect(value: object, kinds: type | tuple[type, ...], name: str) -> None:
    """Raise a TypeError unless an argument is of this kind.

    >>> expect(3, str, "pattern")
    Traceback (most recent call last):
    TypeError: pattern: expected str, got 3
    """
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if not isinstance(value, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        own = f"; give its .{name}" if name in dir(value) else ""  # of a run, for example
        raise TypeError(f"{name}: expected {wanted}, got {_short(value)}{own}")


def as_path(value: object, name: str) -> Path:
    """Turn a path that a user gave into a `Path`, with `~` in it resolved.

    Raises:
        TypeError: It is neither text nor a path.
        ValueError: It is empty, or no file can be called so.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name}: expected a path, as text or Path, got {_short(value)}")
    text = os.fspath(value)
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise ValueError(f"{name}: expected a path, got {text!r}")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # ~somebody who has no home
        raise ValueError(f"{name}: expected a path, got {text!r}: {error}") from error


def warn(text: str, kind: type[DataWarning] = DataWarning) -> None:
    """Warn, of this kind, and point to the user's line, through however many calls."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(printable(text), kind, stacklevel=level)


def printable(text: str) -> str:
    r"""Replace what is no text: a file's name may be any bytes, and not every stream takes them.

    >>> printable("a\udcff.png")
    'a?.png'
    """
    return text.encode("utf-8", "replace").decode()


def _short(value: object) -> str:
    plain = isinstance(value, str | int | float | bool | bytes | None)
    return f"{value!r:.60}" if plain else type(value).__name__
