"""The end of the unfrozen stage: back a part of the way, and the head solved once more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import torch
from fastai.callback.core import Callback
from fastai.learner import Learner
from torch import nn

from quickvision.models.norms import KeepNorms
from quickvision.training.evidence import WAY
from quickvision.training.features import cut_head, look
from quickvision.training.solve import WORSE, Solved, is_cut_short, judge, solve_again


class Settle(Callback):
    """At the end of a fit of all layers, before it is validated, bring body and head together.

    In a few epochs the body moves, and with it all features in common, by more than the head can
    follow: what the classes have gained in distance is lost in that drift. So the body goes back a
    part of its way (the weights before and after a short fine-tuning lie in one valley of the
    loss, and between them what both know adds up), and the head is solved again on what it says of
    the training pictures then, as far held back as it was in the frozen stage.

    Args:
        learn: The learner of the whole model; the fit may wrap its model.
        start: The model's state dict when the stage began.
        way: Share of the body's way that is kept, in [0, 1]. Where heads on what the body says at
            its end are worse on left-out training pictures than they were before, none is: the
            body has seen these pictures, so that they flatter it, and yet it has lost.
        solved: How the head was solved before the stage.

    Attributes:
        way: What was kept, or will be.
        kept: What was kept; None before the end. Where a fit goes on it is the caller's to put
            back, as is `start`.

    Source: Wortsman and others, "Robust fine-tuning of zero-shot models" (2022), for the way; the
    measurements are in `benchmarks/RESULTS.md`, "What the unfrozen stage brings".
    """

    order = 60  # after the callback of several processes has put its wrapped model away

    def __init__(
        self, learn: Learner, start: Mapping[str, torch.Tensor], way: float, solved: Solved
    ) -> None:
        self.whole = cast(nn.Sequential, learn.model)
        self.start, self.way, self.solved = start, way, solved
        self.kept: float | None = None

    @classmethod
    def after(cls, learn: Learner, solved: Solved) -> Settle:
        """Make the callback for a learner as it is now, whose head has been solved."""
        kept = any(isinstance(cb, KeepNorms) for cb in learn.cbs)
        way = WAY if kept else 1.0  # between two sets of statistics lie none
        start = {name: weight.clone() for name, weight in learn.model.state_dict().items()}
        return cls(learn, start, way, solved)

    def go_on(self, start: Mapping[str, torch.Tensor], kept: float | None) -> None:
        """Go on in the midst of a stage, or behind its last epoch, which may be settled."""
        self.start, self.kept = start, kept
        self.way = self.way if kept is None else kept

    def before_fit(self) -> None:
        """Nothing has moved yet, unless a fit goes on that patience has ended."""
        ended = is_cut_short(self.learn) and self.learn.opt.frozen_idx == 0
        self.due = ended and self.kept is None

    def before_train(self) -> None:
        """All layers are about to move."""
        self.due = self.learn.opt.frozen_idx == 0

    def before_validate(self) -> None:
        """Settle, once the last epoch has been trained."""
        if self.due and self.epoch == self.n_epoch - 1:
            self._settle()

    def after_fit(self) -> None:
        """Settle where patience, or another callback, has ended the fit before its last epoch."""
        if self.due:
            self._settle()

    def _settle(self) -> None:
        self.due = False
        dl, loss_func = self.learn.dls.train, self.learn.loss_func
        within = getattr(dl, "dl", dl)  # of several processes
        layer = cast(nn.Linear, cut_head(self.whole)[1][-1])
        go_back(self.whole, self.start, self.way)
        seen = look(self.learn, self.whole, within)
        found = judge(seen, layer.out_features, loss_func)
        if found.loss > WORSE * self.solved.loss:
            self.way = 0.0
            go_back(self.whole, self.start, self.way)
            seen = look(self.learn, self.whole, within)
        solve_again(layer, seen, loss_func, self.solved.c)
        self.kept = self.way


def judge_again(learn: Learner, solved: Solved) -> Solved:
    """Judge heads on what the body says now; how far they are held back stays.

    A stage after this is measured by it. What is left open stays, too: the body has seen these
    pictures, so that it would be said to be less than it is.

    Args:
        learn: The learner of the whole model, which stays as it is.
        solved: How its head was solved.
    """
    model = cast(nn.Sequential, learn.model)
    layer = cast(nn.Linear, cut_head(model)[1][-1])
    found = judge(look(learn, model, learn.dls.train), layer.out_features, learn.loss_func)
    return replace(solved, loss=found.loss, accuracy=found.accuracy)


@torch.no_grad()
def go_back(model: nn.Module, start: Mapping[str, torch.Tensor], way: float) -> None:
    """Put weights between `start` and what they are, in place; buffers stay.

    Args:
        model: Any model.
        start: A state dict of it.
        way: Share of the way from `start` that is kept, in [0, 1].
    """
    for name, weight in model.named_parameters():
        weight.copy_(torch.lerp(start[name].to(weight), weight, way))
