"""One inference pass over labelled pictures, and pure functions of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import fastai.callback.progress  # noqa: F401  gives every Learner no_bar and no_logging
import numpy as np
import pandas as pd
import torch
from fastai.learner import Learner
from fastai.torch_core import no_random
from torch import softmax

from quickvision.base.errors import DataError, expect
from quickvision.base.figures import Accuracy
from quickvision.base.processes import everyones, share_of, world_size
from quickvision.base.tables import Table
from quickvision.data.paths import below
from quickvision.results.intervals import wilson
from quickvision.results.losses import each_picture
from quickvision.training.guards import as_it_was


@dataclass(frozen=True, eq=False, repr=False)
class Predictions:
    """What a model said of n labelled pictures in c classes.

    Attributes:
        probs: float32 [n, c], one row a picture, rows sum to 1.
        targs: int64 [n], index of the actual class in `vocab`.
        vocab: The c class names.
        losses: float32 [n], the learner's loss for each picture.
        paths: The n files, in the same order; `item-0` and so on where the items are not files.
        root: The folder below which tables name them, `dls.path`; None names them as they are.

    Raises:
        ValueError: The lengths do not fit together, or a target is no index of `vocab`.
    """

    probs: np.ndarray
    targs: np.ndarray
    vocab: tuple[str, ...]
    losses: np.ndarray
    paths: tuple[Path, ...]
    root: Path | None = None

    def __post_init__(self) -> None:
        n, c = len(self.targs), len(self.vocab)
        got = (self.probs.shape, self.losses.shape, len(self.paths))
        if got != ((n, c), (n,), n):
            raise ValueError(
                f"expected probs {(n, c)}, losses {(n,)} and {n} paths for {n} targs and {c}"
                f" classes, got {got[0]}, {got[1]} and {got[2]}"
            )
        if n and not 0 <= self.targs.min() <= self.targs.max() < c:
            raise ValueError(
                f"expected targs in [0, {c}), got {self.targs.min()} to {self.targs.max()}"
            )

    def __repr__(self) -> str:
        said = f", accuracy {self.accuracy}" if len(self) else ""
        return f"<Predictions: {len(self):,} pictures, {len(self.vocab)} classes{said}>"

    def __len__(self) -> int:
        return len(self.targs)

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each picture, int64 [n]; the first where several tie."""
        return self.probs.argmax(axis=1) if len(self) else np.empty(0, dtype=np.int64)

    @property
    def right(self) -> np.ndarray:
        """Whether the most probable class of each picture is the actual one, bool [n]."""
        return self.predicted == self.targs

    @property
    def accuracy(self) -> Accuracy:
        """The share of pictures whose most probable class is the actual one.

        Raises:
            ValueError: There are no pictures.
        """
        return Accuracy(int(self.right.sum()), len(self))

    def to_frame(self) -> pd.DataFrame:
        """One row a picture: `path`, `actual`, `predicted`, `prob` (of the predicted), `loss`.

        `path` is text, below `root` and with `/`, so that the table joins `dls.split` and others;
        the whole path is `paths[i]`.
        """
        root = self.root
        names = np.array(self.vocab, dtype=object)
        columns = {
            "path": [p.as_posix() if root is None else below(p, root) for p in self.paths],
            "actual": names[self.targs],
            "predicted": names[self.predicted],
            "prob": self.probs[np.arange(len(self)), self.predicted],
            "loss": self.losses,
        }
        return Table(columns)


