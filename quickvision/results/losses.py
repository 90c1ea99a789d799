"""The loss of each picture, whatever the loss."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from fastai.layers import NoneReduce
from fastai.learner import Learner


class EachPicture:
    """A loss that answers for each picture: stands in for a learner's, where fastai asks for that.

    fastai passes `reduction="none"` to any loss that has no such attribute, and so to functions and
    modules that do not know the word (pinned).

    Args:
        loss: One of torch's or fastai's, a function, or a module. Where it cannot leave the mean
            out, it is asked picture by picture: what a batch of that picture alone would lose.

    Raises:
        TypeError: When asked: it cannot answer for a single picture.
    """

    reduction = "none"  # where fastai looks

    def __init__(self, loss: Callable[..., Any]) -> None:
        self.loss = loss

    def __call__(self, pred: Any, *targs: torch.Tensor) -> torch.Tensor:
        """Return float [n]."""
        said = unreduced(self.loss, pred, *targs)
        if said is not None:
            return said
        try:
            alone = [self.loss(*_one((pred, *targs), i)).mean() for i in range(len(targs[0]))]
        except Exception as error:  # whatever a loss of one's own may raise
            raise TypeError(
                f"loss: expected one that says what each picture loses, got {loss_name(self.loss)},"
                f" which fails where it is asked for a single one: {error}; let it take"
                " reduction='none', as torch.nn.functional.cross_entropy does"
            ) from error
        return torch.stack(alone)


@contextmanager
def each_picture(learn: Learner) -> Iterator[None]:
    """Let a learner's loss answer for each picture, for the length of the block."""
    loss = learn.loss_func
    learn.loss_func = EachPicture(loss)
    try:
        yield
    finally:
        learn.loss_func = loss


def unreduced(loss: Callable[..., Any], pred: Any, *targs: torch.Tensor) -> torch.Tensor | None:
    """Ask a loss once for all pictures, [n]; None where it cannot leave the mean out."""
    n = len(targs[0])
    if hasattr(loss, "reduction"):
        with NoneReduce(loss) as free:
            said = free(pred, *targs)
    elif _takes_reduction(loss):
        said = loss(pred, *targs, reduction="none")
    else:
        return None
    if said.ndim == 0 or said.numel() % n:  # it has the word, and does not go by it
        return None
    return said.reshape(n, -1).mean(1)


def loss_name(loss: Any) -> str:
    """Return what a loss is called: its own name, or its class's."""
    return getattr(loss, "__name__", type(loss).__name__)


def _takes_reduction(loss: Callable[..., Any]) -> bool:
    try:
        return "reduction" in inspect.signature(loss).parameters
    except (TypeError, ValueError):  # written in C
        return False


def _one(value: Any, i: int) -> Any:
    """Take the i-th picture out of batches, as a batch of one."""
    if isinstance(value, list | tuple):
        return [_one(part, i) for part in value]
    return value[i : i + 1]
