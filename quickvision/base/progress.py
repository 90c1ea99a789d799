"""What is said while something runs: lines, and a live bar where there is a terminal.

Beside `cli`, the only room that prints. fastai's own bars flood pipes with carriage returns, and
its table stays blank in some editors' notebooks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tqdm.std import tqdm

from quickvision.base.processes import rank

T = TypeVar("T")


def say(text: str, *, verbose: bool = True) -> None:
    """Print one line at once, above a bar if one is running; the first process alone does."""
    if verbose and rank() == 0:
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()


def counted(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Go through `items`; show a bar where it takes more than two seconds and somebody looks."""
    looked_at = (sys.stderr.isatty() or "ipykernel" in sys.modules) and rank() == 0
    options = {"total": total, "desc": label, "delay": 2, "leave": False, "dynamic_ncols": True}
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
