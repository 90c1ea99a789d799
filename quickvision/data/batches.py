"""How many pictures a batch has, and what becomes of the last one."""

from __future__ import annotations

import math

from quickvision.base.errors import warn
from quickvision.base.processes import world_size

BS = 64  # pictures of a batch by default, at most
SMALL = 8  # and at least
STEPS = 40  # of an epoch, where batches can be so small
LEAST = 4  # at least, whatever the batch


def batches(bs: int | None, n_train: int) -> tuple[int, bool]:
    """Return the pictures of a batch, and whether an epoch leaves out what fills no last one.

    By default an epoch has some forty steps: fewer teach little. Nothing is left out of the last
    batch where that would be much; a single picture always is: batch norm cannot train on one.
    """
    if bs is None:
        bs = min(BS, max(SMALL, 2 ** int(math.log2(max(1, n_train / STEPS)))))
        bs = min(bs, max(2, -(-n_train // LEAST)))
        if n_train >= LEAST * BS:
            return bs, True
        if n_train % bs == 1:
            bs += 1
        return bs, -(-n_train // world_size()) % bs == 1
    if bs > n_train:
        lowered = max(2, n_train // 4)
        warn(f"bs lowered from {bs} to {lowered}: there are only {n_train} training pictures")
        return lowered, True
    steps, left = divmod(n_train, bs)
    if steps == 1 or left > n_train / 4:
        out = f", and leaves {left} of them out" if left else ""
        better = batches(None, n_train)[0]
        warn(
            f"bs={bs} makes {steps} step{'s' if steps > 1 else ''} an epoch of {n_train} training"
            f" pictures{out}; without bs= it would be {-(-n_train // better)} steps of {better}"
        )
    return bs, True
