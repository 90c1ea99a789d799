"""The data sets that people learn with: fetched once, in a layout that the doors read."""

from __future__ import annotations

from pathlib import Path

from fastai.data.external import URLs

from quickvision.base.errors import did_you_mean
from quickvision.data.paths import inside
from quickvision.recipes.cars import write_numbered
from quickvision.recipes.downloads import fetch, untar_data

# Source of the checksum: pytorch/tutorials, `.jenkins/download_data.py`.
ANTS_BEES = "https://download.pytorch.org/tutorial/hymenoptera_data.zip"
ANTS_BEES_SUM = "sha256:fbc41b31d544714d18dd1230b1e2b455e1557766e13e67f9f5a7a23af7c02209"
# fastai's archive has the pictures without usable labels, and the authors' site is gone: a copy in
# torchvision's issue 7545, with the checksum that torchvision published for the original.
CARS_DEVKIT = "https://github.com/pytorch/vision/files/11644847/car_devkit.tgz"
CARS_DEVKIT_SUM = "md5:c3b158d763b6e2245038c8ad08e45376"

DATA_SETS = ("pets", "ants_bees", "cars", "cifar10")


def fetch_data(name: str) -> Path:
    """Get a data set that people learn with: downloaded once, checked, in fastai's data folder.

    A download that was cut goes on where it was; one that is not what was published is refused.

    Args:
        name: Which one.

            - "pets", Oxford-IIIT Pet (811 MB): a folder of photos, the breed in the name.
            - "ants_bees", the PyTorch tutorial's (47 MB): `train` and `val` of class folders.
            - "cars", Stanford Cars (2 GB), as hackathons hand it out: `train.csv` (`file`, `class`
              from 1), `names.csv` (a name a line), and `test`, whose labels are not there.
            - "cifar10" (168 MB): `train` and `test` of class folders, 32 pixels.

    Returns:
        The folder. That of the cars is in our cache folder, and shares the photos' space on the
        disk with fastai's where both are on one.

    Raises:
        DataError: The download failed.
        RunError: Our cache folder cannot be written.
        ValueError: There is no such data set.
    """
    if name == "pets":
        root = untar_data(URLs.PETS) / "images"
    elif name == "ants_bees":
        root = fetch(ANTS_BEES, checksum=ANTS_BEES_SUM)
    elif name == "cars":
        root = write_numbered(
            inside(untar_data(URLs.CARS), "stanford-cars"),
            devkit=fetch(CARS_DEVKIT, checksum=CARS_DEVKIT_SUM),
        )
    elif name == "cifar10":
        root = untar_data(URLs.CIFAR)
    else:
        near = did_you_mean(str(name), DATA_SETS) or f"; there are {', '.join(DATA_SETS)}"
        raise ValueError(f"name: no such data set {name!r}{near}")
    return root
