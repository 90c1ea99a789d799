"""The best single-layer head that can be had on cached features: solved, not stepped to.

A linear layer under cross-entropy is a logistic regression: it has one optimum, and a quasi-Newton
method gets there in tens of steps. How strongly its weights are held back is tried on parts of the
training pictures that are left out in turn; no validation picture has a say.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.learner import Learner
from sklearn.model_selection import KFold, StratifiedKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import nn
from torch.nn import functional as F

from quickvision.base.choices import whole
from quickvision.base.errors import ModelError, expect
from quickvision.training.features import FIXED, Features
from quickvision.training.logistic import Head, Loss, lowest, put, turn

FOLDS = 5
TRIED = 2_000  # pictures on which strengths are tried, at most
USED = 50_000  # that the head is solved on, at most
# Penalties, as powers of ten of the mean squared length of the centred features: from a head that
# says next to nothing to one that nothing holds back.
POWERS = np.arange(-1.0, -5.5, -0.5)
WORSE = 1.02  # of the best loss so far: weaker penalties than this one are not tried


@dataclass(frozen=True)
class Solved:
    """How a head was solved.

    Attributes:
        c: Inverse strength of the penalty, scikit-learn's `C` (of two classes, which it gives a
            single row of weights, half of it): the mean loss, times the pictures, plus half the
            squared weights over it is lowest. The bias is free.
        loss: Mean cross-entropy of training pictures under heads that were solved without them.
        accuracy: Accuracy of these heads on them, in [0, 1].
        left_open: That loss over that of knowing no more than how common each class is: near 0
            where the body's features tell the classes apart, near 1 where they say nothing.
    """

    c: float
    loss: float
    accuracy: float
    left_open: float

    def __str__(self) -> str:
        """Say it in a line."""
        right = f"{self.accuracy:.1%} of the training pictures right"
        return f"C={self.c:.2g}: {right}, each by a head that had not seen it"


def why_not_solved(top: Learner) -> str:
    """Say why a head's learner cannot be solved; empty where it can.

    Args:
        top: As `feature_learner` builds it.
    """
    if not isinstance(top.dls.train.dataset, Features):
        return "a learner that does not train on cached features; give feature_learner(learn)"
    if not is_single(top.model):
        return "a head of more than one linear layer, or one without a bias"
    features = top.dls.train.dataset
    if features.x.ndim != 3 or features.y.ndim != 1 or features.y.is_floating_point():
        return "features that are not pooled, or labels that are no classes"
    return ""


def is_single(head: nn.Module) -> bool:
    """Say whether a head is one linear layer with a bias, after pooling and dropout at most."""
    *before, last = head if isinstance(head, nn.Sequential) else [head]
    plain = all(isinstance(layer, (*FIXED, nn.Dropout)) for layer in before)
    return plain and isinstance(last, nn.Linear) and last.bias is not None


def solve_head(top: Learner, *, seed: int = 0) -> Solved:
    """Put the best weights into a single-layer head, by a regularised logistic regression.

    The learner's own loss is what is lowest: with class weights, smoothed labels or focal loss, the
    solution is theirs. The strength of the penalty is the one of the lowest loss on training
    pictures that are left out in turn, in five parts with classes shared out evenly. The result is
    the same wherever the head begins.

    Args:
        top: A learner of the head on cached features, as `feature_learner` builds it.
        seed: Of the parts.

    Returns:
        How it was solved, and how good such heads are on pictures that they have not seen.

    Raises:
        ModelError: The head is no single linear layer.

    Source: Kumar and others, "Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution" (2022): the head at its optimum first, then all layers.
    """
    solved = judge_head(top, seed=seed)
    layer = cast(nn.Linear, top.model[-1])
    solve_again(layer, top.dls.train.dataset, top.loss_func, solved.c)
    return solved


def judge_head(top: Learner, *, seed: int = 0) -> Solved:
    """Say how `solve_head` would solve a head, and leave it as it is.

    Raises:
        ModelError: As `solve_head`.
    """
    expect(top, Learner, "top")
    whole("seed", seed)
    if reason := why_not_solved(top):
        raise ModelError(f"expected a single-layer head on cached features, got {reason}")
    layer = cast(nn.Linear, top.model[-1])
    return judge(top.dls.train.dataset, layer.out_features, top.loss_func, seed=seed)


def judge(features: Features, classes: int, loss_func: Any, *, seed: int = 0) -> Solved:
    """Say how good single-layer heads on these features are on pictures that they have not seen.

    Args:
        features: Of the training pictures.
        classes: How many.
        loss_func: Of outputs and labels.
        seed: Of the parts that are left out in turn.
    """
    x, y, picture = _rows(features)
    with _lent(loss_func) as loss:
        return _try_strengths(turn(x)[2], y, classes, loss, picture, len(features.x), seed)


# Of `judge`, measured on photos, digits and made-up features of 2 to 196 classes: its seconds; how
# often the loss is asked for; and what each time takes for a number, for a number and a class.
ALONE, ASKED, READ, TURNED = 1.4, 800, 2.4e-9, 1.2e-10


def seconds_to_judge(pictures: int, features: int, classes: int) -> float:
    """Guess how long `judge` takes, within a factor of two or so.

    >>> round(seconds_to_judge(200, 1280, 2), 1), round(seconds_to_judge(6_000, 512, 37), 1)
    (1.5, 5.9)
    """
    n = min(pictures, TRIED) * (1 - 1 / FOLDS)
    return ALONE + ASKED * n * min(n, features) * (READ + TURNED * classes)


def solve_again(layer: nn.Linear, features: Features, loss_func: Any, c: float) -> None:
    """Solve a layer on features, held back as has been found: of a body that may have moved since.

    Args:
        layer: Gets the weights; where it begins does not matter.
        features: Of the training pictures.
        loss_func: Of outputs and labels.
        c: Inverse penalty, as in `Solved`.
    """
    x, y, _ = _rows(features)
    with _lent(loss_func) as loss:
        mean, axes, z = turn(x)
        head = lowest(z, y, layer.out_features, loss, len(features.x) / (c * len(y)))
    put(layer, head, mean, axes)


def _rows(features: Features) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Return features, labels and which picture it is, a row for each view of each picture.

    Pictures of the same features are one: a smaller class may be oversampled.
    """
    views, n, _ = features.x.shape
    some = np.random.default_rng(0).permutation(n)[:USED] if n > USED else np.arange(n)
    x, y = features.x[:, some].flatten(0, 1).float(), features.y[some].repeat(views)
    ids: dict[bytes, int] = {}
    plain = np.round(1000 * features.x[0, some].float().numpy())
    picture = [ids.setdefault(row.tobytes(), len(ids)) for row in plain]
    if len(ids) == 1:  # nothing tells them apart
        picture = list(range(len(plain)))
    return x, y, np.tile(np.array(picture), views)


