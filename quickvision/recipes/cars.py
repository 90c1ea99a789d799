"""Stanford Cars: 196 makes and models, as its authors annotate them, in MATLAB files."""

from __future__ import annotations

import os
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastai.data.external import URLs
from scipy.io import loadmat

import quickvision
from quickvision.base.errors import DataError, some
from quickvision.base.files import cache_folder, whole_folder
from quickvision.data.doors import from_df
from quickvision.data.options import Options
from quickvision.data.paths import find_files, inside
from quickvision.data.sides import arrange
from quickvision.recipes.downloads import fetch, untar_data
from quickvision.runs.run import Run
from quickvision.runs.train import train

TRAIN, NAMES = "cars_train_annos.mat", "cars_meta.mat"
TEST = "cars_test_annos_withlabels.mat"

# fastai's archive has the pictures without usable labels, and the authors' site is gone: a copy in
# torchvision's issue 7545, with the checksum that torchvision published for the original.
CARS_DEVKIT = "https://github.com/pytorch/vision/files/11644847/car_devkit.tgz"
CARS_DEVKIT_SUM = "md5:c3b158d763b6e2245038c8ad08e45376"


def find_devkit(root: Path) -> Path | None:
    """Return the folder that has the annotations of `root/cars_train`, or None."""
    folders = (root / "devkit", root / "car_devkit" / "devkit", root, root.parent / "devkit")
    return next((kit for kit in folders if (kit / TRAIN).is_file()), None)


def find_names(root: Path) -> Path | None:
    """Return the `names.csv` in or above `root` where its class folders are numbers, or None."""
    names = find_files(root).names
    training = arrange(root, names).of("train")[0]
    below = (name[len(training) :] for name in names if name.startswith(training))
    classes = {name.partition("/")[0] for name in below}
    if not classes or not all(map(str.isdecimal, classes)):
        return None
    files = (top / "names.csv" for top in [root, *root.absolute().parents][:3])
    return next((file for file in files if file.is_file()), None)


def read_cars(root: Path, devkit: Path | None = None) -> pd.DataFrame:
    """Read the annotations of the pictures in `cars_train` and, where they are, `cars_test`.

    Args:
        root: The folder of `cars_train` and `cars_test`.
        devkit: The folder of the annotations; by default it is looked for in and beside `root`.

    Returns:
        A row a picture: `file` (below `root`, with `/`), `label` (a name such as "Audi TTS Coupe
        2012"), `is_test`. Test pictures are there where `cars_test_annos_withlabels.mat` is: the
        authors' devkit has none of their labels.

    Raises:
        DataError: The annotations are not there, cannot be read, or speak of unknown classes.

    Source: the README of the authors' `car_devkit.tgz`.
    """
    kit = devkit or find_devkit(root)
    if kit is None:
        raise DataError(
            f"expected devkit/{TRAIN} and devkit/{NAMES} in {root}, which say what its pictures"
            " show, got none; they come in the authors' car_devkit.tgz: unpack it there"
        )
    names = [str(name) for name in _read(kit / NAMES, "class_names")]
    rows = _rows(kit / TRAIN, root, "cars_train", names)
    test = next((file for file in (root / TEST, kit / TEST) if file.is_file()), None)
    if test is not None:
        rows += _rows(test, root, "cars_test", names)
    return pd.DataFrame(rows, columns=["file", "label", "is_test"])


def write_numbered(root: Path, devkit: Path) -> Path:
    """Lay the cars out as hackathons hand them out, once, in our cache folder.

    Args:
        root: The folder of `cars_train` and `cars_test`; it stays as it is.
        devkit: The folder of the annotations.

    Returns:
        A folder with `train.csv` (`file`, `class` from 1), `names.csv` (a name a line, no header),
        and the pictures in `train` and `test`: the same files on the disk where both folders are on
        one, else copies.

    Raises:
        DataError: As `read_cars`.
        RunError: The cache folder cannot be written.
    """
    target = cache_folder() / "cars"
    if target.is_dir():
        return target
    table = read_cars(root, devkit)
    table = table[~table["is_test"]]
    names = [str(name) for name in _read(devkit / NAMES, "class_names")]
    with whole_folder(target) as part:
        for side in ("train", "test"):
            (part / side).mkdir()
        for file in table["file"]:
            _same(root / file, part / "train" / Path(file).name)
        for picture in sorted((root / "cars_test").rglob("*.jpg")):
            _same(picture, part / "test" / picture.name)
        files = [f"train/{Path(file).name}" for file in table["file"]]
        classes = [names.index(label) + 1 for label in table["label"]]
        pd.DataFrame({"file": files, "class": classes}).to_csv(part / "train.csv", index=False)
        pd.Series(names).to_csv(part / "names.csv", index=False, header=False)
    return target


def _same(picture: Path, place: Path) -> None:
    """Give a picture a second place, which needs no space on the same disk."""
    try:
        os.link(picture, place)
    except OSError:  # another disk, or one that knows no links
        shutil.copyfile(picture, place)


def _rows(file: Path, root: Path, pictures: str, names: list[str]) -> list[tuple[str, str, bool]]:
    annotations = _read(file, "annotations")
    fields = annotations.dtype.names or ()
    if not {"fname", "class"} <= set(fields):
        raise DataError(
            f"expected the fields fname and class in {file}, got {some(fields) or 'no fields'};"
            f" labels of test pictures are in {TEST}"
        )
    found = [(Path(str(row["fname"])).name, int(row["class"])) for row in annotations]
    if strange := [label for _, label in found if not 0 < label <= len(names)]:
        raise DataError(
            f"expected classes from 1 to {len(names)} in {file}, got {some(strange)}; fetch"
            " car_devkit.tgz again"
        )
    if (root / pictures / pictures).is_dir():  # as Kaggle packs it
        pictures = f"{pictures}/{pictures}"
    is_test = pictures.startswith("cars_test")
    return [(f"{pictures}/{name}", names[label - 1], is_test) for name, label in found]


def _read(file: Path, variable: str) -> np.ndarray:
    """Read one variable; the reader runs nothing of what is in the file."""
    try:
        held: dict[str, Any] = loadmat(file, squeeze_me=True, appendmat=False)
        return np.atleast_1d(held[variable])
    except Exception as error:  # scipy says anything from zlib.error to KeyError of bad files
        raise DataError(
            f"expected a MATLAB file with {variable!r}, got {file}: {type(error).__name__}: {error}"
        ) from error


def fetch_cars() -> Path:
    """See `quickvision.fetch_data`."""
    root = inside(untar_data(URLs.CARS), "stanford-cars")
    return write_numbered(root, devkit=fetch(CARS_DEVKIT, checksum=CARS_DEVKIT_SUM))


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
        cars = fetch_cars()
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
        settings = quickvision.model_settings(arch)
        usual = {"interpolation": settings.interpolation, "crop_pct": settings.crop_pct}
        data = {**usual, **data}
        dls = from_df(table, images=root, fn_col="file", label_col="label", **data)
        return train(dls, **options)
    if names := find_names(root):
        options = {"class_names": names, **options}
    return train(root, **data, **options)
