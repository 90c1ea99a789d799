"""Memory: kept by the C library, run out of, and what a piece of work takes at its peak.

Computing on a CPU takes about half the time where the C library keeps freed memory. A network frees
and asks again for blocks of tens of megabytes at every layer. glibc gives each of them back to the
kernel at once, and the kernel fills the next one with zeros, page by page: on two cores a
mobilenet_v2 batch at 224 px spent half its time there (`benchmarks/memory.py`).
"""

from __future__ import annotations

import ctypes
import functools
import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

# From malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4


# What torch, CUDA's libraries and the CPU's allocator say; only the first has a class of its own.
_SAYINGS = ("out of memory", "can't allocate memory", "ALLOC_FAILED")


def is_out_of_memory(error: Exception) -> bool:
    """Say whether an error means that memory has run out."""
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _SAYINGS)


def free_device_memory() -> None:
    """Let go of what is not held any more, on a GPU also of what torch keeps for later."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def give_back_freed_memory() -> None:
    """Give what is kept back to the system, once, so that what is taken from now on can be seen."""
    gc.collect()
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


@functools.cache
def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, for as long as it lives.

    Results are the same to the bit. Peak memory was 11 to 18 % higher where it was measured.

    Returns:
        True where the C library took it (Linux with glibc); elsewhere nothing is changed.

    Source: mallopt(3).
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    large = mallopt(_MMAP_THRESHOLD, 1 << 30) or mallopt(_MMAP_MAX, 0)
    return bool(large and mallopt(_TRIM_THRESHOLD, 2**31 - 1))


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
