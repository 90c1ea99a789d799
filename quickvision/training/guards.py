"""What stops a training in time: no batch, no class, no number; and memory that runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from fastai.callback.core import Callback
from fastai.callback.fp16 import AMPMode, MixedPrecision
from fastai.learner import Learner
from torch import nn
from torch.utils.checkpoint import checkpoint

from quickvision.base.errors import DataError, RunError
from quickvision.base.memory import free_device_memory, is_out_of_memory, keep_freed_memory
from quickvision.base.processes import mean, world_size
from quickvision.base.progress import line

IGNORED = -100  # what torch's losses leave out


def check_targets(pred: Any, targets: Any) -> None:
    """See that each label is the index of a class, where classes are what is predicted.

    Args:
        pred: What the model said, [n, c]; anything else is not looked at.
        targets: int64 [n]; anything else is not looked at.

    Raises:
        DataError: One is outside [0, c).
    """
    tensors = isinstance(pred, torch.Tensor) and isinstance(targets, torch.Tensor)
    if not tensors or pred.ndim != 2 or targets.ndim != 1 or targets.is_floating_point():
        return
    c, seen = pred.shape[1], targets[targets != IGNORED]
    strange = seen[(seen < 0) | (seen >= c)]
    if len(strange):
        raise DataError(
            f"expected labels from 0 to {c - 1}, one for each of {c} classes, got"
            f" {int(strange[0])}; see how the loaders label their pictures"
        )


class Targets(Callback):
    """Look at the labels of the first epoch, on both sides, before the loss is computed.

    Raises:
        DataError: One is none of the classes.
    """

    def before_fit(self) -> None:
        """Begin to look."""
        self.looked = False

    def after_pred(self) -> None:
        """Look."""
        if not self.looked and len(self.learn.yb) == 1:
            check_targets(self.learn.pred, self.learn.yb[0])

    def after_epoch(self) -> None:
        """All have been seen."""
        self.looked = True


SKIPPED = 20  # losses in a row that fp16's scaler may meet on its way to a scale that fits


class Finite(Callback):
    """Raise at the first training batch whose loss is nan or infinite; the weights are still good.

    In fp16 the gradient scaler skips such steps on its way down, so that 20 in a row are let pass.

    Args:
        stage: What is trained, in a word.

    Raises:
        RunError: The loss is no number.
    """

    order = 61

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def before_fit(self) -> None:
        """Begin to count."""
        scaled = any(
            isinstance(cb, MixedPrecision) and cb.amp_mode == AMPMode.FP16 for cb in self.learn.cbs
        )
        self.seen, self.most = 0, SKIPPED if scaled else 0

    def after_loss(self) -> None:
        """Look at the loss, which fastai's recorder brings to the CPU anyway."""
        if not self.training:
            return
        loss = mean(self.learn.loss.detach().mean())  # all processes stop, or none
        self.seen = 0 if torch.isfinite(loss) else self.seen + 1
        if self.seen > self.most:
            rate = float(max(hypers["lr"] for hypers in self.opt.hypers))
            advice = (
                "try a tenth of that rate, and see with quickvision.check whether pictures are"
                " damaged"
            )
            if _weigh_nothing(self.learn.loss_func, self.learn.yb):
                advice = (
                    "all of its pictures are of classes that weigh 0 in the loss, which divides by"
                    " their sum: give weights above 0, or leave these pictures out"
                )
            raise RunError(
                f"expected a loss that is a number, got {loss.item()} in {self.stage} epoch"
                f" {self.epoch + 1}, batch {self.iter + 1}, at a rate of {rate:.1e}; {advice}"
            )


def _weigh_nothing(loss: Any, targets: tuple[Any, ...]) -> bool:
    """Say whether a loss has weights of classes, and they are 0 for all of these pictures."""
    weight = getattr(getattr(loss, "func", loss), "weight", None)
    if not isinstance(weight, torch.Tensor) or weight.ndim != 1 or len(targets) != 1:
        return False
    classes = torch.as_tensor(targets[0]).as_subclass(torch.Tensor)
    return not classes.is_floating_point() and not weight[classes[classes != IGNORED]].any()


