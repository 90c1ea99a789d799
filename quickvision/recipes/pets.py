"""One-liners: a known data set and the settings it is known to work with."""

from __future__ import annotations

from dataclasses import fields, replace
from numbers import Real
from pathlib import Path
from typing import Any

from fastai.vision.augment import aug_transforms

from quickvision.base.progress import say
from quickvision.data.doors import from_df
from quickvision.data.options import Options
from quickvision.data.paths import inside, sides
from quickvision.models.zoo import find_arch
from quickvision.recipes.cars import find_names, read_cars
from quickvision.recipes.cifar10 import find_batches, write_pictures
from quickvision.recipes.datasets import fetch_data
from quickvision.runs.run import Run
from quickvision.runs.train import train

PETS_PATTERN = r"^(.+)_\d+\.jpg$"
MODES = ("both", "features", "finetune")


def train_pets(
    path: str | Path | None = None,
    *,
    arch: str = "resnet34",
    weights: str | Path | None = "default",
    size: int = 224,
    bs: int = 64,
    **options: Any,
) -> Run:
    """Tell 37 breeds of cats and dogs apart: Oxford-IIIT Pet, labels from the file names.

    Args:
        path: Folder with the pictures, or with a folder `images` in it; by default the full data
            set is downloaded once (811 MB) to fastai's data folder.
        arch: As in `cnn_learner`.
        weights: As in `cnn_learner`.
        size: Pixels.
        bs: Pictures in a batch.
        **options: Go to `train` (`frozen_epochs`, `unfrozen_epochs`, `lr`, `seed`, `out`, ...).

    Returns:
        The finished run. Near 5.4 % error is what the fastai book reports for resnet34, 3 frozen
        and 12 unfrozen epochs, on a random fifth of the 7,390 pictures (n = 1,478).

    Raises:
        DataError: The download failed, or `path` holds no pets.

    Source: Parkhi, Vedaldi, Zisserman, Jawahar, "Cats and Dogs" (CVPR 2012), CC BY-SA 4.0.
    """
    root = fetch_data("pets") if path is None else inside(path, "images")
    options = {"name": "pets", **options}
    return train(root, pat=PETS_PATTERN, arch=arch, weights=weights, size=size, bs=bs, **options)


def train_ants_bees(
    path: str | Path | None = None,
    *,
    mode: str = "both",
    frozen_epochs: int | None = None,
    unfrozen_epochs: int | None = None,
    arch: str = "resnet18",
    weights: str | Path | None = "default",
    size: int = 224,
    bs: int = 16,
    **options: Any,
) -> Run:
    """Tell ants from bees: the PyTorch transfer-learning tutorial, 244 photos and 153 to validate.

    Args:
        path: Folder with `train` and `val`, or with `hymenoptera_data` in it; by default it is
            downloaded once (47 MB) to fastai's data folder.
        mode: "features" trains the head on the frozen body, "finetune" all layers from the start,
            "both" the one and then the other, on the same split.
        frozen_epochs: Epochs of the head alone, 5 by default; not with "finetune".
        unfrozen_epochs: Epochs of all layers, 5 by default; not with "features".
        arch: As in `cnn_learner`.
        weights: As in `cnn_learner`; None goes with "finetune" only.
        size: Pixels.
        bs: Pictures in a batch.
        **options: As in `train_pets`; with "both" they go to each of the two runs. Head and crop
            are the tutorial's: `head="linear"`, `crop_pct=0.875`.

    Returns:
        The finished run; with "both" the fine-tuned one, with the other as its `baseline`. The
        tutorial reports, for resnet18 and 25 epochs, the best of which counts, 95.4 % frozen and,
        in three renderings of the same page, 92.2, 94.1 and 95.4 % fine-tuned (n = 153, so that
        the interval of each is some 7 points wide: neither beats the other).

    Raises:
        DataError: The download failed, or `path` holds no class folders.
        ValueError: `mode` is none of these, or the epochs or the weights contradict it.

    Source: Chilamkurthy, "Transfer Learning for Computer Vision Tutorial" (pytorch.org).
    """
    stages = _stages(mode, frozen_epochs, unfrozen_epochs)
    if weights is None and mode != "finetune":
        raise ValueError(f"weights: expected some for mode={mode!r}, which freezes them, got None")
    root = fetch_data("ants_bees") if path is None else inside(path, "hymenoptera_data")
    name = options.pop("name", "ants-bees")
    options |= {"arch": arch, "weights": weights, "size": size, "bs": bs}
    options = {"head": "linear", "crop_pct": 0.875, **options}  # the tutorial's
    runs = []
    for stage, epochs in stages.items():
        say(f"{'mode':<13}{stage}", verbose=options.get("verbose", True))
        runs.append(train(root, name=f"{name}-{stage}", **epochs, **options))
    if mode == "both":
        frozen, tuned = runs
        text = f"\n{'features':<13}{frozen.accuracy}\n{'finetune':<13}{tuned.accuracy}"
        say(text, verbose=options.get("verbose", True))
        return replace(tuned, baseline=frozen)
    return runs[0]


