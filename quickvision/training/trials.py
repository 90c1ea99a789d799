"""A few steps timed or tried: how long a picture takes, how many fit into memory, who waits."""

from __future__ import annotations

import copy
import os
import sys
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import partial
from statistics import mean
from typing import Any

import torch
from fastai.callback.core import Callback
from fastai.learner import Learner
from fastai.torch_core import no_random, to_device

from quickvision.base.memory import free_device_memory, is_out_of_memory
from quickvision.base.processes import everyones
from quickvision.models.compute import autocast, device_of, evaluating, half_precision
from quickvision.training.guards import check_targets, count_batches, own_gradients

ENOUGH = 0.15  # seconds that one timing lasts; on a CPU no longer than it must
FEW = 4  # pictures that are timed at least: fewer at once take longer, each
ON_GPU = 32


@dataclass(frozen=True)
class Pace:
    """Seconds that a picture takes.

    Attributes:
        load: Reading it for the first time, with the transforms of validation.
        again: Reading it once more: some stay in memory.
        augment: What the transforms of training add.
        forward: One pass through the model.
        step: Forward and backward, all layers training; the optimiser is too little to count. 0
            where nothing was to be known of it.
    """

    load: float
    again: float
    augment: float
    forward: float
    step: float


def measure_pace(learn: Learner, *, steps: bool = True) -> Pace:
    """Time a few training pictures through loader and model; the learner is left as it was.

    On a CPU four pictures, and more where these are soon done: a second for a large network.

    Args:
        learn: The learner.
        steps: Whether layers of the body will train: without, a picture goes forward only.

    Raises:
        DataError: The training loader has no batch.
    """
    count_batches(learn)
    dl, device = learn.dls.train, device_of(learn)
    most = min(dl.bs if device.type == "cpu" else min(ON_GPU, dl.bs), len(dl.dataset))
    if hasattr(learn.loss_func, "to"):
        learn.loss_func.to(device)  # as fastai does before it fits
    grads = [p.requires_grad for p in learn.model.parameters()]
    split = dl.after_batch.split_idx
    # In evaluation mode, so that no batch norm sees these pictures.
    with no_random(reproducible=False), own_gradients(learn.model), evaluating(learn.model):
        try:
            items, load, again = _opened(dl, most)
            n = len(items)
            batch = to_device(dl.do_batch(items), device)
            plain, as_valid = _timed(lambda: _transformed(dl, batch, 1), device)
            _, as_train = _timed(lambda: _transformed(dl, batch, 0), device)
            inputs = getattr(learn.dls, "n_inp", 1)
            x, y = plain[:inputs], plain[inputs:]
            learn.model.to(device).requires_grad_(True)
            with torch.no_grad(), autocast(device, half_precision(learn)):
                forward = _each(lambda n: learn.model.forward(*(part[:n] for part in x)), n, device)
            back = partial(_back, learn, x, y)
            step = _each(back, n, device) if steps else 0.0
        finally:
            dl.after_batch.split_idx = split
            for p, rg in zip(learn.model.parameters(), grads, strict=True):
                p.requires_grad_(rg)
    workers, moved = max(1, dl.fake_l.num_workers), as_valid / n
    pace = Pace(
        load / workers + moved, again / workers + moved, as_train / n - moved, forward, step
    )
    return Pace(*(max(0.0, seconds) for seconds in astuple(pace)))


