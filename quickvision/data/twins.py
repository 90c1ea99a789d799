"""Pictures that are there twice: to the byte, nearly, turned."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import lru_cache, partial

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

# Correlations, measured on 767 photos and on 300 scanned digits with black borders. Copies that
# were saved again (JPEG at 50, PNG), halved, brought to 64 pixels or made a tenth lighter: from
# 0.993 at 9 x 8 pixels and from 0.993 at 32 x 32. Two different photos: up to 0.950 and 0.848; two
# different digits: up to 0.998 and 0.990, which is why a hash or a tiny picture alone will not do.
ALIKE = 0.99  # at 9 x 8 pixels, in colour: worth a closer look
SAME = 0.992  # at 32 x 32, in grey
LIGHTER = 20.0  # levels of 255 that two such pictures may be apart on average
CELLS = 20_000_000  # pairs that are compared at once: 80 MB


def same_groups(keys: Iterable[Hashable]) -> list[list[int]]:
    """Return the places of equal keys, where there are two or more; empty keys are left out."""
    places: dict[Hashable, list[int]] = {}
    for i, key in enumerate(keys):
        if key:
            places.setdefault(key, []).append(i)
    return [group for group in places.values() if len(group) > 1]


def near_groups(
    thumbs: Sequence[bytes], look: Callable[[int], np.ndarray | None]
) -> list[list[int]]:
    """Group pictures that are nearly the same: saved again, resized, made lighter; not cropped.

    Args:
        thumbs: RGB bytes of 9 x 8 pixels each, as `scan.Facts` has them; all different. Those of a
            single colour are like no other.
        look: Takes a place in `thumbs`, returns that picture's 32 x 32 grey pixels (float [1024]),
            or None. It is called once for each picture that has a candidate.

    Returns:
        The places in `thumbs` of each group of two or more, in their order. Time grows with the
        square of their number: 10,000 take about a second, 100,000 about a minute.
    """
    if len(thumbs) < 2:
        return []
    pixels = np.frombuffer(b"".join(thumbs), dtype=np.uint8).reshape(len(thumbs), -1)
    order = np.argsort(pixels.mean(axis=1), kind="stable")  # like pictures are near each other
    plain = pixels[order].astype(np.float32)
    light = plain.mean(axis=1)
    unit = _unit(plain)
    seen = lru_cache(maxsize=None)(lambda i: _seen(look(i)))
    pairs: list[tuple[int, int]] = []
    start = 0
    while start < len(order):
        stop = start + max(1, CELLS // len(order))
        last = int(np.searchsorted(light, light[min(stop, len(order)) - 1] + LIGHTER, "right"))
        rows, cols = np.nonzero(unit[start:stop] @ unit[start:last].T >= ALIKE)
        for row, col in zip(rows + start, cols + start, strict=True):
            if row < col and light[col] - light[row] <= LIGHTER:
                one, other = seen(int(order[row])), seen(int(order[col]))
                if one is not None and other is not None and float(one @ other) >= SAME:
                    pairs.append((int(order[row]), int(order[col])))
        start = stop
    if not pairs:
        return []
    left, right = np.array(pairs).T
    return _joined(left, right, len(thumbs))


def _joined(left: np.ndarray, right: np.ndarray, n: int) -> list[list[int]]:
    """Group what is connected by pairs."""
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(n, n))
    _, group = connected_components(graph, directed=False)
    return same_groups(int(g) + 1 for g in group)


def _unit(values: np.ndarray) -> np.ndarray:
    """Centre each row and bring it to length 1, so that products are correlations."""
    centred = values - values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    flat = length < values.shape[1] ** 0.5  # less than one level of contrast
    return np.where(flat, 0, centred / np.maximum(length, 1e-6)).astype(np.float32)


def _seen(pixels: np.ndarray | None) -> np.ndarray | None:
    return None if pixels is None else _unit(pixels[None])[0]


def _turned(squares: np.ndarray, *, quarters: int, mirror: bool) -> np.ndarray:
    """Turn squares [n, side, side, ...] by quarters, and mirror them."""
    turned = np.rot90(squares, quarters, axes=(1, 2))
    return turned[:, :, ::-1] if mirror else turned


# At 32 x 32, in grey, decoded in full. Turned and mirrored copies of 80 photos, saved as JPEG at 50
# to 90: from 0.9992. Two different ones of 1,797 scanned digits, of which a mirrored 8 is nearly an
# 8 and a turned 6 a 9: up to 0.9942; of 766 photos no two come as far as this look.
TURNED = 0.998

# The seven ways to turn a square, besides leaving it: quarter turns, mirrored or not.
TURNS: tuple[Callable[[np.ndarray], np.ndarray], ...] = tuple(
    partial(_turned, quarters=quarters, mirror=mirror)
    for mirror in (False, True)
    for quarters in range(4)
    if quarters or mirror
)


def turned_groups(
    thumbs: Sequence[bytes], look: Callable[[int], np.ndarray | None], held: Sequence[bool]
) -> list[list[int]]:
    """Group pictures with turned or mirrored copies of them on the other side.

    Args:
        thumbs: As in `near_groups`; square.
        look: As in `near_groups`; JPEGs must be decoded in full.
        held: True for each picture that is held out.

    Returns:
        The places of each group. Time grows with the product of the two sides' sizes.
    """
    return _across(thumbs, look, held, TURNS, TURNED)


def near_across(
    thumbs: Sequence[bytes], look: Callable[[int], np.ndarray | None], held: Sequence[bool]
) -> list[list[int]]:
    """Group pictures as `near_groups` does, those alone that are near one on the other side."""
    return _across(thumbs, look, held, (partial(_turned, quarters=0, mirror=False),), SAME)


def _across(
    thumbs: Sequence[bytes],
    look: Callable[[int], np.ndarray | None],
    held: Sequence[bool],
    turns: Sequence[Callable[[np.ndarray], np.ndarray]],
    same: float,
) -> list[list[int]]:
    """Compare each held-out picture, in these ways, with each that is trained on."""
    apart = np.array(held, dtype=bool)
    if apart.all() or not apart.any():
        return []
    side = round((len(thumbs[0]) / 3) ** 0.5)
    pixels = np.frombuffer(b"".join(thumbs), dtype=np.uint8).reshape(-1, side, side, 3)
    light = pixels.mean(axis=(1, 2, 3))
    order = np.argsort(light, kind="stable")  # like pictures are near each other
    train, valid = order[~apart[order]], order[apart[order]]
    plain = _unit(pixels[train].reshape(len(train), -1).astype(np.float32))
    seen = lru_cache(maxsize=None)(lambda i: _seen(look(i)))
    pairs = set()
    step = max(1, min(256, CELLS // len(train)))
    for turn in turns:
        others = _unit(turn(pixels[valid]).reshape(len(valid), -1).astype(np.float32))
        for start in range(0, len(valid), step):
            part = valid[start : start + step]
            first = int(np.searchsorted(light[train], light[part[0]] - LIGHTER, "left"))
            last = int(np.searchsorted(light[train], light[part[-1]] + LIGHTER, "right"))
            alike = others[start : start + step] @ plain[first:last].T >= ALIKE
            for row, col in zip(*np.nonzero(alike), strict=True):
                i, j = int(train[first + col]), int(part[row])
                one, other = seen(i), seen(j)
                if one is not None and other is not None:
                    turned = turn(other.reshape(1, 32, 32)).ravel()
                    if abs(light[i] - light[j]) <= LIGHTER and float(one @ turned) >= same:
                        pairs.add((i, j))
    if not pairs:
        return []
    left, right = np.array(sorted(pairs)).T
    return _joined(left, right, len(thumbs))
