"""Pictures as the validation of `DataLoaders` sees them: opened one by one, in whatever thread."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from fastai.data.core import DataLoaders
from fastai.vision.core import TensorImage
from PIL import Image

from quickvision.base.errors import DataError
from quickvision.data.arrays import check_kind, check_there


class Looking:
    """The transforms of validation, for pictures that have no place in a data set.

    It has copies of them, because they keep a state; several threads may ask at once, and the
    global random state stays as it was.

    Args:
        dls: `DataLoaders` of pictures with labels.

    Raises:
        DataError: They are none of pictures with labels.
    """

    def __init__(self, dls: DataLoaders) -> None:
        valid = dls.valid
        if not getattr(valid.dataset, "tls", None) or not len(valid.dataset):
            raise DataError("expected a learner with labelled pictures to validate on, got none")
        parts = (valid.dataset.tls[0].tfms.fs[-1], valid.after_item, valid.after_batch)
        self._open, self._item, self._batch = map(copy.deepcopy, parts)
        self._item.split_idx = self._batch.split_idx = 1
        self._own = threading.local()
        self._alone = threading.Lock()

    def open(self, picture: Any) -> torch.Tensor:
        """Open one picture, and bring it to its size.

        Raises:
            DataError: It cannot be read.
            TypeError: It is no picture.
        """
        check_kind(picture)
        if isinstance(picture, str | Path):
            check_there(picture)
        if isinstance(picture, bytearray | memoryview):
            picture = bytes(picture)
        if hasattr(picture, "read"):  # fastai's openers know bytes, and no files that are open
            if picture.seekable():
                picture.seek(0)
            picture = picture.read()
        if not hasattr(self._own, "item"):
            self._own.item = copy.deepcopy(self._item)
        try:
            opened = self._open(picture)
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # of fastai's opener
            name = picture if isinstance(picture, str | Path) else "its bytes"
            raise DataError(f"expected a picture that can be read, got {name}: {error}") from error
        return self._own.item((opened,))[0].as_subclass(torch.Tensor)

    def batch(self, opened: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor:
        """Make what the model takes of opened pictures: float32 [n, channels, height, width]."""
        gpus = [device] if device.type == "cuda" else []
        # fastai's flips and lighting draw their numbers also where they do nothing
        with self._alone, torch.random.fork_rng(gpus):
            x = self._batch((TensorImage(torch.stack(list(opened))).to(device),))[0]
        return x.as_subclass(torch.Tensor)
