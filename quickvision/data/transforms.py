"""The transforms of our own pipeline: to size, mirrored, turned; what they need of a picture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from fastai.data.transforms import Transform
from fastai.vision.augment import FlipItem, PadMode, RandomResizedCrop, Resize, aug_transforms
from fastai.vision.core import TensorImage
from PIL import Image

from quickvision.data.options import Options

# What `aug_transforms` gets for augment="light": half of its zoom and lighting, no turn, no warp.
LIGHT = {"max_rotate": 0.0, "max_warp": 0.0, "max_zoom": 1.05, "max_lighting": 0.1}


class CentreCrop(Transform):
    """Cut the middle out of a batch of validation pictures; training pictures stay whole.

    fastai's item transforms resize; the rest of the pipeline brings the middle to its size.

    Args:
        crop_pct: Share of each side that is kept, in (0, 1].
        both: Cut training pictures, too.
    """

    order = 1
    split_idx: int | None = 1

    def __init__(self, crop_pct: float, *, both: bool = False) -> None:
        super().__init__()
        self.crop_pct = crop_pct
        if both:
            self.split_idx = None

    def encodes(self, x: TensorImage) -> TensorImage:
        """Cut float or uint8 [n, channels, height, width]."""
        height, width = x.shape[-2:]
        h, w = round(height * self.crop_pct), round(width * self.crop_pct)
        top, left = (height - h) // 2, (width - w) // 2
        return x[..., top : top + h, left : left + w]


class MiddleResize(Resize):
    """fastai's `Resize`, which takes the middle in training, too, and no random part."""

    def before_call(self, b: Any, split_idx: int) -> None:
        """Place the part as in validation."""
        super().before_call(b, 1)


def our_transforms(options: Options) -> tuple[Any, Any]:
    """Return the transforms of a picture and of a batch: those that were given, or our own."""
    item_tfms, batch_tfms, plain = options.item_tfms, options.batch_tfms, options.augment == "none"
    if batch_tfms is None:
        cut = options.crop_pct < 1
        middle = [CentreCrop(options.crop_pct, both=plain)] if cut else []
        light = LIGHT if options.augment == "light" else {}
        changed = [] if plain else aug_transforms(do_flip=options.flip, size=options.size, **light)
        batch_tfms = [*middle, *changed]
    if item_tfms is None:  # `aug_transforms()` leaves a picture as large as it gets it
        cropped = any(getattr(tfm, "size", None) is not None for tfm in as_list(batch_tfms))
        item_tfms = _resize(options, larger=cropped)
    return item_tfms, batch_tfms


def as_list(tfms: Any) -> list[Any]:
    """Return transforms in a list: one, or several."""
    return list(tfms) if isinstance(tfms, Iterable) else [tfms]


def _resize(options: Options, *, larger: bool) -> Resize:
    """To `size`; or an eighth larger, so that turning has something to bring in at the edges."""
    plain = options.batch_tfms is None and options.augment == "none"
    sides = options.size if isinstance(options.size, tuple) else (options.size, options.size)
    wanted = [round(side / options.crop_pct) if larger or plain else side for side in sides]
    height, width = (
        max(side + side // 8, need) if larger else need
        for side, need in zip(sides, wanted, strict=True)
    )
    kind = MiddleResize if plain else Resize
    by = Image.Resampling[options.interpolation.upper()]
    nearest = Image.Resampling.NEAREST  # for masks; fastai wants both
    return kind(
        (height, width), method=options.resize, pad_mode=PadMode.Zeros, resamples=(by, nearest)
    )


def needed_side(item_tfms: Any) -> int | None:
    """Return the pixels that neither side of a decoded picture may go below.

    Known for `Resize` and `RandomResizedCrop`, alone or with flips; else None, decode in full.
    """
    tfms = [tfm for tfm in as_list(item_tfms) if not isinstance(tfm, FlipItem)]
    if len(tfms) != 1:
        return None
    if isinstance(tfms[0], Resize):
        return max(tfms[0].size)
    if isinstance(tfms[0], RandomResizedCrop):
        crop = tfms[0]
        narrowest = min(*crop.ratio, *(1 / ratio for ratio in crop.ratio))
        enlarged = max((crop.min_scale * narrowest) ** -0.5, 1 + crop.val_xtra)
        return int(np.ceil(max(crop.size) * enlarged)) + 8  # fastai rounds up to eights
    return None
