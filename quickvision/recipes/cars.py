"""Stanford Cars as its authors annotate it: MATLAB files that say which car each picture shows."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.io import loadmat

from quickvision.base.cache import cache_folder
from quickvision.base.errors import DataError, RunError, some
from quickvision.data.paths import sides

TRAIN, NAMES = "cars_train_annos.mat", "cars_meta.mat"
TEST = "cars_test_annos_withlabels.mat"


def find_devkit(root: Path) -> Path | None:
    """Return the folder that has the annotations of `root/cars_train`, or None."""
    folders = (root / "devkit", root / "car_devkit" / "devkit", root, root.parent / "devkit")
    return next((kit for kit in folders if (kit / TRAIN).is_file()), None)


def find_names(root: Path) -> Path | None:
    """Return the `names.csv` in or above `root` where its class folders are numbers, or None."""
    training, _ = sides(root)
    classes = [top.name for top in training.iterdir() if top.is_dir() and top.name[0] != "."]
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
    part = target.with_name(f".{os.getpid()}-cars")
    try:
        for side in ("train", "test"):
            (part / side).mkdir(parents=True)
        for file in table["file"]:
            _same(root / file, part / "train" / Path(file).name)
        for picture in sorted((root / "cars_test").rglob("*.jpg")):
            _same(picture, part / "test" / picture.name)
        files = [f"train/{Path(file).name}" for file in table["file"]]
        classes = [names.index(label) + 1 for label in table["label"]]
        pd.DataFrame({"file": files, "class": classes}).to_csv(part / "train.csv", index=False)
        pd.Series(names).to_csv(part / "names.csv", index=False, header=False)
        os.replace(part, target)
    except OSError as error:
        if not target.is_dir():  # else another process was first
            raise RunError(f"expected to write pictures to {target}, got: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
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
