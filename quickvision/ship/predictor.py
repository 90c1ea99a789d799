"""Answers for pictures without labels: one at a time, or many. Needs no torch by itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from quickvision.base.choices import fraction, whole
from quickvision.base.errors import DataError, did_you_mean
from quickvision.base.progress import counted
from quickvision.ship.engine import Engine
from quickvision.ship.pictures import Named, several

if TYPE_CHECKING:
    import pandas as pd
    from fastai.learner import Learner

UNFIT = (DataError, TypeError, ValueError, OSError)  # what a picture that is none raises


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one picture.

    Attributes:
        label: The most probable class.
        prob: Its probability, in [0, 1].
        probs: The probability of each class by its name, the most probable first.
        unsure: The probability is below what was asked for with `unsure_below`.
    """

    label: str
    prob: float
    probs: dict[str, float]
    unsure: bool = False

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the k most probable classes with their probabilities, best first."""
        return list(islice(self.probs.items(), whole("k", k, 1)))

    def __str__(self) -> str:
        return f"{'not sure, ' if self.unsure else ''}{self.label} ({self.prob:.1%})"


class Predictor:
    """Answer for pictures without labels, as validation sees them.

    A model always answers with one of its classes, also where the picture shows none of them:
    `unsure_below` marks answers that are not to be relied on. Several threads may ask at once. The
    global random state stays as it was.

    Args:
        source: A trained learner, or a run that has one; it stays as it is: its weights of today
            are copied. (Exported folders: `quickvision.load_model`.)

    Attributes:
        vocab: The c class names.
        engine: What opens pictures and answers.

    Raises:
        DataError: The learner's data is not pictures with labels.
    """

    def __init__(self, source: Learner | Engine) -> None:
        source = getattr(source, "learn", source)  # of a run, its learner
        self.engine = source if hasattr(source, "probs") else _of_learner(source)
        self.vocab = self.engine.vocab

    def __repr__(self) -> str:
        return f"<Predictor: {len(self.vocab)} classes, {type(self.engine).__name__}>"

    def predict(self, picture: Any, *, unsure_below: float = 0.0, tta: bool = False) -> Prediction:
        """Predict one picture.

        Args:
            picture: A path, the bytes of a file, a file that is open, a Pillow image or an array
                [height, width, 3], or 4 with transparency, or grey [height, width], of uint8,
                uint16, or floats from 0 to 1. The same file is the same picture by all of these.
            unsure_below: Probability below which the answer is marked as `unsure`, a fraction.
            tta: Take the mean of the picture and its mirror image (test-time augmentation).

        Raises:
            DataError: It cannot be read.
            TypeError: It is no picture; or an array of other numbers: what white is in them would
                be a guess.
            ValueError: An array of another shape; or `tta` where mirrored pictures are another
                thing, as training with `flip=False` has said.
        """
        fraction("unsure_below", unsure_below, 0.5, zero=True, one=True)
        self._check_tta(tta)
        probs = self._answers([self.engine.open(picture)], tta)[0]
        order = np.argsort(-probs, kind="stable")
        named = {self.vocab[i]: float(probs[i]) for i in order}
        best = float(probs[order[0]])
        return Prediction(self.vocab[order[0]], best, named, best < unsure_below)

    def predict_many(
        self,
        pictures: Any,
        *,
        bs: int = 64,
        unsure_below: float = 0.0,
        tta: bool = False,
        probs: bool = False,
    ) -> pd.DataFrame:
        """Predict pictures, in their order; one that cannot be read does not stop the others.

        No more than two batches of pictures are in memory at a time.

        Args:
            pictures: A folder; a pattern such as `"new/*.jpg"`; or a list or a generator of paths
                or whatever `predict` takes.
            bs: Pictures in a batch.
            unsure_below: As in `predict`.
            tta: As in `predict`.
            probs: Add a column `prob_CLASS` for each class.

        Returns:
            Columns `path` (below the folder, where one was given; empty where it was no file),
            `predicted` (None where there is no answer), `prob`, `unsure`, and `error`, why there is
            no answer (empty where there is one); one row a picture.

        Raises:
            DataError: There is nothing at this path.
            TypeError: `pictures` is a single one.
            ValueError: `bs` is below 1; or as in `predict`.
        """
        from quickvision.base.tables import Table  # pandas: half a second, which one can do without

        fraction("unsure_below", unsure_below, 0.5, zero=True, one=True)
        names, errors, rows = [], [], [np.empty((0, len(self.vocab)), dtype=np.float32)]
        for chunk, opened, answers in self.batches(several(pictures), bs, tta):
            names += [named.name for named in chunk]
            errors += [str(one) if isinstance(one, Exception) else "" for one in opened]
            rows.append(answers)
        out = np.concatenate(rows)
        known = ~np.isnan(out[:, 0])
        best = np.where(known, np.nan_to_num(out).argmax(axis=1), 0)
        prob = out[np.arange(len(out)), best]
        labels = np.array(self.vocab, dtype=object)[best]
        labels[~known] = None
        table: dict[str, Any] = {"path": names, "predicted": labels, "prob": prob}
        table |= {"unsure": prob < unsure_below, "error": errors}
        if probs:
            table |= {f"prob_{name}": out[:, i] for i, name in enumerate(self.vocab)}
        return Table(table)

    def predict_proba(self, pictures: Any, *, bs: int = 64, tta: bool = False) -> np.ndarray:
        """Predict the probability of each class.

        Args:
            pictures: As in `predict_many`.
            bs: Pictures in a batch.
            tta: As in `predict`.

        Returns:
            float32 [n, c], the classes in the order of `vocab`; rows sum to 1.

        Raises:
            DataError: One of them cannot be read.
            TypeError: `pictures` is a single one, or as in `predict`.
            ValueError: `bs` is below 1, or as in `predict`.
        """
        rows = [np.empty((0, len(self.vocab)), dtype=np.float32)]
        for _, opened, answers in self.batches(several(pictures), bs, tta):
            for one in opened:
                if isinstance(one, Exception):
                    raise one
            rows.append(answers)
        return np.concatenate(rows)

    def heatmap(self, picture: Any, label: str | None = None) -> np.ndarray:
        """Say of each place of a picture how much it speaks for a class; see `quickvision.heatmap`.

        Args:
            picture: As in `predict`.
            label: The class; None for the most probable one.

        Returns:
            float32 [h, w], rows from the top: of the part of the picture that the model sees, which
            is the middle where its view cuts that out. Positive where a place speaks for the class,
            negative where it speaks against.

        Raises:
            DataError: As in `predict`.
            ModelError: The model has no such map; or its network is not there to be asked, as
                where onnxruntime answers.
            TypeError: As in `predict`.
            ValueError: There is no class of this name; or as in `predict`.
        """
        classes = None if label is None else np.array([[self.class_index(label)]])
        return self.engine.maps([self.engine.open(picture)], classes)[0, 0]

    def class_index(self, label: str) -> int:
        """Return the place of a class in `vocab`.

        Raises:
            ValueError: There is none of this name.
        """
        if label not in self.vocab:
            near = did_you_mean(label, self.vocab)
            raise ValueError(f"expected a class of the model, got {label!r}{near}")
        return self.vocab.index(label)

    def batches(
        self, pictures: Iterable[Named], bs: int, tta: bool
    ) -> Iterator[tuple[list[Named], list[Any], np.ndarray]]:
        """Open and answer, a batch at a time: what was meant, what was opened, the answers.

        What cannot be opened is the exception in place of it, and its answers are nan.

        Args:
            pictures: As `several` returns them.
            bs: Pictures in a batch.
            tta: As in `predict`.
        """
        whole("bs", bs, 1)
        self._check_tta(tta)
        total = -(-len(pictures) // bs) if isinstance(pictures, Sized) else None
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for chunk, opened in counted(self._opened(pool, pictures, bs), total, "predicting"):
                answers = np.full((len(chunk), len(self.vocab)), np.nan, dtype=np.float32)
                good = [i for i, one in enumerate(opened) if not isinstance(one, Exception)]
                if good:
                    answers[good] = self._answers([opened[i] for i in good], tta)
                yield chunk, opened, answers

    def _opened(
        self, pool: ThreadPoolExecutor, pictures: Iterable[Named], bs: int
    ) -> Iterator[tuple[list[Named], list[Any]]]:
        """Open the pictures of a batch side by side, while the one before it is answered."""
        rest = iter(pictures)
        waiting: list[tuple[list[Named], list[Future[Any]]]] = []
        try:
            while chunk := list(islice(rest, bs)):
                waiting.append((chunk, [pool.submit(self._one, named.picture) for named in chunk]))
                if len(waiting) > 1:
                    yield _done(*waiting.pop(0))
            for begun in waiting:
                yield _done(*begun)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _one(self, picture: Any) -> Any:
        try:
            return self.engine.open(picture)
        except UNFIT as error:
            return error

    def _answers(self, opened: Sequence[Any], tta: bool) -> np.ndarray:
        probs = self.engine.probs(opened)
        if tta:
            mirrored = [self.engine.mirror(one) for one in opened]
            probs = (probs + self.engine.probs(mirrored)) / 2
        return probs

    def _check_tta(self, tta: bool) -> None:
        if tta and not self.engine.mirrored:
            raise ValueError(
                "tta: goes with a model that has seen mirrored pictures, got one of flip=False"
            )


def _done(chunk: list[Named], futures: list[Future[Any]]) -> tuple[list[Named], list[Any]]:
    return chunk, [future.result() for future in futures]


def _of_learner(learn: Any) -> Engine:
    from quickvision.ship.learner_engine import LearnerEngine  # it needs torch and fastai

    return LearnerEngine(learn)