def is_cut_short(learn: Learner) -> bool:
    """Say whether a fit begins that goes on before its last epoch: patience may have ended it.

    What is done once the last epoch has been trained was not done then, and is still due.
    """
    log = getattr(learn, "epoch_log", None)
    return log is not None and 0 < len(log.rows) < learn.n_epoch


class Solve(Callback):
    """Solve the head at the end of a fit on cached features, before the last epoch is validated.

    Args:
        c: Inverse penalty, as in `Solved`.
    """

    def __init__(self, c: float) -> None:
        self.c = c

    def before_fit(self) -> None:
        """A fit that goes on behind its last epoch has a head that was solved."""
        self.due = is_cut_short(self.learn)

    def before_train(self) -> None:
        """The head is about to be trained."""
        self.due = True

    def before_validate(self) -> None:
        """Solve, once the last epoch has been trained."""
        if self.epoch == self.n_epoch - 1:
            self._solve()

    def after_fit(self) -> None:
        """Solve where patience, or another callback, has ended the fit before its last epoch."""
        if self.due:
            self._solve()

    def _solve(self) -> None:
        self.due = False
        layer, seen = self.learn.model[-1], self.learn.dls.train.dataset
        solve_again(layer, seen, self.learn.loss_func, self.c)


def _try_strengths(
    z: torch.Tensor,
    y: torch.Tensor,
    classes: int,
    loss_func: Loss,
    picture: np.ndarray,
    views: int,
    seed: int,
) -> Solved:
    """Try penalties on parts left out in turn; rows of one picture (its views) stay together."""
    parts = list(_parts(y.numpy(), picture, seed))
    tested = np.concatenate([test for _, test in parts])
    length = float(z.square().sum(1).mean()) or 1.0  # none where all features are alike
    heads: list[Head | None] = [None] * len(parts)
    best, least = Solved(0, np.inf, 0, 1), np.inf
    for power in POWERS:
        penalty, out = length * 10.0**power, torch.zeros(len(y), classes)
        for i, (rows, test) in enumerate(parts):
            at = (z[rows], y[rows], classes, loss_func, penalty, heads[i])
            heads[i] = weight, bias = lowest(*at, steps=100, close=1e-4)
            out[test] = torch.addmm(bias, z[test], weight.T)
        seen, labels = out[tested], y[tested]
        loss = float(loss_func(seen, labels))
        if loss < least:
            least, entropy = loss, float(F.cross_entropy(seen, labels))
            right = float((seen.argmax(1) == labels).float().mean())
            c = views / (float(penalty) * len(parts[0][0]))
            best = Solved(c, entropy, right, min(1.0, entropy / _guessing(labels)))
        elif loss > WORSE * least:
            break
    return best


def _guessing(y: torch.Tensor) -> float:
    """Return the cross-entropy of knowing no more than how common each class is."""
    shares = y.bincount().double() / len(y)
    return float(-(shares * shares.clamp(min=1e-12).log()).sum()) or 1.0


def _parts(
    labels: np.ndarray, picture: np.ndarray, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Share pictures out over five parts: the rows to solve on, and those that are left out.

    Classes are shared out evenly, over fewer parts where they are of fewer than five pictures, so
    that each part has some of each; a class of one picture is either known or asked for.
    """
    first = np.unique(picture, return_index=True)[1]  # the plain view of each
    some = np.random.default_rng(seed).permutation(first)[:TRIED]
    sizes = np.unique(labels[some], return_counts=True)[1]
    usual = int(np.median(sizes))
    folds = min(FOLDS, len(some), usual if usual > 1 else FOLDS)
    kind = StratifiedKFold if usual > 1 else KFold
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # it is known or asked for
        split = list(kind(folds, shuffle=True, random_state=seed).split(some, labels[some]))
    for rows, test in split:
        yield np.flatnonzero(np.isin(picture, picture[some[rows]])), some[test]


@contextmanager
def _lent(loss_func: Any) -> Iterator[Loss]:
    """Lend a loss, whose class weights may be on a GPU, to the CPU, and to a single thread."""
    weight = getattr(getattr(loss_func, "func", loss_func), "weight", None)
    device = weight.device if isinstance(weight, torch.Tensor) else torch.device("cpu")
    movable = device.type != "cpu" and hasattr(loss_func, "to")
    if movable:
        loss_func.to("cpu")
    try:
        # The threads of SciPy's BLAS and torch's wait for each other: twenty times slower.
        with threadpool_limits(1, user_api="blas"):
            yield lambda out, y: loss_func(out, y).mean()
    finally:
        if movable:
            loss_func.to(device)
