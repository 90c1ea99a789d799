from __future__ import annotations

import asyncio
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest

from quickvision.web.limits import Limits, Refused
from quickvision.web.turns import Turns

LIMITS = Limits()


def test_as_many_at_once_as_there_are_workers_and_all_are_done():
    running, most = [], []

    def work(i):
        running.append(i)
        most.append(len(running))
        time.sleep(0.01)
        running.remove(i)
        return i

    async def all_of_them(turns):
        return await asyncio.gather(*(turns.take(lambda i=i: work(i)) for i in range(20)))

    with closing(Turns(3, LIMITS)) as turns:
        assert asyncio.run(all_of_them(turns)) == [*range(20)]
    assert max(most) == 3
    assert turns.waiting == 0


def test_the_loop_goes_on_while_a_thread_works():
    async def main(turns):
        task = asyncio.create_task(turns.take(lambda: time.sleep(0.3)))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    with closing(Turns(1, LIMITS)) as turns:
        assert asyncio.run(main(turns)) > 10


def test_who_comes_when_all_places_are_taken_is_refused_at_once():
    go = threading.Event()

    async def main(turns):
        tasks = [asyncio.create_task(turns.take(go.wait)) for _ in range(3)]
        await asyncio.sleep(0.05)
        with pytest.raises(Refused) as caught:
            turns.check()
        assert caught.value.status == 503
        with pytest.raises(Refused):
            await turns.take(go.wait)
        go.set()
        assert await asyncio.gather(*tasks) == [True] * 3
        turns.check()

    with closing(Turns(1, replace(LIMITS, waiting=2))) as turns:
        asyncio.run(main(turns))


def test_who_has_waited_too_long_is_refused():
    go = threading.Event()

    async def main(turns):
        task = asyncio.create_task(turns.take(go.wait))
        await asyncio.sleep(0.05)
        with pytest.raises(Refused, match="try again"):
            await turns.take(go.wait)
        go.set()
        await task
        assert await turns.take(lambda: 5) == 5

    with closing(Turns(1, replace(LIMITS, wait=0.1))) as turns:
        asyncio.run(main(turns))


def test_what_fails_frees_its_place():
    def fail():
        raise KeyError("mine")

    async def main(turns):
        for _ in range(5):
            with pytest.raises(KeyError, match="mine"):
                await turns.take(fail)
        return await turns.take(lambda: 1)

    with closing(Turns(1, LIMITS)) as turns:
        assert asyncio.run(main(turns)) == 1
