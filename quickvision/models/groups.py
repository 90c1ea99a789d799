"""Layer groups: a model's parameters in parts, from input to head, each with a rate of its own."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
from fastai.torch_core import params
from fastai.vision.learner import TimmBody
from timm.models import group_parameters
from torch import nn

Groups = list[list[nn.Parameter]]


def layer_groups(model: nn.Sequential, *, n: int | None = 3) -> Groups:
    """Split body and head into layer groups, in the order from input to head.

    Args:
        model: Body and head.
        n: Groups; the last one is the head, the others hold about equally many tensors of the body.
            None: each stage of the body is a group. Fewer where the body has fewer stages.

    Source: timm's `group_matcher(coarse=True)`; in other models, the modules by name, where one
    with more than half of the body's tensors is opened (ResNet's layers stay whole).
    """
    body = model[0]
    found = _by_matcher(body.model) if isinstance(body, TimmBody) else _by_name(body)
    stages = [stage for stage in found if stage]
    parts = len(stages) if n is None else min(n - 1, len(stages))
    return [*_merge(stages, parts), params(model[1:])]


def _merge(stages: Groups, parts: int) -> Groups:
    """Join neighbours, so that all parts hold about equally many tensors, and at least one."""
    ends = np.cumsum([len(stage) for stage in stages])
    cuts: list[int] = []
    for part in range(1, parts):
        low, high = (cuts[-1] + 1 if cuts else 1), len(stages) - (parts - part)
        near = np.abs(ends[low - 1 : high] - ends[-1] * part / parts)
        cuts.append(low + int(near.argmin()))
    edges = [0, *cuts, len(stages)]
    return [[p for stage in stages[i:j] for p in stage] for i, j in pairwise(edges)]


def _by_matcher(model: nn.Module) -> Groups:
    if not hasattr(model, "group_matcher"):
        return _by_name(model)
    named = dict(model.named_parameters())
    try:
        grouped = group_parameters(model, model.group_matcher(coarse=True))
    except AssertionError:  # timm's RDNet has no coarse ones
        return _by_name(model)
    return [[named[name] for name in grouped[key]] for key in sorted(grouped)]


def _by_name(body: nn.Module) -> Groups:
    """Group by the first part of each name, and by more parts where one holds too much."""
    named = {tuple(name.split(".")): p for name, p in body.named_parameters()}
    depth = dict.fromkeys(named, 1)
    while True:
        sizes = Counter(name[: depth[name]] for name in named)
        stage, size = max(sizes.items(), key=lambda item: item[1], default=((), 0))
        inside = [n for n in named if n[: depth[n]] == stage and depth[n] < len(n) - 1]
        if size <= len(named) / 2 or not inside:
            return [[p for n, p in named.items() if n[: depth[n]] == s] for s in sizes]
        for name in inside:
            depth[name] += 1
