"""The processes that train together: who this one is, and what it tells the others.

One process, which is the ordinary case, is rank 0 of 1, and nothing is sent anywhere.
"""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import torch
from fastai.torch_core import to_detach
from torch import distributed, nn

from quickvision.base.errors import OtherProcessError, RunError

T = TypeVar("T")
PATIENCE = timedelta(hours=2)  # the first process may look through a million pictures


def join() -> None:
    """Join the processes that `torchrun` or `accelerate launch` has started; once is enough.

    Raises:
        RunError: Accelerate is not installed.
    """
    if not started_by_launcher() or world_size() > 1:
        return
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise RunError(
            "expected Accelerate, which trains in several processes, got none:"
            " pip install accelerate"
        ) from error
    PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)
    # of depthwise convolutions, whose gradients are laid out in two ways that are the same
    warnings.filterwarnings("ignore", "Grad strides do not match")


def started_by_launcher() -> bool:
    """Say whether this is one of several processes, which may not have joined yet."""
    return int(os.environ.get("WORLD_SIZE", 1)) > 1 and "RANK" in os.environ


def world_size() -> int:
    """Count the processes that train together."""
    started = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if started else 1


def rank() -> int:
    """Return which of them this is, from 0."""
    return distributed.get_rank() if world_size() > 1 else 0


def share(value: T) -> T:
    """Give all processes what the first one has."""
    if world_size() == 1:
        return value
    box = [value if rank() == 0 else None]
    distributed.broadcast_object_list(box)
    return box[0]  # type: ignore[return-value]


def everyones(value: T) -> list[T]:
    """Gather what each process has, in the order of ranks."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    distributed.all_gather_object(values, value)
    return values


def by_first(work: Callable[[], T]) -> T:
    """Let the first process do it, and give all what it returned; where it fails, all do.

    Raises:
        OtherProcessError: In the others, where the first raised an error.
    """
    value, failed = None, None
    if rank() == 0:
        try:
            value = work()
        except Exception as error:
            failed = error
    value, why = share((value, None if failed is None else str(failed)))
    if failed is not None:
        raise failed
    if why is not None:
        raise OtherProcessError(f"the first process has failed: {why}")
    return value  # type: ignore[return-value]


def first_then_others(work: Callable[[], T]) -> T:
    """Do it in every process, the first one before the others: what it finds wrong is said once."""
    done: list[T] = []
    by_first(lambda: done.append(work()))
    return done[0] if done else work()


def mean(value: torch.Tensor) -> torch.Tensor:
    """Average a number over the processes."""
    if world_size() > 1:
        value = value.clone()
        distributed.all_reduce(value)
        value /= world_size()
    return value


def spread_weights(model: nn.Module) -> None:
    """Give all processes the first one's weights and buffers."""
    if world_size() > 1:
        for tensor in model.state_dict().values():
            distributed.broadcast(tensor, 0)


def parts_of(n: int) -> list[range]:
    """Cut n pictures into consecutive parts, one for each process.

    >>> parts_of(7)
    [range(0, 7)]
    """
    ends = [n * i // world_size() for i in range(world_size() + 1)]
    return [range(start, stop) for start, stop in itertools.pairwise(ends)]


def in_step(items: Iterable[T]) -> Iterator[list[tuple[int, T]]]:
    """Go through what each process has, all at the same pace.

    Returns:
        In each step what the processes have, with their ranks; those that are through are left out.
    """
    items = iter(items)
    while True:
        found = everyones(list(itertools.islice(items, 1)))
        here = [(i, item) for i, mine in enumerate(found) for item in mine]
        if not here:
            return
        yield here


def share_of(dl: Any) -> Any:
    """Take this process's part of a loader's pictures: consecutive ones, none twice.

    Returns:
        A loader over them in their order, whose results fastai does not gather; with one process
        the loader itself.
    """
    if world_size() == 1:
        return dl
    places = list(parts_of(len(dl.dataset))[rank()])
    own = dl.new(shuffle=False, drop_last=False, get_idxs=lambda: places)
    own.n = len(places)
    own.to_detach = _here
    return own


def _here(batch: Any, cpu: bool = True, gather: bool = True) -> Any:
    return to_detach(batch, cpu, gather=False)
