"""From a listing to `DataLoaders`: files checked, some held out, the rest handed to fastai."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastai.data.core import DataLoaders, Datasets
from fastai.data.transforms import Categorize, IntToFloatTensor, ToTensor
from fastai.losses import CrossEntropyLossFlat
from fastai.torch_core import default_device, no_random

from quickvision.base.errors import DataError, as_path, some, warn
from quickvision.base.files import cache_folder
from quickvision.data import cautions
from quickvision.data.batches import batches
from quickvision.data.classes import in_order
from quickvision.data.fixes import read_fixes
from quickvision.data.holdout import SKIPPED_COLUMNS, hold_out
from quickvision.data.labels import NamedLabel, TableLabel, read_class_names
from quickvision.data.leaks import Split, few_enough
from quickvision.data.listing import Listing
from quickvision.data.mended import FixedLabel, Fixes
from quickvision.data.options import Options, too_many
from quickvision.data.paths import to_paths
from quickvision.data.pictures import Levels, Opener, make_copies
from quickvision.data.scan import (
    BANDS,
    Facts,
    common_levels,
    digests,
    scan,
    unfit,
    way_out_of_bands,
)
from quickvision.data.transforms import as_list, needed_side, our_transforms
from quickvision.data.understood import understood

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
    _say_what_is_left_out(found.listing, found.unfit, options.max_bad)
    split, reasons, levels = found.split(), found.reasons, found.levels
    listing, fixes = found.fixes.listing(found.listing), found.fixes
    used = [(name, seen) for name, seen in found.facts.items() if name not in reasons]
    cautions.of_leaks(_looked_at(split, found), listing.root, split_by(listing, options))
    cautions.of_pictures(used, levels, asked=options.levels is not None)
    del found, used  # its facts take a kilobyte a file
    in_valid = split["valid"].to_numpy(dtype=bool)
    names, labels = split["path"].to_numpy(), split["label"].to_numpy()
    train, valid = names[~in_valid].tolist(), names[in_valid].tolist()
    counts = Counter(labels[~in_valid].tolist())
    cautions.of_uneven(counts, options.balance)
    cautions.of_names(counts, options)
    if options.balance == "oversample":
        train = _oversampled(train, labels[~in_valid].tolist(), counts)
    with no_random(options.seed, reproducible=False):
        dls = _dataloaders(listing, train, valid, counts, replace(options, levels=levels))
    dls.skipped = pd.DataFrame(reasons.items(), columns=SKIPPED_COLUMNS)
    dls.split, dls.fixed = split, fixes.table()
    dls.test_files = to_paths(listing.root, listing.tests)
    dls.understood = understood(listing, split, options, fixes=fixes.said(split))
    return dls


@dataclass(frozen=True)
class Examined:
    """A listing that has been looked at, by a door or by `check`.

    Attributes:
        listing: With its classes named, and without the fixes: by it is decided who is held out.
        options: What was asked for.
        facts: What was seen in the files that were looked into, by name.
        unfit: Names of the files that are no data, with the reasons; not those that fixes drop.
        fixes: What people have said of pictures.
        gone: Names of the files that are no data, and that fixes drop besides.
    """

    listing: Listing
    options: Options
    facts: Mapping[str, Facts]
    unfit: Mapping[str, str]
    fixes: Fixes = field(default_factory=Fixes)
    gone: frozenset[str] = frozenset()

    @property
    def reasons(self) -> dict[str, str]:
        """Names of all pictures that are left out, with the reasons."""
        return {**self.unfit, **self.fixes.dropped}

    @property
    def levels(self) -> Levels | None:
        """What is black and white in pictures of more than 8 bits; None: each file decides."""
        asked = self.options.levels
        if isinstance(asked, tuple):
            return asked
        out = self.reasons
        used = (seen for name, seen in self.facts.items() if name not in out)
        return None if asked == "file" else common_levels(used)

    def split(self) -> pd.DataFrame:
        """Say of each picture that can be used on which side it is; see `hold_out`.

        Names and labels decide as they were before the fixes, so that what is trained with some
        can be compared with what was trained without.
        """
        asked, dropped = self.options, self.fixes.dropped
        how = {"valid": asked.valid, "groups": asked.groups, "seed": asked.seed}
        return self.fixes.split(
            hold_out(self.listing, {*self.unfit, *self.gone}, dropped=dropped, **how)
        )


def examine(listing: Listing, options: Options, *, everything: bool = False) -> Examined:
    """Name the classes, look into the files, and say which are no data.

    Args:
        listing: What a door found.
        options: What was asked for; without `check` no file is opened.
        everything: Look into those that the listing leaves out, too.

    Raises:
        DataError: A class has no name, or the fixes are not of these pictures.
    """
    if options.class_names is not None:
        used = set(filter(None, listing.labels))
        listing = listing.renamed(read_class_names(options.class_names, used))
    fixes = read_fixes(options.fixes, listing)
    out = listing.missing if everything else listing.left_out
    names = [name for name in listing.names if name not in out] if options.check else []
    seen = scan(to_paths(listing.root, names)) if names else []
    facts = dict(zip(names, seen, strict=True))
    usable = {name: facts[name] for name in names if name not in listing.left_out}
    reasons = {**listing.left_out, **unfit(usable)}
    gone = frozenset(reasons.keys() & fixes.dropped.keys())
    bad = {name: why for name, why in reasons.items() if name not in gone}
    return Examined(listing, options, facts, bad, fixes, gone)


def _say_what_is_left_out(listing: Listing, reasons: Mapping[str, str], max_bad: float) -> None:
    """Say which files are no data, and why; stop where too many are bad."""
    if not reasons:
        return
    shown = some([f"{name} ({reason})" for name, reason in reasons.items()])
    bad = [name for name in reasons if name not in listing.left_out or name in listing.missing]
    n = len(listing.names)
    bands = any(why.startswith(BANDS) for why in reasons.values())
    way = f"; {way_out_of_bands(listing.root)}" if bands else ""
    if len(reasons) == n:
        raise DataError(
            f"expected pictures in {listing.root} that can be read, got none: {shown}{way}"
        )
    if too_many(len(bad), n, max_bad):
        shown = some([f"{name} ({reasons[name]})" for name in bad])
        raise DataError(
            f"expected at most {max_bad:.0%} bad files in {listing.root}, got {len(bad):,}"
            f" of {n:,}: {shown}; mend them, or go on without them with"
            f" max_bad={-(-len(bad) * 100 // n) / 100:g}{way}"
        )
    lost = set(filter(None, listing.labels)) - {
        label
        for name, label in zip(listing.names, listing.labels, strict=True)
        if name not in reasons
    }
    if lost:
        warn(f"no picture of {some(sorted(lost))} can be used: not a class any more")
    warn(f"left out {len(reasons):,} of {n:,} pictures: {shown}; see dls.skipped{way}")


UNSEEN = 20_000  # pictures that are compared to the byte without `check`: a fifth of a second


def split_by(listing: Listing, options: Options) -> Split:
    """Say who decides about the split, and whether labels come from a table."""
    get_y = listing.get_y
    while isinstance(get_y, NamedLabel | FixedLabel):
        get_y = get_y.label
    fixed = listing.held is not None or not isinstance(options.valid, float | None)
    return Split(fixed=fixed, table=isinstance(get_y, TableLabel))


def _looked_at(split: pd.DataFrame, found: Examined) -> pd.DataFrame:
    """Put what is known of the pictures beside who is held out."""
    side = np.where(split["valid"].to_numpy(dtype=bool), "valid", "train")
    table = split[["path", "label"]].assign(side=side)
    names = split["path"].tolist()
    if not found.facts:
        if len(names) > UNSEEN:
            return table
        return table.assign(digest=digests(to_paths(found.listing.root, names)))
    seen = [found.facts[name] for name in names]
    columns = ("digest", *(("thumb", "width", "height") if few_enough(table) else ()))
    return table.assign(**{name: [getattr(facts, name) for facts in seen] for name in columns})


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
    item_tfms, batch_tfms = our_transforms(options)
    vocab = _vocab(counts, options.vocab)
    categorize = Categorize(vocab=vocab, sort=False)
    if options.balance == "weights":  # as scikit-learn's "balanced"
        weights = [sum(counts.values()) / len(counts) / counts[label] for label in vocab]
        on_device = torch.tensor(weights, dtype=torch.float32, device=default_device())
        categorize.loss_func = CrossEntropyLossFlat(weight=on_device)
    at_least = needed_side(item_tfms)
    levels = options.levels if isinstance(options.levels, tuple) else None
    folder = _copies_folder(options.cache, listing.root)
    if folder is not None:
        if at_least is None:
            raise ValueError("cache: goes with item_tfms that start with Resize, got others")
        several = to_paths(listing.root, [*dict.fromkeys(train), *valid])
        make_copies(several, at_least, folder, levels)
    items = to_paths(listing.root, train + valid)
    workers = _workers(len(items)) if options.num_workers is None else options.num_workers
    kept = items if options.cache == "auto" and not workers and len(items) <= FEW else ()
    dsets = Datasets(
        items,
        tfms=[[Opener(at_least, folder, kept, levels)], [listing.get_y, categorize]],
        splits=(slice(0, len(train)), slice(len(train), len(items))),
    )
    bs, drop_last = batches(options.bs, len(train))
    return dsets.dataloaders(
        path=listing.root,
        bs=bs,
        drop_last=drop_last,
        after_item=[ToTensor, *as_list(item_tfms)],
        after_batch=[IntToFloatTensor, *as_list(batch_tfms)],
        num_workers=workers,
        pin_memory=default_device().type == "cuda",
    )


def _copies_folder(cache: bool | str | Path, root: Path) -> Path | None:
    if cache is False or cache == "auto":
        return None
    folder = cache_folder() / "copies" if cache is True else as_path(cache, "cache")
    if root.resolve() in (folder.resolve(), *folder.resolve().parents):
        raise ValueError(f"cache: expected a folder outside the pictures' own {root}, got {folder}")
    return folder


def _vocab(counts: Iterable[str], asked: Sequence[str] | None) -> list[str]:
    """Return the classes in the order of the model's outputs."""
    found = in_order(counts)
    if asked is None:
        return found
    if sorted(asked) != sorted(found):
        lost, more = sorted({*found} - {*asked}), sorted({*asked} - {*found})
        got = f"none of {some(lost)}" if lost else f"also {some(more)}" if more else "one twice"
        raise DataError(f"vocab: expected each of the {len(found)} classes once, got {got}")
    return list(asked)


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
