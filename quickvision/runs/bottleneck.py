"""Say so where the device waits for pictures, and what would help."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from fastai.callback.core import Callback
from PIL import Image

from quickvision.data.pictures import BROKEN, QUALITY, SUBSAMPLING, Opener

BATCHES = 20  # that are timed; the first is left out, it warms up
WAITING = 1 / 3  # share of the time above which something is said
SAMPLE = 6  # pictures that are opened once more, to see what their copies would save


class Watch(Callback):
    """Time loader and step over the first batches of a fit, and say where the time goes.

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
            if self._device != "cpu":
                torch.accelerator.synchronize()
            self._lap(self.steps)
            if len(self.steps) == min(BATCHES, len(self.dl)):
                self._tell()
                self.clock = time.perf_counter()

    @property
    def _device(self) -> str:
        return torch.device(self.dls.device or "cpu").type

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
            epoch = (load + step) * len(self.dl)
            self.say(_sentence(self.dls.train, self._device, share, epoch))


def _sentence(dl: Any, device: str, waiting: float, epoch: float) -> str:
    who = "the GPU waits" if device in ("cuda", "mps") else "loading pictures takes"
    found = f"{who} {waiting:.0%} of the time"
    opener = _opener(dl)
    remembered = opener is not None and opener.kept and opener.room > 0
    if opener is not None and opener.at_least and not opener.folder and not remembered:
        megapixels, saved = _copies_save([Path(p) for p in dl.items], opener.at_least)
        workers = max(dl.fake_l.num_workers, 1)
        saved = min(saved * len(dl.dataset) / workers, waiting * epoch)
        if saved > waiting * epoch / 3:
            return (
                f"{found}: pictures average {megapixels:.1f} megapixels; cache=True would cut an"
                f" epoch from {_seconds(epoch)} to about {_seconds(epoch - saved)}"
            )
    more = min(os.cpu_count() or 1, 16)
    if more > max(2, dl.fake_l.num_workers) and sys.platform != "darwin":  # fastai has none there
        return f"{found}: num_workers={more} would read them side by side"
    return f"{found}: a smaller size= or fewer batch_tfms= would help"


def _opener(dl: Any) -> Opener | None:
    """Find our opener at the head of a loader's transforms."""
    lists = getattr(dl.dataset, "tls", None)
    first = lists[0].tfms.fs[0] if lists and len(lists[0].tfms.fs) else None
    return first if isinstance(first, Opener) else None


def _copies_save(files: Sequence[Path], at_least: int) -> tuple[float, float]:
    """Return the files' megapixels, and the seconds a picture that resized copies would save."""
    step = max(1, len(files) // SAMPLE)
    pixels, saved = [], []
    for file in files[::step][:SAMPLE]:
        try:
            with Image.open(file) as head:
                size = head.size
            start = time.perf_counter()
            image = Opener(at_least)(file)
            opened = time.perf_counter() - start
        except BROKEN:
            continue
        copy = io.BytesIO()
        image.thumbnail((2 * at_least, at_least) if size[0] > size[1] else (at_least, 2 * at_least))
        image.save(copy, "jpeg", quality=QUALITY, subsampling=SUBSAMPLING)
        start = time.perf_counter()
        Image.open(copy).load()
        pixels.append(size[0] * size[1] / 1e6)
        saved.append(opened - (time.perf_counter() - start))
    return (mean(pixels), mean(saved)) if pixels else (0.0, 0.0)


def _seconds(value: float) -> str:
    return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"
