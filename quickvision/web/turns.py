"""Whose turn it is: as many pictures at once as there are cores, a few that wait, no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from quickvision.web.limits import Limits, busy

T = TypeVar("T")


class Turns:
    """Work off the event loop, in the order in which it came.

    Python cannot stop a thread: what bounds its work is what is let in.

    Args:
        workers: Threads.
        limits: How many may wait, and how long.
    """

    def __init__(self, workers: int, limits: Limits) -> None:
        self._limits, self._free = limits, asyncio.Semaphore(workers)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="quickvision")
        self.waiting = 0

    def check(self) -> None:
        """See that one more may wait, before it is taken in.

        Raises:
            Refused: Too many do already (503).
        """
        if self._free.locked() and self.waiting >= self._limits.waiting:
            raise busy()

    async def take(self, work: Callable[[], T]) -> T:
        """Do it in a thread, when it is its turn.

        Raises:
            Refused: Too many wait already, or it has waited too long (503).
        """
        await self._come()
        done = asyncio.get_running_loop().run_in_executor(self._threads, work)
        done.add_done_callback(lambda _: self._free.release())  # also where nobody waits any more
        return await done

    async def _come(self) -> None:
        self.check()
        self.waiting += 1
        try:
            await asyncio.wait_for(self._free.acquire(), self._limits.wait)
        except TimeoutError:
            raise busy() from None
        finally:
            self.waiting -= 1

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
