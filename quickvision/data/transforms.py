"""The transforms of our own pipeline: to size, mirrored, turned; what they need of a picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from fastai.data.core import DataLoaders
from fastai.data.transforms import Transform
from fastai.vision.augment import FlipItem, RandomResizedCrop, Resize, aug_transforms
from PIL import Image

from quickvision.data.options import Options
from quickvision.data.pictures import Picture
from quickvision.data.view import View

# What `aug_transforms` gets for augment="light": half of its zoom and lighting, no turn, no warp.
LIGHT = {"max_rotate": 0.0, "max_warp": 0.0, "max_zoom": 1.05, "max_lighting": 0.1}


class Look(Transform):
    """Bring a picture to its size as all do who look at it without training: `View`.

    Args:
        view: What it becomes.
        side: "valid" leaves training pictures as they are, "train" all others; "all" leaves none.
            Where fastai does not say which side a picture is on, it is looked at as in validation.
    """

    order = 1  # that of fastai's `Resize`, which training pictures go through

    def __init__(self, view: View, side: str = "valid") -> None:
        super().__init__()
        self.view, self.side = view, side

    def __call__(self, x: Any, split_idx: int | None = None, **kwargs: Any) -> Any:
        """Look at it, if it is on this side."""
        here = "train" if split_idx == 0 else "valid"
        return super().__call__(x, **kwargs) if self.side in (here, "all") else x

    def encodes(self, x: Image.Image) -> Picture:
        """Look at a Pillow image."""
        return Picture(self.view(x))


def our_transforms(options: Options) -> tuple[Any, Any]:
    """Return the transforms of a picture and of a batch: those that were given, or our own."""
    item_tfms, batch_tfms, plain = options.item_tfms, options.batch_tfms, options.augment == "none"
    if batch_tfms is None:
        light = LIGHT if options.augment == "light" else {}
        changed = aug_transforms(do_flip=options.flip, size=options.size, **light)
        batch_tfms = [] if plain else changed
    if item_tfms is None:  # `aug_transforms()` leaves a picture as large as it gets it
        cropped = any(getattr(tfm, "size", None) is not None for tfm in as_list(batch_tfms))
        look = Look(view_of(options), "all" if plain else "valid")
        item_tfms = [look] if plain else [look, _resize(options, larger=cropped)]
    return item_tfms, batch_tfms


def mirrors(dls: DataLoaders) -> bool:
    """Say whether training sees mirrored pictures, too."""
    tfms = [*dls.train.after_item.fs, *dls.train.after_batch.fs]
    inner = [part for tfm in tfms for part in getattr(tfm, "aff_fs", ())]  # fastai joins them
    kinds = [*map(type, tfms), *(getattr(part, "func", type(part)) for part in inner)]
    names = {kind.__name__.lower() for kind in kinds}
    return any("flip" in name or "dihedral" in name for name in names)


def view_of(options: Options) -> View:
    """Return what validation looks at."""
    size = options.size if isinstance(options.size, tuple) else (options.size, options.size)
    return View(size, options.resize, options.interpolation, options.crop_pct)


def as_list(tfms: Any) -> list[Any]:
    """Return transforms in a list: one, or several."""
    return list(tfms) if isinstance(tfms, Iterable) else [tfms]


def _resize(options: Options, *, larger: bool) -> Transform:
    """To `size` in training; or an eighth larger, so that turning has something to bring in."""
    view = view_of(options)
    if larger:
        pairs = zip(view.size, view.resized, strict=True)
        height, width = (max(side + side // 8, need) for side, need in pairs)
        view = replace(view, size=(height, width))
    if options.resize == "pad":  # beside the picture is what validation has beside it
        return Look(replace(view, crop_pct=1.0), "train")
    by = Image.Resampling[options.interpolation.upper()]
    nearest = Image.Resampling.NEAREST  # for masks; fastai wants both
    return Resize(view.size, method=options.resize, resamples=(by, nearest), split_idx=0)


def needed_side(item_tfms: Any) -> int | None:
    """Return the pixels that neither side of a decoded picture may go below.

    Known for our own, `Resize` and `RandomResizedCrop`, each with flips; else None, decode in full.
    """
    tfms = [tfm for tfm in as_list(item_tfms) if not isinstance(tfm, FlipItem)]
    looks = [tfm for tfm in tfms if isinstance(tfm, Look)]
    others = [tfm for tfm in tfms if tfm not in looks]
    sides = [max(*look.view.size, *look.view.resized) for look in looks]
    if len(others) > 1 or not tfms:
        return None
    if others and isinstance(others[0], Resize):
        sides.append(max(others[0].size))
    elif others and isinstance(others[0], RandomResizedCrop):
        crop = others[0]
        narrowest = min(*crop.ratio, *(1 / ratio for ratio in crop.ratio))
        enlarged = max((crop.min_scale * narrowest) ** -0.5, 1 + crop.val_xtra)
        sides.append(int(np.ceil(max(crop.size) * enlarged)) + 8)  # fastai rounds up to eights
    elif others:
        return None
    return max(sides)