def _stages(mode: str, frozen: int | None, unfrozen: int | None) -> dict[str, dict[str, Any]]:
    """Return the epochs of each run that `mode` asks for."""
    if mode not in MODES:
        raise ValueError(f"mode: expected one of {', '.join(MODES)}, got {mode!r}")
    if mode == "features" and unfrozen:
        raise ValueError(f"unfrozen_epochs: mode='features' has none, got {unfrozen}")
    if mode == "finetune" and frozen:
        raise ValueError(f"frozen_epochs: mode='finetune' has none, got {frozen}")
    given = {"frozen_epochs": frozen, "unfrozen_epochs": unfrozen}
    wanted = {"features": "frozen_epochs", "finetune": "unfrozen_epochs"}
    stages: dict[str, dict[str, Any]] = {}
    for stage in wanted if mode == "both" else [mode]:
        epochs = given[wanted[stage]]
        if epochs is not None and epochs < 1:
            raise ValueError(f"{wanted[stage]}: expected at least 1 for {mode=}, got {epochs}")
        stages[stage] = dict.fromkeys(given, 0) | {wanted[stage]: 5 if epochs is None else epochs}
    return stages


def train_cars(
    path: str | Path | None = None,
    *,
    valid: Any = None,
    arch: str = "resnet34",
    weights: str | Path | None = "default",
    size: int = 224,
    bs: int = 64,
    **options: Any,
) -> Run:
    """Tell 196 makes and models of cars apart: Stanford Cars.

    Args:
        path: Folder with class folders, or `train` and `test` of them, and a `names.csv` in or
            above it where they are numbers; or with `cars_train`, and the authors' annotations in
            `devkit`. By default it is downloaded once (2 GB) to fastai's data folder.
        valid: As in `from_folder`. By default the test pictures where their labels are there, else
            a fifth. A fraction is taken from the training pictures, at least one of each class
            (0.01 of the 8,144 holds out 196), and the test pictures are left alone.
        arch: As in `cnn_learner`.
        weights: As in `cnn_learner`.
        size: Pixels.
        bs: Pictures in a batch.
        **options: As in `train_pets`.

    Returns:
        The finished run. 85 % is reported for fastai's plain one-cycle with resnet152, and 88 %
        with tuned rates that are sliced over the layers, as `lr_unfrozen=slice(...)`.

    Raises:
        DataError: The download failed, or `path` holds none of these.

    Source: Krause, Stark, Deng, Fei-Fei, "3D Object Representations for Fine-Grained
    Categorization" (2013). The numbers: github.com/morganmcg1/stanford-cars, notebooks 1 and 2.
    """
    options = {"name": "cars", "arch": arch, "weights": weights, **options}
    data: dict[str, Any] = {"size": size, "bs": bs} | ({} if valid is None else {"valid": valid})
    if path is None:
        cars = fetch_data("cars")
        options = {"class_names": cars / "names.csv", **options}
        return train(cars / "train.csv", **data, **options)
    root = inside(inside(path, "stanford-cars", "car_data"), "car_data")  # twice, as Kaggle does
    if (root / "cars_train").is_dir():
        table = read_cars(root)
        if valid is None and table["is_test"].any():
            data["valid_col"] = "is_test"
        else:
            table = table[~table["is_test"]].drop(columns="is_test")
        doors = {field.name for field in fields(Options)} & set(options)
        data |= {name: options[name] if name == "seed" else options.pop(name) for name in doors}
        settings = find_arch(arch).settings
        usual = {"interpolation": settings.interpolation, "crop_pct": settings.crop_pct}
        data = {**usual, **data}
        dls = from_df(table, images=root, fn_col="file", label_col="label", **data)
        return train(dls, **options)
    if names := find_names(root):
        options = {"class_names": names, **options}
    return train(sides(root)[0] if isinstance(valid, Real) else root, **data, **options)


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
    root = fetch_data("cifar10") if path is None else inside(path, "cifar10")
    batches = find_batches(root)
    root = root if batches is None else write_pictures(batches)
    defaults = {
        "name": "cifar10",
        # Batch norm's statistics, of objects seven times as large, must follow: cached ones cannot.
        "cache_features": False,
        "batch_tfms": aug_transforms(),  # nothing is cropped: there is nothing to crop from
    }
    return train(root, arch=arch, weights=weights, size=size, bs=bs, **{**defaults, **options})
