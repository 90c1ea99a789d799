"""The callback that trains in several processes: fastai's, with what it lacks on today's stack.

fastai's `DistributedTrainer`, which `Learner.distrib_ctx` adds, asks Accelerate for a model whose
processes average their gradients. As it is, it needs a GPU even where there is none, counts the
batches of an epoch wrongly, and its metrics count some pictures twice.
"""

from __future__ import annotations

from typing import Any

import torch
from accelerate.utils import DistributedDataParallelKwargs
from fastai.distributed import DistributedDL, DistributedTrainer
from torch import distributed

from quickvision.base.processes import everyones, share, share_of, world_size


class Distributed(DistributedTrainer):
    """Train one model in several processes, each on its own part of every batch.

    The effective batch is `bs` times the processes. Validation pictures are shared out, each seen
    once, and metrics are computed of all predictions together, so that they are those of a single
    process. Batch norms look at a process's own part of the batch, a usual one, and their
    statistics are the first process's: synchronising them would replace modules of the user's
    model. Indices are sent as objects, not over CUDA.
    """

    def __init__(self) -> None:
        ddp = DistributedDataParallelKwargs(static_graph=True)  # lets parameters be unused
        super().__init__(sync_bn=False, cpu=not torch.cuda.is_available(), kwargs_handlers=[ddp])

    def before_fit(self) -> None:
        """Wrap model and training loader for the length of the fit."""
        super().before_fit()
        self.learn.dls.loaders = [self.learn.dls.loaders[0], *self.old_dls[1:]]

    def before_validate(self) -> None:
        """Take this process's part of the pictures, with the first process's statistics."""
        for buffer in self.learn.model.buffers():
            distributed.broadcast(buffer, 0)
        self.wrapped, self.learn.model = self.learn.model, self.learn.model.module
        self.learn.dl = share_of(self.learn.dl)
        self.seen: list[tuple[Any, ...]] = []

    def after_batch(self) -> None:
        """Keep what the model said of validation pictures."""
        if not self.training:
            parts = (self.learn.pred, *self.learn.yb)
            self.seen.append(tuple(part.detach().cpu() for part in parts))

    def after_validate(self) -> None:
        """Tell the metrics of all predictions, a batch at a time, as a single process would."""
        self.learn.model = self.wrapped
        seen = [batch for mine in everyones(self.seen) for batch in mine]
        if not seen or getattr(self.learn.recorder, "cancel_valid", False):
            return
        learn, metrics = self.learn, self.learn.recorder._valid_mets
        for metric in metrics:
            metric.reset()
        columns = [torch.cat(column).split(learn.dl.bs) for column in zip(*seen, strict=True)]
        for batch in zip(*columns, strict=True):
            learn.pred, *yb = (part.to(learn.dls.device) for part in batch)
            learn.yb = tuple(yb)
            learn.loss = learn.loss_func(learn.pred, *learn.yb)
            for metric in metrics:
                metric.accumulate(learn)

    def _wrap_dl(self, dl: Any) -> Any:
        return dl if isinstance(dl, _Shared) else _Shared(dl)


class _Shared(DistributedDL):
    """fastai's loader of a process's part, for any device, with the right number of batches."""

    def _broadcast(self, t: list[int], rank: int) -> list[int]:
        return share(t)

    def __len__(self) -> int:
        n = -(-self.dl.n // world_size())
        return n // self.bs if self.drop_last else -(-n // self.bs)

    @property
    def rng(self) -> Any:
        """The random generator of the loader within, which draws the order."""
        return self.dl.rng

    @rng.setter
    def rng(self, rng: Any) -> None:
        self.dl.rng = rng
