"""A learner that answers, with the transforms of its validation."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.learner import Learner
from fastai.vision.core import TensorImage
from PIL import Image

from quickvision.base.errors import DataError, ModelError, expect
from quickvision.base.memory import keep_freed_memory
from quickvision.data.transforms import mirrors
from quickvision.models.compute import (
    autocast,
    device_of,
    evaluating,
    folded,
    half_precision,
    one_picture,
)
from quickvision.results.class_maps import Way, find_way
from quickvision.ship.engine import check_kind, check_there


class LearnerEngine:
    """The answers of `learn.predict` and `learn.get_preds`, without what these do around the model.

    It has weights of its own: training the learner on does not change its answers.

    Args:
        learn: A trained learner, which stays as it is.

    Raises:
        DataError: Its data is not pictures with labels.
    """

    def __init__(self, learn: Learner) -> None:
        expect(learn, Learner, "learn")
        valid, self.device = learn.dls.valid, device_of(learn)
        if not getattr(valid.dataset, "tls", None) or not len(valid.dataset):
            raise DataError("expected a learner with labelled pictures to validate on, got none")
        self.vocab = tuple(map(str, learn.dls.vocab))
        self.mirrored = mirrors(learn.dls)
        opener = valid.dataset.tls[0].tfms.fs[-1]
        parts = (opener, valid.after_item, valid.after_batch)
        self._open, self._item, self._batch = map(copy.deepcopy, parts)
        self._item.split_idx = self._batch.split_idx = 1
        self._own = threading.local()
        self._activation = getattr(learn.loss_func, "activation", partial(torch.softmax, dim=-1))
        self._half = half_precision(learn)
        self._alone = threading.Lock()  # transforms of a batch keep a state
        self._gpus = [self.device] if self.device.type == "cuda" else []
        if self.device.type == "cpu":
            keep_freed_memory()
        x = one_picture(valid)
        with evaluating(learn.model.to(self.device)) as model:
            self._model = folded(model, x)
            self._plain, self._one = self._model, x
            if isinstance(self._plain, torch.fx.GraphModule):  # folded: its body and head are one
                self._plain = copy.deepcopy(model)

    def open(self, picture: Any) -> torch.Tensor:
        """Open and resize one picture; each thread has its own transforms, which keep a state."""
        check_kind(picture)
        if not hasattr(self._own, "item"):
            self._own.item = copy.deepcopy(self._item)
        if isinstance(picture, str | Path):
            check_there(picture)
        if isinstance(picture, bytearray | memoryview):
            picture = bytes(picture)
        if hasattr(picture, "read"):  # fastai's openers know bytes, and no files that are open
            if picture.seekable():
                picture.seek(0)
            picture = picture.read()
        try:
            opened = self._open(picture)
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # of fastai's opener
            name = picture if isinstance(picture, str | Path) else "its bytes"
            raise DataError(f"expected a picture that can be read, got {name}: {error}") from error
        return self._own.item((opened,))[0].as_subclass(torch.Tensor)

    def mirror(self, opened: torch.Tensor) -> torch.Tensor:
        """Mirror it."""
        return opened.flip(-1)

    def probs(self, opened: Sequence[torch.Tensor]) -> np.ndarray:
        """Answer for opened pictures."""
        with torch.inference_mode():
            x = self._normal(opened)
            with autocast(self.device, self._half):
                out = self._model(x)
            return self._activation(out.float()).cpu().numpy()

    @property
    def has_maps(self) -> bool:
        """The model has a map of places that its classes are read from."""
        try:
            return bool(self._way)
        except ModelError:
            return False

    @cached_property
    def _way(self) -> Way:
        return find_way(self._plain, self._one)

    def maps(self, opened: Sequence[torch.Tensor], classes: np.ndarray | None) -> np.ndarray:
        """Make heat maps of opened pictures."""
        return self._way.maps(self._normal(opened), classes)

    def _normal(self, opened: Sequence[torch.Tensor]) -> torch.Tensor:
        # fastai's flips and lighting draw their numbers also where they do nothing
        with self._alone, torch.random.fork_rng(self._gpus):
            x = self._batch((TensorImage(torch.stack(list(opened))).to(self.device),))[0]
        return x.as_subclass(torch.Tensor)
