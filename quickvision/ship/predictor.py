"""A learner that answers for pictures without labels: one at a time, or many."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from fastai.learner import Learner
from fastai.vision.core import TensorImage
from PIL import Image

from quickvision.base.choices import whole
from quickvision.base.errors import DataError, expect
from quickvision.base.memory import keep_freed_memory
from quickvision.base.progress import counted
from quickvision.models.compute import (
    autocast,
    device_of,
    evaluating,
    folded,
    half_precision,
    one_picture,
)

Chunk = list[Future[torch.Tensor]]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one picture.

    Attributes:
        label: The most probable class.
        prob: Its probability, in [0, 1].
        probs: The probability of each class by its name, the most probable first.
    """

    label: str
    prob: float
    probs: dict[str, float]

    def __str__(self) -> str:
        return f"{self.label} ({self.prob:.1%})"


class Predictor:
    """Answer for pictures without labels, with the transforms of a learner's validation.

    The answers of `learn.predict` and `learn.get_preds`, without what these do around the model at
    each call: pictures are opened side by side, and batch norms are folded into convolutions. It
    has weights of its own: training the learner on does not change its answers. The global random
    state stays as it was.

    Args:
        learn: A trained learner, which stays as it is.

    Attributes:
        vocab: The c class names.

    Raises:
        DataError: Its data is not pictures with labels.
    """

    def __init__(self, learn: Learner) -> None:
        expect(learn, Learner, "learn")
        valid, self._device = learn.dls.valid, device_of(learn)
        if not getattr(valid.dataset, "tls", None) or not len(valid.dataset):
            raise DataError("expected a learner with labelled pictures to validate on, got none")
        self.vocab = tuple(map(str, learn.dls.vocab))
        opener = valid.dataset.tls[0].tfms.fs[-1]
        parts = (opener, valid.after_item, valid.after_batch)
        self._open, self._item, self._batch = map(copy.deepcopy, parts)
        self._item.split_idx = self._batch.split_idx = 1
        self._own = threading.local()
        self._activation = getattr(learn.loss_func, "activation", partial(torch.softmax, dim=-1))
        self._half = half_precision(learn)
        self._alone = threading.Lock()  # transforms of a batch keep a state
        self._gpus = [self._device] if self._device.type == "cuda" else []
        if self._device.type == "cpu":
            keep_freed_memory()
        x = one_picture(valid)
        with evaluating(learn.model.to(self._device)) as model:
            self._model = folded(model, x)

    def predict(self, picture: Any) -> Prediction:
        """Predict one picture.

        Args:
            picture: A path, the bytes of a file, a Pillow image or an array, uint8 [height, width,
                3], or 4 with transparency, or grey [height, width].

        Raises:
            DataError: It cannot be read.
            TypeError: An array of other numbers: what white is in them would be a guess.
            ValueError: An array of another shape.
        """
        probs = self._forward([self._tensor(picture)])[0]
        order = np.argsort(-probs, kind="stable")
        named = {self.vocab[i]: float(probs[i]) for i in order}
        return Prediction(self.vocab[order[0]], float(probs[order[0]]), named)

    def predict_many(self, pictures: Iterable[Any], *, bs: int = 64) -> pd.DataFrame:
        """Predict pictures, in their order.

        Args:
            pictures: Paths, or whatever `predict` takes.
            bs: Pictures in a batch.

        Returns:
            Columns `path` (empty where it was none), `predicted` and `prob`, one row a picture.

        Raises:
            DataError: One of them cannot be read.
        """
        pictures = _several(pictures)
        probs = self.predict_proba(pictures, bs=bs)
        best = probs.argmax(axis=1) if len(probs) else np.empty(0, dtype=np.int64)
        columns = {
            "path": [str(p) if isinstance(p, str | Path) else "" for p in pictures],
            "predicted": np.array(self.vocab, dtype=object)[best],
            "prob": probs[np.arange(len(probs)), best],
        }
        return pd.DataFrame(columns)

    def predict_proba(self, pictures: Iterable[Any], *, bs: int = 64) -> np.ndarray:
        """Predict the probability of each class.

        Args:
            pictures: As in `predict_many`.
            bs: Pictures in a batch.

        Returns:
            float32 [n, c], the classes in the order of `vocab`; rows sum to 1.

        Raises:
            DataError: One of them cannot be read.
            TypeError: `pictures` is a single one, or as in `predict`.
            ValueError: `bs` is below 1, or as in `predict`.
        """
        whole("bs", bs, 1)
        pictures = _several(pictures)
        out = np.empty((len(pictures), len(self.vocab)), dtype=np.float32)
        batches, start = -(-len(pictures) // bs), 0
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for tensors in counted(self._read(pool, pictures, bs), batches, "predicting"):
                out[start : start + len(tensors)] = self._forward(tensors)
                start += len(tensors)
        return out

    def _read(
        self, pool: ThreadPoolExecutor, pictures: list[Any], bs: int
    ) -> Iterator[list[torch.Tensor]]:
        """Open the pictures of a batch side by side; for a GPU, while it computes the last one."""
        ahead = 0 if self._device.type == "cpu" else 2
        chunks = (pictures[i : i + bs] for i in range(0, len(pictures), bs))
        waiting: list[Chunk] = []
        try:
            for chunk in chunks:
                waiting.append([pool.submit(self._tensor, picture) for picture in chunk])
                if len(waiting) > ahead:
                    yield [future.result() for future in waiting.pop(0)]
            for futures in waiting:
                yield [future.result() for future in futures]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _tensor(self, picture: Any) -> torch.Tensor:
        """Open and resize one picture; each thread has its own transforms, which keep a state."""
        if not hasattr(self._own, "item"):
            self._own.item = copy.deepcopy(self._item)
        if isinstance(picture, str | Path) and not Path(picture).is_file():
            raise DataError(f"expected a picture, got nothing at {picture}")
        try:
            opened = self._open(picture)
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # of fastai's opener
            name = picture if isinstance(picture, str | Path) else "its bytes"
            raise DataError(f"expected a picture that can be read, got {name}: {error}") from error
        return self._own.item((opened,))[0].as_subclass(torch.Tensor)

    def _forward(self, tensors: list[torch.Tensor]) -> np.ndarray:
        """Run the model over a batch of resized pictures."""
        with torch.inference_mode():
            # fastai's flips and lighting draw their numbers also where they do nothing
            with self._alone, torch.random.fork_rng(self._gpus):
                x = self._batch((TensorImage(torch.stack(tensors)).to(self._device),))[0]
            with autocast(self._device, self._half):
                out = self._model(x.as_subclass(torch.Tensor))
            return self._activation(out.float()).cpu().numpy()


def _several(pictures: Iterable[Any]) -> list[Any]:
    if isinstance(pictures, str | bytes | Path | np.ndarray | Image.Image):
        raise TypeError("expected pictures in a list, got a single one; use predict()")
    return list(pictures)
