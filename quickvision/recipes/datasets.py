"""The data sets that people learn with: fetched once, in a layout that the doors read."""

from __future__ import annotations

from pathlib import Path

from quickvision.base.choices import is_among
from quickvision.base.errors import did_you_mean
from quickvision.recipes.ants_bees import fetch_ants_bees
from quickvision.recipes.cars import fetch_cars
from quickvision.recipes.cifar10 import fetch_cifar10
from quickvision.recipes.pets import fetch_pets

FETCH = {
    "pets": fetch_pets,
    "ants_bees": fetch_ants_bees,
    "cars": fetch_cars,
    "cifar10": fetch_cifar10,
}


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
    if not is_among(name, FETCH):
        near = did_you_mean(str(name), FETCH) or f"; there are {', '.join(FETCH)}"
        raise ValueError(f"name: no such data set {name!r}{near}")
    return FETCH[name]()
