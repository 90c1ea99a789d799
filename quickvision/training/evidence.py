"""How far all layers are to move, from what the frozen head leaves open.

A rate finder looks at the loss of pictures that it trains on, and on a few hundred of them what it
picks is chance. What decides whether moving the body helps is known before: heads that were solved
without some training pictures say of these how much the frozen features leave open. Where that is
little, the body is right already and each step takes something away; where it is much, as on
pictures unlike those that the weights come from, only a body that moves gets further.
"""

from __future__ import annotations

TOP = 1e-3  # rate of the head, where much is left open; the first layers get a tenth
MUCH = 0.5  # left open, from which on rates are no larger
WAY = 0.75  # share of the body's way in the unfrozen stage that is kept


def rates_for(left_open: float, undone: int = 0) -> slice:
    """Return the rates of the unfrozen stage, from the first layers to the head.

    They grow with the square of what is left open, up to `slice(1e-4, 1e-3)` at a half.

    Args:
        left_open: As in `Solved`, in [0, 1].
        undone: Stages before that had harmed and were undone: each says that a third is enough.

    Source: `benchmarks/RESULTS.md`, "What the unfrozen stage brings".
    """
    top = TOP * min(1.0, max(left_open, 0.1) / MUCH) ** 2 / 3**undone
    return slice(top / 10, top)
