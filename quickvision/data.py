"""The doors: folders or file names in, plain fastai `DataLoaders` out, split and checked."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastai.data.block import CategoryBlock, DataBlock
from fastai.data.core import DataLoaders
from fastai.data.transforms import IndexSplitter
from fastai.torch_core import no_random
from fastai.vision.augment import Resize, aug_transforms
from fastai.vision.data import ImageBlock

from quickvision.errors import DataError, DataWarning, some
from quickvision.images import Picture, find_unfit
from quickvision.labels import FolderLabel, NameLabel, folder, pictures, sides
from quickvision.splits import check_sides, stratified_split

Size = int | tuple[int, int]


def from_folder(
    path: str | Path,
    *,
    valid: float = 0.2,
    size: Size = 224,
    bs: int = 64,
    seed: int = 42,
    item_tfms: Any = None,
    batch_tfms: Any = None,
    num_workers: int | None = None,
    check: bool = True,
) -> DataLoaders:
    """Build `DataLoaders` from folders named after their classes.

    Two layouts are told apart by themselves: class folders directly in `path`, of which a fraction
    is held out; or `path/train` beside `path/valid` (or `val`, `validation`, `test`, the first that
    is there), in any case. Deeper folders belong to their class folder. Nothing in `path` changes.

    Args:
        path: Folder that holds the class folders, or `train` and its validation folder.
        valid: Fraction that is held out, in (0, 1); stratified, at least one picture of each class
            on each side. Not used where there is a validation folder.
        size: Pixels of the training pictures, a side or (height, width).
        bs: Pictures in a batch. Lowered, with a `DataWarning`, where there are fewer training
            pictures, because fastai would train on nothing.
        seed: Seed of the split and of the shuffling. The global random state stays as it was.
        item_tfms: fastai item transforms; by default `Resize`, an eighth larger than `size`.
        batch_tfms: fastai batch transforms; by default `aug_transforms(size=size)`.
        num_workers: Loader processes; by default 0 for under 1,000 pictures or up to two cores
            (where they cost more than they save), else the number of cores, at most 8.
        check: Read every file once first. Files that cannot be decoded, and a lone drawing among
            photos (a "not found" placeholder), are left out with a `DataWarning`.

    Returns:
        Plain fastai `DataLoaders` whose items are paths. Their attribute `skipped`, a DataFrame
        with columns `path` and `reason`, lists every picture that was left out.

    Raises:
        DataError: No folder, no pictures, fewer than two classes, a class with one picture, an
            empty validation folder, or a class that has no training pictures.
        ValueError: `valid`, `size`, `bs`, `seed` or `num_workers` is out of range.
    """
    options = _Options(valid, size, bs, seed, item_tfms, batch_tfms, num_workers, check)
    root = folder(path)
    train, held_out, others = sides(root)
    if unused := [path.name for path in others if next(pictures(path), None)]:
        text = f"not used, neither to train nor to validate: {some(unused)} in {root}"
        warnings.warn(text, DataWarning, stacklevel=2)
    get_y = FolderLabel([train, held_out] if held_out else [train])
    files = [file for side in get_y.roots for file in pictures(side)]
    stray = [file for file in files if file.parent in get_y.roots]
    if stray and len(stray) == len(files):
        raise DataError(
            f"expected class folders in {train}, got no folder but {some([f.name for f in files])};"
            f" where names hold the labels, use from_name_re('{root}', r'^(.+)_\\d+\\.jpg$')"
        )
    reasons = dict.fromkeys(stray, "not in a class folder")
    return _dataloaders(root, files, get_y, reasons, options, held_out)


def from_name_re(
    path_or_files: str | Path | Iterable[str | Path],
    pat: str | re.Pattern[str],
    *,
    valid: float = 0.2,
    size: Size = 224,
    bs: int = 64,
    seed: int = 42,
    item_tfms: Any = None,
    batch_tfms: Any = None,
    num_workers: int | None = None,
    check: bool = True,
) -> DataLoaders:
    r"""Build `DataLoaders` from pictures whose names hold their labels.

    Args:
        path_or_files: A folder, searched with all folders in it, or the files themselves.
        pat: Regular expression with one group, the label. It is searched in the file's name and,
            where that finds nothing, in its path with forward slashes; so `^(.+)_\d+\.jpg$` works,
            and so does fastai v1's `/([^/]+)_\d+.jpg$`. Pictures without a match are left out.
        valid: See `from_folder`, here and below.
        size: Pixels.
        bs: Pictures in a batch.
        seed: Seed of the split and of the shuffling.
        item_tfms: fastai item transforms.
        batch_tfms: fastai batch transforms.
        num_workers: Loader processes.
        check: Read every file once first.

    Returns:
        As `from_folder`.

    Raises:
        DataError: As `from_folder`; also where the pattern matches no picture, or a file that was
            named does not exist.
        ValueError: The pattern is no regular expression or has not just one group; or as
            `from_folder`.
    """
    options = _Options(valid, size, bs, seed, item_tfms, batch_tfms, num_workers, check)
    get_y = NameLabel(pat)
    if isinstance(path_or_files, str | Path):
        root = folder(path_or_files)
        files = list(pictures(root))
    else:
        files = list(dict.fromkeys(Path(file).expanduser() for file in path_or_files))
        missing = [file for file in files if not file.is_file()]
        if missing or not files:
            got = f"{len(missing):,} that do not exist: {some(missing)}" if missing else "none"
            raise DataError(f"expected picture files, got {got}")
        root = Path(os.path.commonpath([file.absolute().parent for file in files]))
    unlabelled = [file for file in files if not get_y(file)]
    if files and len(unlabelled) == len(files):
        raise DataError(
            f"expected {get_y.pat!r} to match the pictures' names, got no match in {len(files):,}:"
            f" {some([file.name for file in files])}; its group must catch the label"
        )
    reasons = dict.fromkeys(unlabelled, f"no label: {get_y.pat!r} does not match")
    return _dataloaders(root, files, get_y, reasons, options)


@dataclass(frozen=True)
class _Options:
    """What every door takes, checked once."""

    valid: float
    size: Size
    bs: int
    seed: int
    item_tfms: Any
    batch_tfms: Any
    num_workers: int | None
    check: bool

    def __post_init__(self) -> None:
        if not 0 < self.valid < 1:
            raise ValueError(f"valid: expected a fraction such as 0.2 (20 %), got {self.valid}")
        sides = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        if len(sides) != 2 or not all(isinstance(s, int) and s > 0 for s in sides):
            raise ValueError(f"size: expected pixels, as 224 or (224, 320), got {self.size!r}")
        if not isinstance(self.bs, int) or self.bs < 2:
            raise ValueError(f"bs: expected at least 2 (batch norm needs two), got {self.bs!r}")
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed: expected a whole number from 0, got {self.seed!r}")
        if self.num_workers is not None and self.num_workers < 0:
            raise ValueError(f"num_workers: expected 0 or more, got {self.num_workers}")


def _dataloaders(
    root: Path,
    files: Sequence[Path],
    get_y: Callable[[Path], str],
    reasons: dict[Path, str],
    options: _Options,
    held_out: Path | None = None,
) -> DataLoaders:
    """Check, split and load; `reasons` says which files are out already, and why."""
    if not files:
        raise DataError(
            f"expected pictures in {root}, got none; looked for .jpg, .png and the like"
        )
    if options.check:
        reasons = reasons | find_unfit([file for file in files if file not in reasons])
    skipped = pd.DataFrame(reasons.items(), columns=["path", "reason"])
    if reasons:
        shown = some([f"{file.name} ({reason})" for file, reason in reasons.items()])
        text = f"left out {len(reasons):,} of {len(files):,} pictures: {shown}; see dls.skipped"
        warnings.warn(text, DataWarning, stacklevel=3)
    files = [file for file in files if file not in reasons]
    if not files:
        raise DataError(f"expected pictures in {root} that can be read, got none: {shown}")
    labels = [get_y(file) for file in files]
    if held_out:
        in_valid = [held_out in file.parents for file in files]
        check_sides(labels, in_valid, held_out)
    else:
        in_valid = stratified_split(labels, valid=options.valid, seed=options.seed)
    item_tfms, batch_tfms, num_workers = options.item_tfms, options.batch_tfms, options.num_workers
    block = DataBlock(
        blocks=(ImageBlock(Picture), CategoryBlock(vocab=sorted(set(labels)))),
        get_y=get_y,
        splitter=IndexSplitter(np.flatnonzero(in_valid).tolist()),
        item_tfms=Resize(_presize(options.size)) if item_tfms is None else item_tfms,
        batch_tfms=aug_transforms(size=options.size) if batch_tfms is None else batch_tfms,
    )
    with no_random(options.seed, reproducible=False):
        dls = block.dataloaders(
            files,
            path=root,
            bs=_batch_size(options.bs, len(files) - sum(in_valid)),
            num_workers=_workers(len(files)) if num_workers is None else num_workers,
        )
    dls.skipped = skipped
    return dls


def _presize(size: Size) -> Size:
    """An eighth larger, so that turning and warping have something to bring in at the edges."""
    if isinstance(size, int):
        return size + size // 8
    height, width = size
    return height + height // 8, width + width // 8


def _batch_size(bs: int, n_train: int) -> int:
    if bs <= n_train:
        return bs
    lowered = max(2, n_train // 4)
    text = f"bs lowered from {bs} to {lowered}: there are only {n_train} training pictures"
    warnings.warn(text, DataWarning, stacklevel=4)
    return lowered


def _workers(n_files: int) -> int:
    cores = os.cpu_count() or 1
    return 0 if n_files < 1000 or cores <= 2 else min(8, cores)
