"""Cached features by the statistics of the weights, or by those of the pictures: which are better.

Batch norms know the mean and the spread of what they were trained on. On photos that is worth
keeping; on tiny, noisy or drawn pictures it may leave a body that says the same of all of them.
Training pictures that are left out in turn can tell, and are asked where much is left open.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from fastai.learner import Learner

from quickvision.base.processes import spread_weights
from quickvision.models.compute import autocast, device_of, evaluating, half_precision
from quickvision.models.norms import KeepNorms, adapt_norms
from quickvision.training.evidence import MUCH
from quickvision.training.features import feature_learner
from quickvision.training.solve import Solved, judge_head, why_not_solved

BATCH = 64  # pictures that statistics are taken of at once


def adapt(learn: Learner) -> None:
    """Let the body's batch norms take the statistics of the training pictures, as they are.

    Args:
        learn: A learner whose model is a body and a head; only statistics change. Pictures are
            drawn in an order of chance.
    """
    dl, device = learn.dls.train, device_of(learn)
    loader = dl.new(bs=BATCH, shuffle=True, drop_last=len(dl.dataset) >= 2 * BATCH)
    learn.model.to(device)
    batches = (batch[0].as_subclass(torch.Tensor).to(device) for batch in loader)
    computing = autocast(device, half_precision(learn))
    with evaluating(learn.model), dl.dataset.set_split_idx(1), torch.no_grad(), computing:
        adapt_norms(learn.model[0], batches)
    spread_weights(learn.model)


def adapt_if_asked(learn: Learner, reseed: Callable[[], None]) -> bool:
    """Adapt where `batch_norm="adapt"` was asked for, and say whether it was."""
    if not any(isinstance(cb, KeepNorms) and cb.adapt for cb in learn.cbs):
        return False
    reseed()
    adapt(learn)
    return True


def best_features(
    learn: Learner,
    *,
    views: int,
    seed: int,
    reseed: Callable[[], None],
    known: Solved | None = None,
) -> tuple[Learner, Solved | None, bool]:
    """Build the learner of the head, with the statistics that left-out training pictures prefer.

    Args:
        learn: As in `feature_learner`; where it is better so, its statistics are adapted.
        views: As in `feature_learner`.
        seed: Of the parts that are left out.
        reseed: Called before anything is drawn.
        known: What was returned before, where a run goes on: nothing is decided anew then.

    Returns:
        The learner of the head; how its head will be solved, None where it is no single layer; and
        whether statistics were adapted.

    Raises:
        ModelError: As `feature_learner`.
    """
    reseed()
    top = feature_learner(learn, views=views)
    if known is not None or why_not_solved(top):
        return top, known, False
    solved = judge_head(top, seed=seed)
    asks = any(isinstance(cb, KeepNorms) and cb.adapt is None for cb in learn.cbs)
    few = len(learn.dls.train.dataset) < BATCH  # of which there are no statistics to speak of
    if not asks or few or solved.left_open <= MUCH:
        return top, solved, False
    kept = {name: value.clone() for name, value in learn.model[0].named_buffers()}
    reseed()
    adapt(learn)
    reseed()
    other = feature_learner(learn, views=views)
    better = judge_head(other, seed=seed)
    if better.loss < solved.loss:
        return other, better, True
    learn.model[0].load_state_dict(kept, strict=False)
    return top, solved, False