def get_preds(
    learn: Learner, *, ds_idx: int = 1, dl: Any = None, tta: int = 0, seed: int = 42
) -> Predictions:
    """Run the model once over labelled pictures, as they are (no augmentation), in their order.

    Args:
        learn: The learner; neither it nor its loaders change.
        ds_idx: 1 for the validation pictures, 0 for the training pictures.
        dl: A loader of labelled pictures instead, such as `learn.dls.test_dl(files,
            with_labels=True)`.
        tta: Augmented looks besides the plain one; the probabilities are the mean, of which the
            plain look has a quarter (test-time augmentation, fastai's `Learner.tta`). The losses
            are those of these probabilities then: minus the logarithm of the actual class's.
        seed: Seed of the augmented looks: the same one draws the same looks, those of
            `set_seed(seed); learn.tta(n=tta)`. The global random state stays as it was.

    Raises:
        DataError: There are no pictures.
        TypeError: The learner's loss cannot say what a single picture loses (`EachPicture`).

    Source: `Learner.get_preds(with_loss=True)`; the same pass that fastai's
    `ClassificationInterpretation.from_learner` makes.
    """
    expect(learn, Learner, "learn")
    if dl is None:
        dls = learn.dls  # fastai augments the training pictures even here; its test_dl does not
        with no_random(seed, reproducible=False):  # building a loader draws
            clean = dls.test_dl(dls.train.items, with_labels=True) if ds_idx == 0 else dls[ds_idx]
            dl = clean.new(shuffle=False, drop_last=False)
    if not len(dl.dataset):
        raise DataError("expected labelled pictures to predict, got none")
    # A loss of torch's own, unlike fastai's, does not say how its inputs become probabilities.
    act = getattr(learn.loss_func, "activation", partial(softmax, dim=-1))
    mine, how = share_of(dl), {"act": act, "reorder": world_size() == 1}
    chance = no_random(seed, reproducible=False)
    with learn.no_bar(), learn.no_logging(), as_it_was(learn), chance:
        with each_picture(learn):
            probs, targs, losses = learn.get_preds(dl=mine, with_loss=True, **how)
        if tta:
            with no_random(seed, reproducible=False), dl.dataset.set_split_idx(0):
                mine = share_of(dl.new(shuffle=False, drop_last=False))
                seen = [learn.get_preds(dl=mine, **how)[0] for _ in range(tta)]
            probs = torch.lerp(torch.stack(seen).mean(0), probs, 0.25)
            losses = -probs[range(len(targs)), targs].clamp_min(1e-8).log()
    arrays = [np.asarray(part) for part in (probs, targs, losses)]
    probs, targs, losses = map(np.concatenate, zip(*everyones(arrays), strict=True))
    return Predictions(
        probs=probs.astype(np.float32),
        targs=targs.astype(np.int64),
        vocab=tuple(map(str, learn.dls.vocab)),
        losses=losses.astype(np.float32) + 0,  # a probability of 1 loses -0.0
        paths=paths_of(dl),
        root=Path(learn.dls.path),
    )


def paths_of(dl: Any) -> tuple[Path, ...]:
    """Say which file each item is: what fastai's getters, before the opener, make of it."""
    *getters, _ = dl.dataset.tls[0].tfms.fs
    items = getattr(dl.items, "iloc", dl.items)
    paths = []
    for i in range(len(dl.dataset)):
        item = items[i]
        for getter in getters:
            item = getter(item)
        paths.append(Path(item) if isinstance(item, str | Path) else Path(f"item-{i}"))
    return tuple(paths)


def confusion_matrix(preds: Predictions) -> np.ndarray:
    """Count the pictures of each actual class (rows) by predicted class (columns).

    Args:
        preds: One inference pass over labelled pictures.

    Returns:
        int64 [c, c]; a class without pictures has a row of zeros.

    Source: `bincount` of `actual * c + predicted`; fastai compares c x c x n booleans.
    """
    expect(preds, Predictions, "preds")
    c = len(preds.vocab)
    return np.bincount(preds.targs * c + preds.predicted, minlength=c * c).reshape(c, c)


