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
FEW = 200  # training pictures, below which they are smaller: a body learns so few by heart
WAY = 0.75  # share of the body's way in the unfrozen stage that is kept


def rates_for(left_open: float, pictures: int, undone: int = 0) -> slice:
    """Return the rates of the unfrozen stage, from the first layers to the head.

    They grow with the square of what is left open, up to `slice(1e-4, 1e-3)` at a half, and with
    the pictures up to 200.

    Args:
        left_open: As in `Solved`, in [0, 1].
        pictures: That are trained on.
        undone: Stages before that had harmed and were undone: each says that a third is enough.

    Source: `benchmarks/RESULTS.md`, "What the unfrozen stage brings".
    """
    top = TOP * min(1.0, max(left_open, 0.1) / MUCH) ** 2 * min(1.0, pictures / FEW) / 3**undone
    return slice(top / 10, top)


def said_of(rates: slice, left_open: float, pictures: int, undone: int = 0) -> str:
    """Say what rates come of, in a few words."""
    why = f"with the body frozen the loss is {left_open:.0%} of that of guessing"
    why += f"; lower rates, as there are only {pictures:,} pictures" if pictures < FEW else ""
    why += "; a third for each stage before that was undone" if undone else ""
    return f"rates {rates.start:.1e} to {rates.stop:.1e}: {why}"
