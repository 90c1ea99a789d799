"""Which pictures are the same, to the byte or nearly: a difference hash, then the tiny pictures."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

# Measured on 767 photos: copies that were saved again (JPEG at 50, PNG), halved or brought to 64
# pixels are at most 5 bits and 2 grey levels away; two different photos that are within 10 bits, at
# least 33 levels. The hash alone would call photos with a bright middle the same.
MAX_BITS = 7  # of 64; up to 7, one byte of eight is the same, which is how pairs are found
MAX_DIFFERENCE = 8.0  # mean over the tiny picture, of 255


def same_groups(keys: Iterable[Hashable]) -> list[list[int]]:
    """Return the places of equal keys, where there are two or more; empty keys are left out."""
    places: dict[Hashable, list[int]] = {}
    for i, key in enumerate(keys):
        if key:
            places.setdefault(key, []).append(i)
    return [group for group in places.values() if len(group) > 1]


def near_groups(thumbs: Sequence[bytes]) -> list[list[int]]:
    """Group pictures that are nearly the same: saved again, resized, slightly cut.

    Args:
        thumbs: RGB bytes of 9 x 8 pixels each, as `scan.Facts` has them; all different.

    Returns:
        The places in `thumbs` of each group of two or more, in their order.

    Source: dHash (Krawetz, "Kind of Like That", 2013): one bit a pixel, brighter than its left
    neighbour; pairs within `MAX_BITS` are then compared by their pixels.
    """
    if len(thumbs) < 2:
        return []
    pixels = np.frombuffer(b"".join(thumbs), dtype=np.uint8).reshape(len(thumbs), 8, 9, 3)
    grey = pixels.mean(axis=3)
    bits = (grey[:, :, 1:] > grey[:, :, :-1]).reshape(len(thumbs), 64)
    hashes = np.packbits(bits, axis=1)
    flat = pixels.reshape(len(thumbs), -1).astype(np.int16)
    pairs: list[tuple[int, int]] = []
    for band in range(8):
        order = np.argsort(hashes[:, band], kind="stable")
        sorted_bytes = hashes[order, band].astype(np.int16)
        for start, end in pairwise(np.flatnonzero(np.diff(sorted_bytes, prepend=-1, append=256))):
            for at in range(start, end - 1):
                i, rest = order[at], order[at + 1 : end]
                near = rest[np.bitwise_count(hashes[rest] ^ hashes[i]).sum(axis=1) <= MAX_BITS]
                alike = np.abs(flat[near] - flat[i]).mean(axis=1) <= MAX_DIFFERENCE
                pairs += [(i, j) for j in near[alike]]
    if not pairs:
        return []
    rows, cols = np.array(pairs).T
    graph = coo_array((np.ones(len(pairs)), (rows, cols)), shape=(len(thumbs), len(thumbs)))
    _, group = connected_components(graph, directed=False)
    return same_groups(int(g) + 1 for g in group)
