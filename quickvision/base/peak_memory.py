"""The memory that a piece of work takes at its peak."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from quickvision.base.memory import give_back_freed_memory

STATM = Path("/proc/self/statm")


@contextmanager
def peak_memory(every: float = 0.05) -> Iterator[list[float]]:
    """Watch how much memory the block takes beyond what was in use before it.

    On CUDA what torch has asked of the GPU; else the process's resident memory, on Linux alone,
    looked at 20 times a second, so that shorter peaks are missed. What the process keeps of freed
    memory is given back before.

    Args:
        every: Seconds between two looks.

    Yields:
        A list that has MiB as its one entry after the block; empty where nothing can be seen.
    """
    seen: list[float] = []
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        start = torch.cuda.memory_allocated()
        yield seen
        seen.append((torch.cuda.max_memory_allocated() - start) / 2**20)
        return
    if not sys.platform.startswith("linux"):
        yield seen
        return
    give_back_freed_memory()  # or the block would live on what earlier ones have left
    start, done, peak = _resident(), threading.Event(), [0.0]

    def look() -> None:
        while not done.wait(every):
            peak[0] = max(peak[0], _resident() - start)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()
        seen.append(max(peak[0], _resident() - start, 0.0))


def _resident() -> float:
    """MiB of this process that are in memory."""
    import resource  # Unix only, as the file is

    pages = int(STATM.read_text().split()[1])
    return pages * resource.getpagesize() / 2**20
