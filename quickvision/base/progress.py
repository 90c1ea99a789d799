"""What is said while something runs: lines, and a live bar where there is a terminal.

Beside `cli`, the only room that prints. fastai's own bars flood pipes with carriage returns, and
its table stays blank in some editors' notebooks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from html import escape
from typing import TypeVar

from tqdm.std import tqdm

from quickvision.base.errors import printable

T = TypeVar("T")
INDENT = 13  # characters that a line's name has


def line(name: str, text: object) -> str:
    r"""Put its name before a text; further lines of the text stand below the first.

    >>> print(line("birds", "12 wrens\n- in a tree"))
    birds        12 wrens
                 - in a tree
    """
    return f"{name:<{INDENT}}{text}".replace("\n", f"\n{'':<{INDENT}}")


class Lines(dict[str, str]):
    """Texts by their names: aligned lines where it is printed, a table in notebooks."""

    def __str__(self) -> str:
        return "\n".join(line(name, text) for name, text in self.items())

    def _repr_html_(self) -> str:
        cells = ((escape(name), escape(text)) for name, text in self.items())
        return html_table((name, text.replace("\n", "<br>")) for name, text in cells)


def html_table(rows: Iterable[tuple[str, str]]) -> str:
    """Lay out names and what belongs to them; both are HTML, with users' words escaped already."""
    cell = "text-align:left;vertical-align:top;padding:2px 12px 2px 0"
    said = f"{cell};overflow-wrap:anywhere"  # a path; names stay whole
    lines = (f'<th style="{cell}">{name}</th><td style="{said}">{text}</td>' for name, text in rows)
    return f"<table>{''.join(f'<tr>{cells}</tr>' for cells in lines)}</table>"


def _is_first() -> bool:
    """Say whether this is the first process of those that train together, or the only one."""
    if "torch" not in sys.modules:  # which a model file in ONNX can do without
        return True
    from quickvision.base.processes import rank

    return rank() == 0


_spellings: list[Callable[[str], str]] = []  # not a context variable: threads say things, too


@contextmanager
def spoken(spell: Callable[[str], str]) -> Iterator[None]:
    """Write what is said meanwhile in other words: the command line names its own commands.

    Args:
        spell: From a text to the text that is printed.

    >>> with spoken(str.upper):
    ...     say("12 wrens")
    12 WRENS
    """
    _spellings.append(spell)
    try:
        yield
    finally:
        _spellings.remove(spell)


def spelled(text: str) -> str:
    """Return a text as it is said now: as it is, but for what `spoken` makes of it."""
    return _spellings[-1](text) if _spellings else text


def say(text: str, *, verbose: bool = True) -> None:
    """Print one line at once, above a bar if one is running; the first process alone does."""
    if verbose and _is_first():
        tqdm.write(printable(spelled(text)), file=sys.stdout)
        sys.stdout.flush()


def counted(items: Iterable[T], total: int | None, label: str) -> Iterator[T]:
    """Go through `items`; show a bar where it takes more than a second and somebody looks."""
    looked_at = (sys.stderr.isatty() or "ipykernel" in sys.modules) and _is_first()
    options = {"total": total, "desc": label, "delay": 1, "leave": False, "dynamic_ncols": True}
    return iter(tqdm(items, disable=not looked_at, **options))


AHEAD = 1024  # items that wait at once: a million futures would take gigabytes
Item = TypeVar("Item")
Result = TypeVar("Result")


def mapped(
    function: Callable[[Item], Result], items: Sequence[Item], label: str
) -> Iterator[Result]:
    """Yield what `function` makes of each item, in order, with a bar where it takes long.

    Threads are enough: Pillow decodes, and the C library reads, without Python's lock. Where the
    caller stops early (an error, Ctrl-C), what has not begun is not done.
    """
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        parts = (items[start : start + AHEAD] for start in range(0, len(items), AHEAD))
        results = (result for part in parts for result in pool.map(function, part))
        yield from counted(results, len(items), label)
    finally:
        pool.shutdown(cancel_futures=True)
