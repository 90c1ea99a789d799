"""CIFAR-10: class folders, or the pickles of its author, read without running what is in them."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fastai.data.external import URLs
from fastai.vision.augment import aug_transforms
from PIL import Image

from quickvision.base.errors import DataError
from quickvision.base.files import cache_folder, whole_folder
from quickvision.base.progress import counted
from quickvision.data.paths import inside
from quickvision.recipes.downloads import untar_data
from quickvision.runs.run import Run
from quickvision.runs.train import train

NAME = "cifar-10-batches-py"
BATCHES = {f"data_batch_{number}": "train" for number in range(1, 6)} | {"test_batch": "test"}
NAMES = "batches.meta"
SIDE = 32  # pixels; a row is 1,024 of each of red, green and blue
AGAIN = f"fetch {NAME} again"


class _Unpickler(pickle.Unpickler):
    """Read arrays, text, numbers, lists and dicts, and refuse the rest before it can run."""

    ALLOWED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),  # how newer protocols write bytes for Python 2
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        """Return what arrays are made with; nothing else has a place in CIFAR-10.

        Raises:
            pickle.UnpicklingError: Something else is named.
        """
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it wants to call {module}.{name}")
        return super().find_class(module, name)


def find_batches(path: Path) -> Path | None:
    """Return the folder of the pickles, `path` or one in it, or None where there is none."""
    folders = (path, path / NAME)
    return next((f for f in folders if any((f / batch).is_file() for batch in BATCHES)), None)


def write_pictures(batches: Path) -> Path:
    """Write the pictures as `train/CLASS/*.png` and `test/CLASS/*.png`, once, to our cache folder.

    Args:
        batches: The folder of the pickles; it stays as it is.

    Returns:
        The folder of `train` and `test`, another one for other pickles (by path, size and time).

    Raises:
        DataError: A pickle is missing, is none, holds something else, or would run something.
        RunError: The cache folder cannot be written.
    """
    files = [batches / name for name in (*BATCHES, NAMES)]
    if missing := [file.name for file in files if not file.is_file()]:
        raise DataError(f"expected {', '.join(missing)} in {batches}, got none; {AGAIN}")
    facts = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    key = hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    target = cache_folder() / "cifar10" / key
    if target.is_dir():
        return target
    names = _names(files[-1])
    with whole_folder(target) as part:
        for side in ("train", "test"):
            for name in names:
                (part / side / name).mkdir(parents=True)
        for number, (batch, side) in enumerate(BATCHES.items()):
            pixels, labels = _batch(batches / batch, len(names))
            pairs = zip(pixels, labels, strict=True)
            for i, (picture, label) in enumerate(counted(pairs, len(labels), f"write {batch}")):
                file = part / side / names[label] / f"{number}_{i:05d}.png"
                Image.fromarray(picture).save(file)
    return target


def _names(file: Path) -> list[str]:
    names = _load(file).get("label_names")
    if not isinstance(names, Sequence) or isinstance(names, str) or len(names) < 2:
        raise DataError(f"expected a list label_names in {file}, got {names!r}; {AGAIN}")
    # They become folders' names: none may lead elsewhere.
    if not all(isinstance(n, str) and n.isalnum() for n in names) or len(set(names)) < len(names):
        raise DataError(f"expected names such as airplane in {file}, got {names!r}; {AGAIN}")
    return list(names)


def _batch(file: Path, classes: int) -> tuple[np.ndarray, list[int]]:
    """Return pixels, uint8 [n, 32, 32, 3], and n labels from 0."""
    batch = _load(file)
    data, labels = batch.get("data"), batch.get("labels")
    pixels = 3 * SIDE**2
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (pixels,):
        got = type(data).__name__
        if isinstance(data, np.ndarray):
            got = f"{data.dtype} {list(data.shape)}"
        raise DataError(f"expected data, uint8 [n, {pixels}], in {file}, got {got}; {AGAIN}")
    if not isinstance(labels, list) or len(labels) != len(data):
        got = f"{len(labels):,}" if isinstance(labels, list) else type(labels).__name__
        raise DataError(f"expected {len(data):,} labels in {file}, got {got}; {AGAIN}")
    strange = [y for y in labels if type(y) is not int or not 0 <= y < classes]
    if strange:
        raise DataError(
            f"expected labels from 0 to {classes - 1} in {file}, got {strange[0]!r}; {AGAIN}"
        )
    return data.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), labels


def _load(file: Path) -> dict[str, Any]:
    """Read a dict from a pickle; text of Python 2, as keys and names are, becomes text."""
    try:
        with open(file, "rb") as opened:
            held = _Unpickler(opened, encoding="latin1").load()
    except Exception as error:  # broken pickles say anything
        raise DataError(f"expected a pickle of CIFAR-10, got {file}: {error}; {AGAIN}") from error
    if not isinstance(held, dict):
        raise DataError(f"expected a dict in {file}, got {type(held).__name__}; {AGAIN}")
    return {k.decode("latin1") if isinstance(k, bytes) else k: v for k, v in held.items()}


def fetch_cifar10() -> Path:
    """See `quickvision.fetch_data`."""
    return untar_data(URLs.CIFAR)


def train_cifar10(
    path: str | Path | None = None,
    *,
    arch: str = "timm/seresnet50",
    weights: str | Path | None = "default",
    size: int = 32,
    bs: int = 128,
    **options: Any,
) -> Run:
    """Tell ten kinds of things apart on 32 pixels: CIFAR-10, 50,000 pictures and 10,000 to test.

    Args:
        path: Folder with `train` and `test`; or `cifar-10-batches-py`, as torchvision leaves it, or
            the folder it is in: its pickles are read without running them, and written once as
            pictures to our cache folder. By default fastai's archive of class folders is downloaded
            once (168 MB) to its data folder.
        arch: As in `cnn_learner`.
        weights: As in `cnn_learner`.
        size: Pixels.
        bs: Pictures in a batch.
        **options: As in `train_pets`. `cache_features` is False by default.

    Returns:
        The finished run. 86.2 % is reported for an SE-ResNet50 of which only the head is trained,
        at 32 pixels: `unfrozen_epochs=0`.

    Raises:
        DataError: The download failed, or `path` holds neither, or bad pickles.
        RunError: The cache folder cannot be written.

    Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009).
    """
    root = fetch_cifar10() if path is None else inside(path, "cifar10")
    batches = find_batches(root)
    root = root if batches is None else write_pictures(batches)
    defaults = {
        "name": "cifar10",
        # Batch norm's statistics, of objects seven times as large, must follow: cached ones cannot.
        "cache_features": False,
        "batch_tfms": aug_transforms(),  # nothing is cropped: there is nothing to crop from
    }
    return train(root, arch=arch, weights=weights, size=size, bs=bs, **{**defaults, **options})
