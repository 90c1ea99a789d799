"""One picture file, opened well: any mode to RGB, upright, at the size that is needed.

Where there is a resized copy, made once, it is opened instead, so that epochs do not decode what
they throw away.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import time
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from fastai.data.core import DataLoaders, Transform
from fastai.vision.core import PILImage
from PIL import Image

from quickvision.base.errors import DataError, RunError
from quickvision.base.progress import mapped
from quickvision.data.arrays import from_array, is_array
from quickvision.data.rgb import BROKEN, Levels, open_rgb, to_rgb


class Picture(PILImage):
    """fastai's `PILImage`, opened with `open_rgb`; a bad file's error names the file."""

    @classmethod
    def create(
        cls, fn: Any, *, at_least: int | None = None, levels: Levels | None = None, **kwargs: Any
    ) -> Picture:
        """Open a path, bytes, an open file, a Pillow image, an array or a tensor.

        Args:
            fn: What to open; a Pillow image stays as it is; arrays are as in `from_array`.
            at_least: For a path or bytes: as in `open_rgb`.
            levels: As in `to_rgb`.
            **kwargs: For anything else: go to fastai.

        Raises:
            DataError: The file cannot be read.
            TypeError: An array of other numbers.
            ValueError: An array has another shape than a picture.
        """
        if isinstance(fn, str | Path):
            return cls(open_rgb(fn, at_least=at_least, levels=levels))
        if isinstance(fn, bytes):
            return cls(open_rgb(io.BytesIO(fn), at_least=at_least, levels=levels))
        if hasattr(fn, "read"):
            return cls(open_rgb(fn, at_least=at_least, levels=levels))
        if is_array(fn):
            return cls(to_rgb(from_array(fn), levels))
        if isinstance(fn, Image.Image):
            try:
                return cls(to_rgb(fn.copy(), levels))
            except BROKEN as error:
                raise DataError(f"expected a picture that can be read, got {error}") from error
        return super().create(fn, **kwargs)


LOSSY = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".jp2", ".j2k", ".heic"})
# Of JPEG copies: with 4:2:0, a picture of 256 pixels decodes in 0.43 ms and is 2.0 grey levels of
# 255 from the exact one; without it, 0.62 ms and 1.5; quality 90 without it, 0.55 ms and 2.1.
QUALITY, SUBSAMPLING = 95, "4:2:0"
GAP = 2  # a picture is decoded at twice the size that is needed, and then resized with antialias
IN_MEMORY = 2**30  # bytes of decoded pictures that an opener keeps at most
VERSION = b"1"  # raise it when copies are made otherwise


class Opener(Transform):
    """Open pictures at the size that training needs, from their copies where there are some.

    The type transform at the head of our `DataLoaders`. Copies only save time: a picture without
    one, or that has changed since, is opened itself.

    Args:
        at_least: Pixels that neither side of a copy may go below, and `GAP` times as many of a
            JPEG that is decoded at a part of its size; None decodes in full.
        folder: Where the copies are, or None.
        kept: Pictures that stay in memory, as they were decoded, once they have been opened: not
            resized, because resizing twice is another picture.
        levels: What is black and white in pictures of more than 8 bits; see `to_rgb`.
    """

    levels: Levels | None = None  # of openers that were exported before there was one

    input_types = (Path, str, bytes, Image.Image, np.ndarray, torch.Tensor)  # for `learn.predict`

    def __init__(
        self,
        at_least: int | None = None,
        folder: Path | None = None,
        kept: Collection[str | Path] = (),
        levels: Levels | None = None,
    ) -> None:
        super().__init__()
        self.at_least, self.folder, self.kept = at_least, folder, frozenset(kept)
        self.levels = levels
        self.memory: dict[Any, Picture] = {}
        self.room = IN_MEMORY

    def __getstate__(self) -> dict[str, Any]:
        # Pictures do not go along, and what they took is free again.
        return {**vars(self), "kept": frozenset(), "memory": {}, "room": IN_MEMORY}

    @property
    def filling(self) -> bool:
        """There is room for pictures in memory, and some of those to be kept are not there yet."""
        return self.room > 0 and len(self.memory) < len(self.kept)

    def advice(
        self, files: Sequence[str | Path], epoch: float, waiting: float, workers: int
    ) -> str:
        """Say what resized copies would save, where that is much.

        Args:
            files: The training pictures.
            epoch: Seconds that one takes.
            waiting: Share of it that goes into loading, in [0, 1].
            workers: Processes that load.

        Returns:
            A clause; empty where pictures stay in memory, have copies, or would gain little.
        """
        remembered = self.kept and self.room > 0
        if not self.at_least or self.folder is not None or remembered:
            return ""
        megapixels, saved = _copies_save(files, self.at_least)
        saved = min(saved * len(files) / max(workers, 1), waiting * epoch)
        if saved <= waiting * epoch / 3:
            return ""
        times = (f"{s:.0f} s" if s >= 10 else f"{s:.1f} s" for s in (epoch, epoch - saved))
        return (
            f"pictures average {megapixels:.1f} megapixels; cache=True would cut an epoch from"
            f" {' to about '.join(times)}"
        )

    def encodes(self, item):  # type: ignore[no-untyped-def]  # fastai dispatches on annotations
        """Open a path (or bytes, a Pillow image, an array, a tensor, as `Picture.create`)."""
        if not isinstance(item, str | Path):
            return Picture.create(item, **self._scaled(item))
        if item not in self.kept:
            return self._read(item)
        key = (item, *_version(item))
        if key in self.memory:
            return Picture(self.memory[key].copy())  # a transform may draw on it
        picture = self._read(item)
        if self.room > 0:
            self.memory[key] = Picture(picture.copy())
            self.room -= 3 * picture.width * picture.height
        return picture

    def _scaled(self, item: Any) -> dict[str, Any]:
        """Say how large and what is white, to what is opened here; tensors of others are theirs."""
        ours = isinstance(item, bytes | Image.Image | np.ndarray | torch.Tensor)
        return {"levels": self.levels, "at_least": decoded(self.at_least)} if ours else {}

    def _read(self, item: str | Path) -> Picture:
        if self.folder is not None and self.at_least is not None:
            copy = copy_path(item, self.at_least, self.folder, self.levels)
            with contextlib.suppress(*BROKEN):
                with Image.open(copy or "") as image:
                    image.load()
                return Picture(image)  # ours: upright and RGB already
        return Picture.create(item, at_least=decoded(self.at_least), levels=self.levels)


def decoded(at_least: int | None) -> int | None:
    """Say what a JPEG is decoded to at least, of which a picture of this size is made."""
    return at_least and GAP * at_least


def levels_in(dls: DataLoaders) -> Levels | None:
    """Return what is black and white in the deep pictures of our own `DataLoaders`."""
    for tfms in getattr(dls.train_ds, "tls", ()):
        for tfm in tfms.tfms.fs:
            if isinstance(tfm, Opener):
                return tfm.levels
    return None


def _version(file: str | Path) -> tuple[int, int]:
    """Tell a file apart from what it was before: its size, and when it was changed."""
    try:
        status = os.stat(file)
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def copy_path(
    file: str | Path, at_least: int, folder: Path, levels: Levels | None = None
) -> Path | None:
    """Return where a file's copy is or would be; None where the file is not there.

    The name tells the path, the size and the time of change apart, so that a changed picture has
    no copy until one is made again.
    """
    size, changed = _version(file)
    if not changed:
        return None
    digest = hashlib.blake2b(os.fsencode(os.path.abspath(file)), digest_size=16, key=VERSION)
    digest.update(b"\0%d %d %d" % (size, changed, at_least))
    if levels is not None:
        digest.update(repr(levels).encode())
    name = digest.hexdigest()
    lossy = os.path.splitext(file)[1].lower() in LOSSY
    return folder / name[:2] / f"{name}{'.jpg' if lossy else '.png'}"


SAMPLE = 6  # pictures that are opened once more, to see what their copies would save


def _copies_save(files: Sequence[str | Path], at_least: int) -> tuple[float, float]:
    """Return the files' megapixels, and the seconds a picture that resized copies would save."""
    pixels, saved = [], []
    for file in files[:: max(1, len(files) // SAMPLE)][:SAMPLE]:
        try:
            with Image.open(file) as head:
                size = head.size
            start = time.perf_counter()
            image = open_rgb(file, at_least=decoded(at_least))
            opened = time.perf_counter() - start
        except (*BROKEN, DataError):
            continue
        copy = io.BytesIO()
        image.thumbnail((2 * at_least, at_least) if size[0] > size[1] else (at_least, 2 * at_least))
        image.save(copy, "jpeg", quality=QUALITY, subsampling=SUBSAMPLING)
        start = time.perf_counter()
        Image.open(copy).load()
        pixels.append(size[0] * size[1] / 1e6)
        saved.append(opened - (time.perf_counter() - start))
    return (mean(pixels), mean(saved)) if pixels else (0.0, 0.0)


def make_copies(
    files: Sequence[Path], at_least: int, folder: Path, levels: Levels | None = None
) -> None:
    """Make the copies that are not there yet, in parallel, with a bar where it takes long.

    A copy's shorter side has `at_least` pixels, upright, RGB: a JPEG of quality 95 where the
    picture is stored with losses, else a PNG. A picture that is no larger needs no copy. Each copy
    is moved into place when it is whole, so that a cut leaves none half made.

    Raises:
        RunError: They cannot be written.
        DataError: A picture cannot be read.
    """
    copied = partial(_make_copy, at_least=at_least, folder=folder, levels=levels)
    for _ in mapped(copied, files, "resizing pictures"):
        pass


def _make_copy(file: Path, at_least: int, folder: Path, levels: Levels | None) -> None:
    copy = copy_path(file, at_least, folder, levels)
    if copy is None:
        raise DataError(f"expected a picture, got nothing at {file}")
    if copy.exists():
        return
    with contextlib.suppress(*BROKEN), Image.open(file) as head:
        if min(head.size) <= at_least:
            return
    image = open_rgb(file, at_least=decoded(at_least), levels=levels)
    scale = at_least / min(image.size)
    width, height = (max(at_least, round(side * scale)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    part = copy.with_name(f".{os.getpid()}-{copy.name}")
    options = {"quality": QUALITY, "subsampling": SUBSAMPLING} if copy.suffix == ".jpg" else {}
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        image.save(part, **options)  # type: ignore[arg-type]
        os.replace(part, copy)
    except OSError as error:
        raise RunError(
            f"expected to write resized pictures in {folder}, got: {error}; give another folder"
            " with cache=DIR, or go without"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
