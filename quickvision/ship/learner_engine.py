"""A learner that answers, with the transforms of its validation."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from fastai.learner import Learner

from quickvision.base.errors import expect
from quickvision.base.memory import keep_freed_memory
from quickvision.data.looking import Looking
from quickvision.data.transforms import mirrors
from quickvision.models.compute import (
    autocast,
    device_of,
    evaluating,
    folded,
    half_precision,
    one_picture,
)
from quickvision.results.class_maps import Maps


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
        self._look, self.device = Looking(learn.dls), device_of(learn)
        self.vocab = tuple(map(str, learn.dls.vocab))
        self.mirrored = mirrors(learn.dls)
        self._activation = getattr(learn.loss_func, "activation", partial(torch.softmax, dim=-1))
        self._half = half_precision(learn)
        if self.device.type == "cpu":
            keep_freed_memory()
        x = one_picture(learn.dls.valid)
        with evaluating(learn.model.to(self.device)) as model:
            self._model = plain = folded(model, x)
            if isinstance(plain, torch.fx.GraphModule):  # folded: its body and head are one
                plain = copy.deepcopy(model)
            self._maps = Maps(plain, x)

    def open(self, picture: Any) -> torch.Tensor:
        """Open and resize one picture; several threads may ask at once."""
        return self._look.open(picture)

    def mirror(self, opened: torch.Tensor) -> torch.Tensor:
        """Mirror it."""
        return opened.flip(-1)

    def probs(self, opened: Sequence[torch.Tensor]) -> np.ndarray:
        """Answer for opened pictures."""
        with torch.inference_mode():
            x = self._look.batch(opened, self.device)
            with autocast(self.device, self._half):
                out = self._model(x)
            return self._activation(out.float()).cpu().numpy()

    @property
    def has_maps(self) -> bool:
        """The model has a map of places that its classes are read from."""
        return self._maps.there

    def maps(self, opened: Sequence[torch.Tensor], classes: np.ndarray | None) -> np.ndarray:
        """Make heat maps of opened pictures."""
        return self._maps(self._look.batch(opened, self.device), classes)
