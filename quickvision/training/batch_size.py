"""The largest batch that fits into a GPU's memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from fastai.learner import Learner
from fastai.torch_core import no_random, to_device

from quickvision.base.memory import free_device_memory, is_out_of_memory
from quickvision.base.processes import everyones
from quickvision.models.compute import autocast, device_of, half_precision
from quickvision.training.lr_find import count_batches

FIRST = 8  # pictures that are tried first, and the step between sizes
STEPS = 20  # of an epoch that are left at least: fewer large ones learn less
SPARE = 0.1  # of a GPU's memory, for what comes and goes
ON_CPU = 64


def largest_batch(learn: Learner) -> int:
    """Find the largest batch that trains with all layers in a GPU's memory, and leaves 20 steps.

    Batches are tried on a copy of the model, twice as large each time and then in between; the
    learner is left as it was. A CPU's memory is not tried (where it ends the process is killed):
    64 there.

    Args:
        learn: A learner whose batches are small.

    Returns:
        Pictures in a batch, a multiple of 8; of several processes, what fits in each of them.

    Raises:
        DataError: The training loader has no batch.
    """
    count_batches(learn)
    most = max(FIRST, len(learn.dls.train.dataset) // STEPS // FIRST * FIRST)
    found = min(most, ON_CPU)
    if device_of(learn).type == "cuda":
        with no_random(reproducible=False):
            found = search(_trial(learn), most)
    return min(everyones(found))


def search(fits: Callable[[int], bool], most: int) -> int:
    """Find the largest multiple of 8 that fits, or 8.

    >>> search(lambda n: n <= 100, 512)
    96
    """
    good, bad = FIRST, most + FIRST
    while good < most:
        n = min(2 * good, most) if bad > most else (good + bad) // 2 // FIRST * FIRST
        if n == good:
            break
        if fits(n):
            good = n
        else:
            bad = n
    return good


def _trial(learn: Learner) -> Callable[[int], bool]:
    """Make a function that tries a batch of n: forward, backward and a step of the optimiser."""
    device = device_of(learn)
    dl = learn.dls.train.new(bs=FIRST, num_workers=0, drop_last=False)
    batch = to_device(dl.one_batch(), device)
    inputs = getattr(learn.dls, "n_inp", 1)
    model = copy.deepcopy(learn.model).to(device).train().requires_grad_(True)
    opt = learn.opt_func([list(model.parameters())], lr=1e-6)

    def fits(n: int) -> bool:
        grown, loss = [], torch.zeros(())
        try:
            grown = [_repeated(part, n) for part in batch]
            with autocast(device, half_precision(learn)):
                loss = learn.loss_func(model.forward(*grown[:inputs]), *grown[inputs:])
            loss.backward()
            opt.step()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return False
        else:
            return _spare(device)
        finally:
            opt.zero_grad()
            del grown, loss
            free_device_memory()

    return fits


def _repeated(part: Any, n: int) -> torch.Tensor:
    part = part.as_subclass(torch.Tensor)
    return part[torch.arange(n, device=part.device) % len(part)]


def _spare(device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, total = torch.cuda.mem_get_info(device)
    return free > SPARE * total
