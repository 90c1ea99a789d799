"""What a learner's validation makes of a picture, said in a way that others can follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from fastai.data.transforms import Normalize
from fastai.learner import Learner
from fastai.vision.augment import Resize
from PIL import Image

from quickvision.base.errors import DataError
from quickvision.data.pictures import Opener, decoded
from quickvision.data.rgb import Levels
from quickvision.data.transforms import Look
from quickvision.data.view import View
from quickvision.models.compute import one_picture


@dataclass(frozen=True)
class Preprocessing:
    """From a picture's file to what the model takes.

    Attributes:
        view: To its size.
        mean: Of each channel, of 1, taken off.
        std: Of each channel, divided by.
        at_least: As in `open_rgb`.
        levels: As in `to_rgb`.
        exact: The learner does the same to the pixel, and not only nearly.
    """

    view: View
    mean: tuple[float, ...]
    std: tuple[float, ...]
    at_least: int | None
    levels: Levels | None
    exact: bool


def preprocessing(learn: Learner) -> Preprocessing:
    """Look at the transforms of a learner's validation.

    Raises:
        DataError: Something else than `from_folder` and its like, or fastai's `Resize`, brings
            pictures to their size; or the outputs become probabilities otherwise than by softmax.
    """
    valid = learn.dls.valid
    _check_softmax(learn)
    channels, *size = one_picture(valid).shape[1:]
    items = [tfm for tfm in valid.after_item.fs if tfm.split_idx in (None, 1)]
    looks = [tfm for tfm in items if isinstance(tfm, Look) and tfm.side != "train"]
    resizes = [tfm for tfm in items if type(tfm) is Resize]
    if looks:
        view, exact = looks[-1].view, tuple(looks[-1].view.size) == tuple(size)
    elif resizes:
        resize = resizes[-1]
        by = Image.Resampling(int(resize.resamples[0])).name.lower()
        view, exact = View((size[0], size[1]), str(resize.method), by), False
    else:
        raise DataError(
            "expected pictures that come to their size by from_folder and its like, or by fastai's"
            f" Resize, got {[type(tfm).__name__ for tfm in items]}; without such an item transform"
            " nobody can say what the model is to be shown"
        )
    if tuple(view.size) != tuple(size):
        view = View((size[0], size[1]), view.resize, view.interpolation, view.crop_pct, view.fill)
    norms = [tfm for tfm in valid.after_batch.fs if isinstance(tfm, Normalize)]
    mean, std = (0.0,) * channels, (1.0,) * channels
    if norms:
        mean, std = (_each(part, channels) for part in (norms[-1].mean, norms[-1].std))
    opener: Any = valid.dataset.tls[0].tfms.fs[-1]
    ours = isinstance(opener, Opener)
    at_least = decoded(opener.at_least) if ours else None
    return Preprocessing(view, mean, std, at_least, opener.levels if ours else None, exact and ours)


def _check_softmax(learn: Learner) -> None:
    act = getattr(learn.loss_func, "activation", None)
    x = torch.tensor([[-1.0, 0.0, 2.0]])
    if act is not None and not torch.allclose(act(x).float(), x.softmax(1), atol=1e-6):
        raise DataError(
            "expected a loss whose outputs become probabilities by softmax, as all readers of a"
            f" model file take them, got {type(learn.loss_func).__name__}"
        )


def _each(part: torch.Tensor, n: int) -> tuple[float, ...]:
    values = part.flatten().tolist()
    return tuple(values) if len(values) == n else tuple(values) * n