class InParts(Callback):
    """Where a batch does not fit into memory, take it again in two parts, then in four, ...

    The loss is that of the whole batch, and gradients add up over the parts, so a step stays what
    it was, and no picture counts twice; batch norm sees a part at a time. A part's activations are
    computed again on the way back (`torch.utils.checkpoint`), so a step takes about a third longer.
    Plain accumulation, a loss for each part, would be a forward pass cheaper, and MixUp, weights
    and callbacks would see other things. Into how many parts a batch is cut stays for all fits that
    the callback is given to.

    Args:
        say: Takes the sentence, once for each halving.

    Attributes:
        parts: Into how many a batch is cut.
    """

    order = -100  # its phases are those of the step, before other callbacks work in them

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say, self.parts, self.phase = say, 1, ""

    def before_fit(self) -> None:
        """Take the place of the learner's own step, for the length of the fit."""
        self.learn._do_one_batch = partial(self._do_one_batch, self.learn)

    def after_fit(self) -> None:
        """Give it back."""
        del self.learn._do_one_batch

    def after_loss(self) -> None:
        """Note that the way back begins."""
        self.phase = "backward"

    def before_step(self) -> None:
        """Note that weights change from here on."""
        self.phase = "step"

    def _do_one_batch(self, learn: Learner) -> None:
        if self not in learn.cbs:  # an error has ended the fit that put this here
            del learn._do_one_batch
            return learn._do_one_batch()
        model = learn.model
        while True:
            self.phase = "forward"
            learn.model = model if self.parts == 1 else partial(_forward, model, self.parts)
            try:
                return type(learn)._do_one_batch(learn)
            except RuntimeError as error:  # below, it is gone, and what its frames held
                if self.phase == "step" or not is_out_of_memory(error):
                    raise
                if world_size() > 1:  # the others would wait for the gradients of the first try
                    raise RunError(f"{error}; lower bs, the pictures of each process") from error
                self._halve(len(learn.xb[0]), str(error).split("\n")[0])
            finally:
                learn.model = model
            self._clean_up(learn)

    def _halve(self, n: int, why: str) -> None:
        finest = max(1, n // 2)  # batch norm trains on two pictures at least
        if self.parts >= finest:
            raise RunError(
                f"expected memory for {-(-n // finest)} pictures at once, got: {why}; take smaller"
                " pictures (size=), a smaller model (arch=) or another device"
            )
        self.parts = min(2 * self.parts, finest)
        parts = f"taken in {self.parts} parts, a third slower"
        self.say(line("memory", f"a batch of {n} does not fit: {parts}"))

    def _clean_up(self, learn: Learner) -> None:
        learn.pred = learn.loss_grad = None
        learn.loss = torch.zeros(())
        learn.opt.zero_grad()
        free_device_memory()
        if self.phase == "backward":
            for cb in learn.cbs:
                if isinstance(cb, MixedPrecision):  # left in `after_loss`
                    cb.autocast.__enter__()


def _forward(model: nn.Module, parts: int, *xs: torch.Tensor) -> torch.Tensor:
    """Ask the model for a part at a time."""
    grad = model.training and torch.is_grad_enabled()
    n = min(parts, max(1, len(xs[0]) // (2 if grad else 1)))
    cut = zip(*(torch.tensor_split(x, n) for x in xs), strict=True)
    if not grad:
        return torch.cat([model(*part) for part in cut])
    how: dict[str, Any] = {"use_reentrant": False, "context_fn": partial(_contexts, model)}
    return torch.cat([checkpoint(model, *part, **how) for part in cut])


def _contexts(model: nn.Module) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    return nullcontext(), _counted_before(model)


@contextmanager
def _counted_before(model: nn.Module) -> Iterator[None]:
    """Let batch norms leave their statistics alone while a part is computed again."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


@contextmanager
def as_it_was(learn: Learner) -> Iterator[None]:
    """Put back what fastai notes in a learner while it runs: attributes, recorder, modes.

    A pass over pictures leaves the model in evaluation mode, and a recorder that has forgotten the
    last fit (pinned); a search also its own epochs, losses and last batch.
    """
    owners = [learn, *([learn.recorder] if hasattr(learn, "recorder") else [])]
    noted = [vars(owner).copy() for owner in owners]
    modes = [(module, module.training) for module in learn.model.modules()]
    try:
        yield
    finally:
        for owner, before in zip(owners, noted, strict=True):
            vars(owner).clear()
            vars(owner).update(before)
        for module, mode in modes:
            module.training = mode


@contextmanager
def own_gradients(model: nn.Module) -> Iterator[None]:
    """Begin without gradients, and put back those that were there: tensors as they were, or None.

    What computes gradients and is no training leaves none behind in this way: fastai's optimisers
    go through every parameter that has one, frozen or not, be it zero.
    """
    before = [(p, p.grad) for p in model.parameters()]
    for p, _ in before:
        p.grad = None
    try:
        yield
    finally:
        for p, grad in before:
            p.grad = grad


def forget_frozen(learn: Learner) -> None:
    """Take the gradients of frozen parameters away, so that no optimiser moves these.

    `zero_grad` leaves zeros, and a step with zeros is still a step (pinned): weight decay, and with
    "adam" one of full size. What else could move them is gone already: `freeze_to` clears momenta
    and Lookahead's slow weights.
    """
    for p in (*learn.model.parameters(), *(p for group in learn.opt.param_lists for p in group)):
        if not p.requires_grad:
            p.grad = None


def count_batches(learn: Learner) -> int:
    """Get ready to train, and count the batches of an epoch.

    Raises:
        DataError: There are none.
    """
    if torch.device(learn.dls.device or "cpu").type == "cpu":
        keep_freed_memory()
    dl = learn.dls.train
    part = -(-dl.n // world_size())
    several = part // dl.bs if dl.drop_last else -(-part // dl.bs)
    n = several if world_size() > 1 else len(dl)
    if n == 0:
        each = f" in each of {world_size()} processes" if world_size() > 1 else ""
        raise DataError(
            f"expected at least one batch to train on, got {len(learn.dls.train_ds)} pictures for"
            f" bs={dl.bs}{each}, of which fastai makes none; lower bs"
        )
    return n
