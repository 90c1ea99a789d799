"""From a listing to `DataLoaders`: files checked, some held out, the rest handed to fastai."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from fastai.data.core import DataLoaders, Datasets
from fastai.data.transforms import Categorize, IntToFloatTensor, ToTensor, Transform
from fastai.losses import CrossEntropyLossFlat
from fastai.torch_core import default_device, no_random
from fastai.vision.augment import FlipItem, PadMode, RandomResizedCrop, Resize, aug_transforms
from fastai.vision.core import TensorImage
from PIL import Image

from quickvision.base.errors import DataError, as_path, some, warn
from quickvision.base.figures import UNEVEN, imbalance
from quickvision.base.files import cache_folder
from quickvision.data.holdout import SKIPPED_COLUMNS, hold_out
from quickvision.data.labels import read_class_names
from quickvision.data.listing import Listing
from quickvision.data.options import Options, too_many
from quickvision.data.paths import to_paths
from quickvision.data.pictures import Opener, make_copies
from quickvision.data.scan import Facts, scan, unfit
from quickvision.data.understood import understood


class CentreCrop(Transform):
    """Cut the middle out of a batch of validation pictures; training pictures stay whole.

    fastai's item transforms resize; the rest of the pipeline brings the middle to its size.

    Args:
        crop_pct: Share of each side that is kept, in (0, 1].
    """

    order, split_idx = 1, 1

    def __init__(self, crop_pct: float) -> None:
        super().__init__()
        self.crop_pct = crop_pct

    def encodes(self, x: TensorImage) -> TensorImage:
        """Cut float or uint8 [n, channels, height, width]."""
        height, width = x.shape[-2:]
        h, w = round(height * self.crop_pct), round(width * self.crop_pct)
        top, left = (height - h) // 2, (width - w) // 2
        return x[..., top : top + h, left : left + w]


FEW = 4_000  # pictures that may all fit into `pictures.IN_MEMORY`


def load(listing: Listing, options: Options) -> DataLoaders:
    """Check the files, hold some out, and build plain `DataLoaders` of the rest.

    Args:
        listing: What a door found.
        options: What the door was asked for.

    Raises:
        DataError: As `quickvision.from_folder`.
        RunError: Resized copies cannot be written.
    """
    if not listing.names:
        raise DataError(
            f"expected pictures in {listing.root}, got none; looked for .jpg, .png and the like"
        )
    found = examine(listing, options)
    listing, reasons = found.listing, found.reasons
    _say_what_is_left_out(listing, reasons, options.max_bad)
    split = found.split()
    del found  # its facts take a kilobyte a file
    in_valid = split["valid"].to_numpy(dtype=bool)
    names, labels = split["path"].to_numpy(), split["label"].to_numpy()
    train, valid = names[~in_valid].tolist(), names[in_valid].tolist()
    counts = Counter(labels[~in_valid].tolist())
    _warn_of_uneven(counts, options.balance)
    if options.balance == "oversample":
        train = _oversampled(train, labels[~in_valid].tolist(), counts)
    with no_random(options.seed, reproducible=False):
        dls = _dataloaders(listing, train, valid, counts, options)
    dls.skipped = pd.DataFrame(reasons.items(), columns=SKIPPED_COLUMNS)
    dls.split = split
    dls.test_files = to_paths(listing.root, listing.tests)
    dls.understood = understood(listing, split, options)
    return dls


@dataclass(frozen=True)
class Examined:
    """A listing that has been looked at, by a door or by `check`.

    Attributes:
        listing: With its classes named.
        options: What was asked for.
        facts: What was seen in the files that were looked into, by name.
        reasons: Names of the files that are no data, with the reasons.
    """

    listing: Listing
    options: Options
    facts: Mapping[str, Facts]
    reasons: Mapping[str, str]

    def split(self) -> pd.DataFrame:
        """Say of each picture that can be used on which side it is; see `hold_out`."""
        asked = self.options
        how = {"valid": asked.valid, "groups": asked.groups, "seed": asked.seed}
        return hold_out(self.listing, self.reasons, **how)


def examine(listing: Listing, options: Options, *, everything: bool = False) -> Examined:
    """Name the classes, look into the files, and say which are no data.

    Args:
        listing: What a door found.
        options: What was asked for; without `check` no file is opened.
        everything: Look into those that the listing leaves out, too.

    Raises:
        DataError: A class has no name.
    """
    if options.class_names is not None:
        used = set(filter(None, listing.labels))
        listing = listing.renamed(read_class_names(options.class_names, used))
    out = listing.missing if everything else listing.left_out
    names = [name for name in listing.names if name not in out] if options.check else []
    seen = scan(to_paths(listing.root, names)) if names else []
    facts = dict(zip(names, seen, strict=True))
    usable = {name: facts[name] for name in names if name not in listing.left_out}
    return Examined(listing, options, facts, {**listing.left_out, **unfit(usable)})


def _say_what_is_left_out(listing: Listing, reasons: Mapping[str, str], max_bad: float) -> None:
    """Say which files are no data, and why; stop where too many are bad."""
    if not reasons:
        return
    shown = some([f"{name} ({reason})" for name, reason in reasons.items()])
    bad = [name for name in reasons if name not in listing.left_out or name in listing.missing]
    n = len(listing.names)
    if len(reasons) == n:
        raise DataError(f"expected pictures in {listing.root} that can be read, got none: {shown}")
    if too_many(len(bad), n, max_bad):
        shown = some([f"{name} ({reasons[name]})" for name in bad])
        raise DataError(
            f"expected at most {max_bad:.0%} bad files in {listing.root}, got {len(bad):,}"
            f" of {n:,}: {shown}; mend them, or go on without them with"
            f" max_bad={-(-len(bad) * 100 // n) / 100:g}"
        )
    lost = set(filter(None, listing.labels)) - {
        label
        for name, label in zip(listing.names, listing.labels, strict=True)
        if name not in reasons
    }
    if lost:
        warn(f"no picture of {some(sorted(lost))} can be used: not a class any more")
    warn(f"left out {len(reasons):,} of {n:,} pictures: {shown}; see dls.skipped")


def _warn_of_uneven(counts: Mapping[str, int], balance: str | None) -> None:
    times = imbalance(counts)
    if times > UNEVEN and balance is None:
        large, small = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        warn(
            f"uneven classes: {counts[large]:,} training pictures of {large}, {counts[small]:,} of"
            f" {small} ({times:.0f} times); read macro-F1 beside accuracy, and try"
            " balance='weights' or 'oversample'"
        )


def _oversampled(names: list[str], labels: list[str], counts: Mapping[str, int]) -> list[str]:
    """Repeat the pictures of each class until it is as large as the largest.

    Repeats in the list, and not fastai's `WeightedDL`, whose weights `dl.new` loses.
    """
    by_label: dict[str, list[str]] = {}
    for name, label in zip(names, labels, strict=True):
        by_label.setdefault(label, []).append(name)
    most = max(counts.values())
    return [same[i % len(same)] for same in by_label.values() for i in range(most)]


def _dataloaders(
    listing: Listing,
    train: list[str],
    valid: list[str],
    counts: Mapping[str, int],
    options: Options,
) -> DataLoaders:
    """Build what fastai's `DataBlock` would.

    It is built on `Datasets`, with slices for the two sides: `DataBlock` prints all files into a
    string that it throws away, and goes through lists of indices thirty times.
    """
    batch_tfms = options.batch_tfms
    if batch_tfms is None:
        middle = [CentreCrop(options.crop_pct)] if options.crop_pct < 1 else []
        batch_tfms = [*middle, *aug_transforms(size=options.size)]
    item_tfms = options.item_tfms
    if item_tfms is None:  # `aug_transforms()` leaves a picture as large as it gets it
        cropped = any(getattr(tfm, "size", None) is not None for tfm in _as_list(batch_tfms))
        item_tfms = _resize(options, larger=cropped)
    categorize = Categorize(vocab=sorted(counts))
    if options.balance == "weights":  # as scikit-learn's "balanced"
        weights = [sum(counts.values()) / len(counts) / counts[label] for label in sorted(counts)]
        on_device = torch.tensor(weights, dtype=torch.float32, device=default_device())
        categorize.loss_func = CrossEntropyLossFlat(weight=on_device)
    at_least = needed_side(item_tfms)
    folder = _copies_folder(options.cache, listing.root)
    if folder is not None:
        if at_least is None:
            raise ValueError("cache: goes with item_tfms that start with Resize, got others")
        make_copies(to_paths(listing.root, [*dict.fromkeys(train), *valid]), at_least, folder)
    items = to_paths(listing.root, train + valid)
    workers = _workers(len(items)) if options.num_workers is None else options.num_workers
    kept = items if options.cache == "auto" and not workers and len(items) <= FEW else ()
    dsets = Datasets(
        items,
        tfms=[[Opener(at_least, folder, kept)], [listing.get_y, categorize]],
        splits=(slice(0, len(train)), slice(len(train), len(items))),
    )
    return dsets.dataloaders(
        path=listing.root,
        bs=_batch_size(options.bs, len(train)),
        after_item=[ToTensor, *_as_list(item_tfms)],
        after_batch=[IntToFloatTensor, *_as_list(batch_tfms)],
        num_workers=workers,
        pin_memory=default_device().type == "cuda",
    )


def _as_list(tfms: Any) -> list[Any]:
    return list(tfms) if isinstance(tfms, Iterable) else [tfms]


def _resize(options: Options, *, larger: bool) -> Resize:
    """To `size`; or an eighth larger, so that turning has something to bring in at the edges."""
    sides = options.size if isinstance(options.size, tuple) else (options.size, options.size)
    height, width = (
        max(side + side // 8, round(side / options.crop_pct)) if larger else side for side in sides
    )
    by = Image.Resampling[options.interpolation.upper()]
    nearest = Image.Resampling.NEAREST  # for masks; fastai wants both
    return Resize(
        (height, width), method=options.resize, pad_mode=PadMode.Zeros, resamples=(by, nearest)
    )


def needed_side(item_tfms: Any) -> int | None:
    """Return the pixels that neither side of a decoded picture may go below.

    Known for `Resize` and `RandomResizedCrop`, alone or with flips; else None, decode in full.
    """
    tfms = [tfm for tfm in _as_list(item_tfms) if not isinstance(tfm, FlipItem)]
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


def _copies_folder(cache: bool | str | Path, root: Path) -> Path | None:
    if cache is False or cache == "auto":
        return None
    folder = cache_folder() / "copies" if cache is True else as_path(cache, "cache")
    if root.resolve() in (folder.resolve(), *folder.resolve().parents):
        raise ValueError(f"cache: expected a folder outside the pictures' own {root}, got {folder}")
    return folder


def _batch_size(bs: int, n_train: int) -> int:
    if bs <= n_train:
        return bs
    lowered = max(2, n_train // 4)
    warn(f"bs lowered from {bs} to {lowered}: there are only {n_train} training pictures")
    return lowered


def _workers(n_files: int) -> int:
    """A GPU takes what all cores can read; a CPU that trains has no core to spare for it.

    fastai starts the processes anew in each epoch (its `persistent_workers` does nothing, pinned):
    a few hundred pictures are not worth it. On two cores epochs took 16 s with one or two, 10.4
    without.
    """
    cores = os.cpu_count() or 1
    if sys.platform == "darwin":  # fastai has none there
        return 0
    if default_device().type == "cuda":
        return 0 if n_files < 200 else min(16, cores)
    return 0 if n_files < 1000 or cores <= 2 else min(8, cores)