def most_confused(preds: Predictions, *, min_val: int = 1) -> pd.DataFrame:
    """List the class pairs that are mistaken for each other, worst first.

    Args:
        preds: One inference pass over labelled pictures.
        min_val: Smallest count, in pictures, that is listed.

    Returns:
        Columns `actual`, `predicted`, `count`; empty where nothing is confused. Ties are in the
        order of the vocab.

    Source: the off-diagonal of the confusion matrix, as fastai's
    `ClassificationInterpretation.most_confused`.
    """
    cm = confusion_matrix(preds)
    expect(min_val, int, "min_val")
    np.fill_diagonal(cm, 0)
    rows, cols = np.nonzero(cm >= max(min_val, 1))
    worst = np.argsort(-cm[rows, cols], kind="stable")
    pairs = [
        (preds.vocab[r], preds.vocab[c], int(cm[r, c])) for r, c in zip(rows, cols, strict=True)
    ]
    return Table([pairs[i] for i in worst], columns=["actual", "predicted", "count"])


def top_losses(preds: Predictions, k: int | None = 9) -> pd.DataFrame:
    """List the pictures with the largest loss, worst first, by file name.

    A loss that is no number (nan) is the worst of all.

    Args:
        preds: One inference pass over labelled pictures.
        k: Rows at most; None for all.

    Returns:
        Columns `path`, `actual`, `predicted`, `prob` (of the predicted class), `loss`; the index
        is the picture's place in `preds`: the file at index i is `preds.paths[i]`.
    """
    expect(preds, Predictions, "preds")
    if k is not None and not (isinstance(k, int) and k >= 0):
        raise ValueError(f"k: expected rows, a whole number, or None, got {k!r}")
    return (
        preds.to_frame()
        .sort_values("loss", ascending=False, kind="stable", na_position="first")
        .head(len(preds) if k is None else k)
    )


def worth_seeing(preds: Predictions, most: int, *, least: float = 0.005) -> np.ndarray:
    """Choose the pictures to look at: the wrong ones, then those that were nearly wrong.

    Args:
        preds: One inference pass over labelled pictures.
        most: How many at most.
        least: Loss that a right answer has at least; by default all but those written as 0.00.

    Returns:
        int64 [at most `most`], places in `preds`: each part by its loss, the largest first; a loss
        that is no number is the largest of all.
    """
    expect(preds, Predictions, "preds")
    losses = np.where(np.isnan(preds.losses), np.inf, preds.losses)
    order = np.lexsort((-losses, preds.right))
    return order[(~preds.right | (losses >= least))[order]][:most]


def wrong(preds: Predictions) -> pd.DataFrame:
    """List the pictures that were taken for another class, the largest loss first, by file name.

    Args:
        preds: One inference pass over labelled pictures.

    Returns:
        Columns and index as `top_losses`; empty where all are right.
    """
    worst = top_losses(preds, None)
    return worst[~preds.right[worst.index]]


def macro_f1(preds: Predictions) -> float:
    """Compute the mean of the classes' F1: each class counts the same, however few its pictures.

    Args:
        preds: One inference pass over labelled pictures.

    Returns:
        A fraction; nan without pictures. Classes that have no pictures and were never predicted are
        left out of the mean.

    Source: scikit-learn's `f1_score(average="macro")`.
    """
    report = class_report(preds)
    named = report["support"] + np.bincount(preds.predicted, minlength=len(preds.vocab)) > 0
    return float(report["f1"][named].mean())


def class_report(preds: Predictions) -> pd.DataFrame:
    """Compute precision, recall and F1 of each class.

    Args:
        preds: One inference pass over labelled pictures.

    Returns:
        Index the class names, columns `precision`, `recall`, `recall_low`, `recall_high` (its 95 %
        Wilson interval, nan where the class has no pictures), `f1` (fractions; 0 where the class
        was never predicted, has no pictures, or both) and `support` (pictures).

    Source: scikit-learn's `precision_recall_fscore_support(zero_division=0)`, which the tests
    compare with.
    """
    cm = confusion_matrix(preds)
    right, actual, predicted = cm.diagonal(), cm.sum(axis=1), cm.sum(axis=0)
    low, high = wilson(right, actual)
    columns = {
        "precision": right / predicted.clip(1),
        "recall": right / actual.clip(1),
        "recall_low": low,
        "recall_high": high,
        "f1": 2 * right / (actual + predicted).clip(1),
        "support": actual,
    }
    return Table(columns, index=pd.Index(preds.vocab, name="class"))
