"""Do the same to many files at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from quickvision.base.progress import counted

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
