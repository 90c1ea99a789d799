"""Heat maps: which places of a picture speak for a class, and which against it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from fastai.learner import Learner
from fastai.torch_core import no_random

from quickvision.base.errors import DataError, did_you_mean, expect, some
from quickvision.data.looking import Looking
from quickvision.results.class_maps import find_way
from quickvision.training.guards import as_it_was

FOR, AGAINST = (230, 97, 0), (93, 58, 155)  # orange and purple: told apart by all eyes
_AT_ONCE = 16  # pictures that are opened and looked at together


def heatmap(learn: Learner, picture: Any, label: str | None = None) -> np.ndarray:
    """Say of each place of a picture how much it speaks for a class.

    Draw its cells as they are: a smooth cloud would show detail that the model does not have. They
    are coarse in another way, too: a convolution with padding that strides by 2 takes the first of
    two pixels, so that in most CNNs a cell looks at the surroundings of its upper left corner.

    Args:
        learn: The learner; it stays as it is, and so does the random state.
        picture: A path, the bytes of a file, a file that is open, a Pillow image or an array. The
            model sees it as validation does: where that cuts the middle out, the map is of this.
        label: The class; None for the predicted one.

    Returns:
        float32 [h, w], rows from the top, in the size of the body's output (7 x 7 at 224 pixels for
        a ResNet). Positive where a place speaks for the class, negative where it speaks against.
        With an average and one linear layer as head the values sum to the class's output, less its
        bias; other heads, and what reads a class token, are taken as if they were linear near this
        picture. Values of two pictures, or two classes, are on one scale.

    Raises:
        DataError: The picture cannot be read, or the learner's data is not pictures with labels.
        ModelError: The model has no map of places that its classes are read from.
        TypeError: Not a learner, or no picture.
        ValueError: There is no class of this name.

    Source: HiResCAM (Draelos and Carin, arXiv 2011.08891), the sum over features of gradient times
    activation, at the body's output; of transformers as `find_way` says.
    """
    expect(learn, Learner, "learn")
    vocab = _vocab(learn)
    if label is not None and label not in vocab:
        near = did_you_mean(label, vocab) if isinstance(label, str) else ""
        raise ValueError(f"label: expected one of {len(vocab)} classes, got {label!r}{near}")
    classes = None if label is None else np.array([[vocab.index(label)]])
    return _maps(learn, [picture], classes)[0, 0]


def heatmaps(learn: Learner, pictures: Sequence[Any], classes: Any) -> np.ndarray:
    """Make heat maps of several pictures, for several classes each: one look at each picture.

    Args:
        learn: As in `heatmap`.
        pictures: n of them, each as in `heatmap`; of any sizes.
        classes: int [n, k], places in the vocab: of each picture, which classes.

    Returns:
        float32 [n, k, h, w], all on one scale; [0, k, 0, 0] without pictures.

    Raises:
        DataError: As in `heatmap`; or the learner's validation does not bring them to one size.
        ModelError: As in `heatmap`.
        TypeError: As in `heatmap`; or `pictures` is a single one, or `classes` are no whole
            numbers.
        ValueError: `classes` are not [n, k], or not all of the vocab.
    """
    expect(learn, Learner, "learn")
    if isinstance(pictures, str | bytes) or not hasattr(pictures, "__len__"):
        got = type(pictures).__name__
        raise TypeError(f"pictures: expected a list of pictures, got {got}; one goes to heatmap()")
    rows = _checked(classes, len(pictures), len(_vocab(learn)))
    if not len(pictures):
        return np.empty((*rows.shape, 0, 0), dtype=np.float32)
    return _maps(learn, pictures, rows)


def _vocab(learn: Learner) -> list[str]:
    vocab = getattr(learn.dls, "vocab", None)
    if vocab is None or not getattr(learn.dls.valid.dataset, "tls", None):
        raise DataError("expected a learner of pictures with class names, got other data")
    return [str(name) for name in vocab]


def _checked(classes: Any, n: int, c: int) -> np.ndarray:
    """See that these are classes of n pictures."""
    rows = np.asarray(classes)
    if rows.size == 0 and rows.ndim < 2:
        rows = np.empty((n, 0), dtype=np.int64) if n == 0 else rows
    if rows.size and not np.issubdtype(rows.dtype, np.integer):
        raise TypeError(f"classes: expected whole numbers, places in the vocab, got {rows.dtype}")
    if rows.ndim != 2 or len(rows) != n or (n and not rows.shape[1]):
        raise ValueError(
            f"classes: expected [{n}, k], k classes for each of {n} pictures, got"
            f" {list(rows.shape)}"
        )
    strange = rows[(rows < 0) | (rows >= c)]
    if len(strange):
        raise ValueError(f"classes: expected places from 0 to {c - 1}, got {strange[0]}")
    return rows


def _maps(learn: Learner, pictures: Sequence[Any], classes: np.ndarray | None) -> np.ndarray:
    """Open pictures and look at them, some at a time."""
    device, way, found = next(learn.model.parameters()).device, None, []
    with as_it_was(learn), no_random(reproducible=False):
        learn.model.eval()
        look = Looking(learn.dls)
        for start in range(0, len(pictures), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            x = _opened(look, pictures[part], device)
            way = way or find_way(learn.model, x[:1])
            found.append(way.maps(x, None if classes is None else classes[part]))
    return np.concatenate(found)


def _opened(look: Looking, pictures: Sequence[Any], device: torch.device) -> torch.Tensor:
    """Open pictures, several at once: float32 [n, channels, height, width]."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        items = list(pool.map(look.open, pictures))
    sizes = sorted({tuple(item.shape) for item in items})
    if len(sizes) > 1:
        raise DataError(
            f"expected pictures that validation brings to one size, got {some(sizes)}; give the"
            " loaders a size"
        )
    return look.batch(items, device)
