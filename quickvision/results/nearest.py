"""Which pictures look most alike to a body: the training pictures nearest to a given one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from quickvision.base.choices import whole
from quickvision.base.errors import expect, some
from quickvision.results.embeddings import Embeddings

CELLS = 4_000_000  # pairs that are compared at once: 16 MB


@dataclass(frozen=True)
class Neighbour:
    """A training picture that is near to another picture.

    Attributes:
        path: The file, as `Embeddings.paths` has it.
        label: Its class, as it is labelled.
        similarity: Cosine of the angle between the features of the two, in [-1, 1]; a copy has 1.
    """

    path: str
    label: str
    similarity: float


def nearest(
    embeddings: Embeddings, paths: Sequence[str], *, k: int = 3
) -> list[tuple[Neighbour, ...]]:
    """Find the training pictures that are nearest to each of these pictures, the nearest first.

    A picture is not its own neighbour. A copy of it under another name is: it tells why a model was
    right, or that the two are labelled differently.

    Args:
        embeddings: Features of both sides.
        paths: Pictures of either side, as `embeddings.paths` has them.
        k: Neighbours of each.

    Returns:
        One tuple for each of `paths`, in their order; with fewer than `k` neighbours where there
        are not as many training pictures.

    Raises:
        ValueError: A path is not there, features are not finite, or `k` is below 1.

    >>> x = np.array([[1, 0], [0.9, 0.1], [0, 1]], dtype=np.float32)
    >>> sides = np.array([True, False, False])
    >>> pictures = Embeddings(x, np.array([0, 0, 1]), ("ant", "bee"), ("a", "b", "c"), sides)
    >>> [(one.path, one.label, round(one.similarity, 2)) for one in nearest(pictures, ["a"])[0]]
    [('b', 'ant', 0.99), ('c', 'bee', 0.0)]
    """
    expect(embeddings, Embeddings, "embeddings")
    k = whole("k", k, 1)
    asked = embeddings.rows(paths)
    if (asked < 0).any():
        missing = [repr(path) for path, row in zip(paths, asked, strict=True) if row < 0]
        raise ValueError(
            f"paths: expected pictures that there are features of, got {some(missing)}; give paths"
            " as embeddings.paths has them"
        )
    known = embeddings.paths
    pool = np.array(sorted(np.flatnonzero(~embeddings.valid), key=known.__getitem__), dtype=int)
    places, likeness = closest(unit(embeddings), asked, pool, k, np.arange(len(known)))
    return [
        tuple(
            Neighbour(known[i], embeddings.vocab[embeddings.labels[i]], float(like))
            for i, like in zip(row, near, strict=True)
            if i >= 0
        )
        for row, near in zip(places, likeness, strict=True)
    ]


def unit(embeddings: Embeddings) -> np.ndarray:
    """Return the features of each picture at length 1, float32 [n, f]; of no length, they stay 0.

    Raises:
        ValueError: A feature is nan or infinite.
    """
    x = embeddings.x
    finite = np.isfinite(x).all(axis=1)
    if not finite.all():
        bad = [path for path, fine in zip(embeddings.paths, finite, strict=True) if not fine]
        raise ValueError(
            f"embeddings: expected finite features, got nan or inf for {len(bad):,} of"
            f" {len(x):,} pictures: {some(bad)}; compute them again, in float32"
        )
    length = np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    return (x / np.where(length > 0, length, 1)).astype(np.float32)


def closest(
    x: np.ndarray, asked: np.ndarray, pool: np.ndarray, k: int, group: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest pictures by cosine; those of a picture's own group are left out.

    Args:
        x: Features at length 1, float32 [n, f].
        asked: Rows of `x` whose neighbours are looked for, int [m].
        pool: Rows of `x` among which they are looked for, int [p].
        k: At least 1.
        group: What is one picture has one number, int [n].

    Returns:
        Rows of `x`, int64 [m, k], the nearest first, -1 where there are no more; and their cosines,
        float32 [m, k], nan where there are no more. No more than `CELLS` pairs are in memory.
    """
    places = np.full((len(asked), k), -1, dtype=np.int64)
    likeness = np.full((len(asked), k), np.nan, dtype=np.float32)
    if not len(pool):
        return places, likeness
    others = torch.from_numpy(x[pool]).T
    order = np.argsort(group[pool], kind="stable")
    some_k, step = min(k, len(pool)), max(1, CELLS // len(pool))
    for start in range(0, len(asked), step):
        rows = asked[start : start + step]
        like = torch.from_numpy(x[rows]) @ others
        like[_own(group[rows], group[pool], order)] = -torch.inf
        near, at = (found.numpy() for found in like.topk(some_k, dim=1))
        there = np.isfinite(near)
        part = slice(start, start + len(rows)), slice(some_k)
        places[part] = np.where(there, pool[at], -1)
        likeness[part] = np.where(there, near.clip(-1, 1), np.nan)
    return places, likeness


def _own(
    asked: np.ndarray, pool: np.ndarray, order: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pair rows with the columns of their own group; `order` sorts the columns by group."""
    low = np.searchsorted(pool, asked, "left", sorter=order)
    size = np.searchsorted(pool, asked, "right", sorter=order) - low
    rows = np.repeat(np.arange(len(asked)), size)
    inside = np.arange(len(rows)) - np.repeat(size.cumsum() - size, size)
    return torch.from_numpy(rows), torch.from_numpy(order[np.repeat(low, size) + inside])
