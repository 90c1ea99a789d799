"""CIFAR-10: class folders, or the published pickles, which are checked before they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastai.data.external import URLs
from fastai.vision.augment import aug_transforms
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import check_integrity

from quickvision.base.errors import DataError, some
from quickvision.base.files import cache_folder, whole_folder
from quickvision.base.progress import counted
from quickvision.data.paths import inside
from quickvision.recipes.downloads import untar_data
from quickvision.runs.run import Run
from quickvision.runs.train import train


class Pickles(CIFAR10):
    """torchvision's reader, for a folder of any name. It checks each file's MD5 before it reads."""

    base_folder = ""

    @classmethod
    def published(cls) -> dict[str, str]:
        """The files and their MD5."""
        batches = [(name, md5) for name, md5 in (*cls.train_list, *cls.test_list)]
        return dict([*batches, (cls.meta["filename"], cls.meta["md5"])])


def find_batches(path: Path) -> Path | None:
    """Return the folder of the pickles, `path` or one in it, or None where there is none."""
    folders, names = (path, path / CIFAR10.base_folder), Pickles.published()
    return next((f for f in folders if any((f / name).is_file() for name in names)), None)


def write_pictures(batches: Path) -> Path:
    """Write the pictures as `train/CLASS/*.png` and `test/CLASS/*.png`, once, to our cache folder.

    Args:
        batches: The folder of the pickles; it stays as it is. A pickle can run code when it is
            read: one that is not to the byte what was published is not read.

    Returns:
        The folder of `train` and `test`.

    Raises:
        DataError: A pickle is missing or another one.
        RunError: The cache folder cannot be written.
    """
    names = Pickles.published()
    if odd := [name for name in names if not check_integrity(str(batches / name), names[name])]:
        raise DataError(
            f"expected {CIFAR10.base_folder} as published in {batches}, got other or no"
            f" files of the names {some(odd)}; fetch it again"
        )
    target = cache_folder() / "cifar10" / "published"
    if target.is_dir():
        return target
    with whole_folder(target) as part:
        for side in ("train", "test"):
            found = Pickles(batches, train=side == "train")
            for name in found.classes:
                (part / side / name).mkdir(parents=True)
            for i in counted(range(len(found)), len(found), f"write {side}"):
                picture, label = found[i]
                picture.save(part / side / found.classes[label] / f"{i:05d}.png")
    return target


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
            the folder it is in: its pickles, if they are the published ones, are written once as
            pictures to our cache folder. By default fastai's archive of class folders is downloaded
            once (168 MB) to its data folder.
        arch: As in `cnn_learner`.
        weights: As in `cnn_learner`.
        size: Pixels.
        bs: Pictures in a batch.
        **options: As in `train_pets`. By default `cache_features` is False and
            `batch_norm` "train".

    Returns:
        The finished run. 86.2 % is reported for an SE-ResNet50 of which only the head is trained,
        at 32 pixels: `unfrozen_epochs=0`.

    Raises:
        DataError: The download failed, or `path` holds neither, or other pickles.
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
        "batch_norm": "train",
        "batch_tfms": aug_transforms(),  # nothing is cropped: there is nothing to crop from
    }
    return train(root, arch=arch, weights=weights, size=size, bs=bs, **{**defaults, **options})