def _opened(dl: Any, most: int) -> tuple[list[Any], float, float]:
    """Open pictures from all over a data set; return them, and the seconds of each, twice over."""
    places = range(0, len(dl.dataset), max(1, len(dl.dataset) // most))[:most]
    items: list[Any] = []
    start = time.perf_counter()
    for place in places:
        items.append(dl.do_item(place))
        first = time.perf_counter() - start
        if first > ENOUGH and len(items) >= FEW:
            break
    start = time.perf_counter()
    for place in places[: len(items)]:
        dl.do_item(place)
    return items, first / len(items), (time.perf_counter() - start) / len(items)


def _each(work: Callable[[int], Any], most: int, device: torch.device) -> float:
    """Return the seconds that one of n pictures takes, `most` at most; what runs first warms up."""
    if device.type != "cpu":
        return _timed(lambda: work(most), device)[1] / most
    few = min(FEW, most)
    _, first = _timed(lambda: work(few), device, warm=False)
    n = max(few, min(most, int(few * ENOUGH / max(first, 1e-9))))
    return _timed(lambda: work(n), device, warm=n > few)[1] / n


def _back(learn: Learner, x: tuple[Any, ...], y: tuple[Any, ...], n: int) -> None:
    _loss(learn, tuple(part[:n] for part in x), tuple(part[:n] for part in y)).backward()


def _loss(learn: Learner, x: tuple[Any, ...], y: tuple[Any, ...]) -> torch.Tensor:
    with autocast(device_of(learn), half_precision(learn)):
        # forward: not what compile() made of it, which would compile for this batch alone
        pred = learn.model.forward(*x)
        if len(y) == 1:
            check_targets(pred, y[0])
        return learn.loss_func(pred, *y)


def _transformed(dl: Any, batch: Any, split: int) -> Any:
    dl.after_batch.split_idx = split
    out = dl.after_batch(tuple(part.clone() for part in batch))
    return tuple(part.as_subclass(torch.Tensor) for part in out)


def _timed(
    work: Callable[[], Any], device: torch.device, *, warm: bool = True
) -> tuple[Any, float]:
    for _ in range(2 if warm else 1):
        start = time.perf_counter()
        out = work()
        if device.type != "cpu":
            torch.accelerator.synchronize()
    return out, time.perf_counter() - start


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


BATCHES = 20  # that are timed; the first is left out, it warms up
WAITING = 1 / 3  # share of the time above which something is said


class Watch(Callback):
    """Time loader and step over the first batches of a fit, and say where the time goes.

    A type transform at the head of the loaders may have a word in it, by two attributes that
    `data.pictures.Opener` has: `filling`, True while the next epoch will be faster than this one;
    and `advice(files, epoch, waiting, workers)`, a text, empty where it has none.

    Args:
        say: Takes the sentence, if there is one to be said.

    Attributes:
        waiting: Share of the time that went into loading, in [0, 1]; None before it is known.
    """

    order = 63  # after everything that belongs to a step

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.waiting: float | None = None
        self.loads: list[float] = []
        self.steps: list[float] = []

    def before_train(self) -> None:
        """Start the clock of the first load."""
        self.clock = time.perf_counter()

    def before_batch(self) -> None:
        """Stop the clock of a load, and start that of a step."""
        if self.training and self.waiting is None:
            self._lap(self.loads)

    def after_batch(self) -> None:
        """Stop the clock of a step, and start that of the next load."""
        if self.training and self.waiting is None:
            if device_of(self.learn).type != "cpu":
                torch.accelerator.synchronize()
            self._lap(self.steps)
            if len(self.steps) == min(BATCHES, len(self.dl)):
                self._tell()
                self.clock = time.perf_counter()

    def _lap(self, laps: list[float]) -> None:
        now = time.perf_counter()
        laps.append(now - self.clock)
        self.clock = now

    def _tell(self) -> None:
        opener = _opener(self.dls.train)
        if opener is not None and opener.filling:  # faster from the next epoch on: look again then
            self.loads.clear()
            self.steps.clear()
            return
        load, step = mean(self.loads[1:] or self.loads), mean(self.steps[1:] or self.steps)
        self.waiting = share = load / (load + step)
        if share > WAITING:
            self.say(self._sentence(opener, share, (load + step) * len(self.dl)))

    def _sentence(self, opener: Any, waiting: float, epoch: float) -> str:
        dl, on_gpu = self.dls.train, device_of(self.learn).type in ("cuda", "mps")
        who = "the GPU waits" if on_gpu else "loading pictures takes"
        found, workers = f"{who} {waiting:.0%} of the time", dl.fake_l.num_workers
        if opener is not None and (advice := opener.advice(dl.items, epoch, waiting, workers)):
            return f"{found}: {advice}"
        more = min(os.cpu_count() or 1, 16)
        if more > max(2, workers) and sys.platform != "darwin":  # fastai has none there
            return f"{found}: num_workers={more} would read them side by side"
        return f"{found}: a smaller size= or fewer batch_tfms= would help"


def _opener(dl: Any) -> Any:
    """Find the type transform at the head of a loader, where it is one that gives advice."""
    lists = getattr(dl.dataset, "tls", None)
    first = lists[0].tfms.fs[0] if lists and len(lists[0].tfms.fs) else None
    return first if hasattr(first, "advice") else None
