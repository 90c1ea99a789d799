"""What is pasted from a page of text runs: on small pictures, for an epoch.

`laid_out` makes the folder that the pages speak of; `small` makes the calls in it cheap; `python`
and `commands` read the blocks of a page.
"""

from __future__ import annotations

import functools
import re
import shutil
from pathlib import Path

import torch
import torchvision
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from PIL import Image

import quickvision as qv

ROOT = Path(__file__).parent.parent
BREEDS = (
    *("abyssinian", "beagle", "boxer", "chihuahua", "maine_coon"),
    *("persian", "pug", "ragdoll", "samoyed", "siamese"),
)
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SMALL_DATA = {"size": 32, "bs": 16}
SMALL_RUN = {**SMALL_DATA, "frozen_epochs": 1, "unfrozen_epochs": 1}
SMALL = {
    **dict.fromkeys(
        ("load_data", "from_folder", "from_name_re", "from_csv", "from_df"), SMALL_DATA
    ),
    **dict.fromkeys(("train", "train_pets", "train_ants_bees", "compare"), SMALL_RUN),
    "find_lr": {"num_it": 20},
}
QUICK = {"--size": "32", "--bs": "16", "--frozen-epochs": "1", "--unfrozen-epochs": "0"}
WEIGHTS = ("resnet18", "resnet34", "mobilenet_v2", "mobilenet_v3_small")


def laid_out(folder: Path) -> Path:
    """A folder with all that the pages name; scanned digits stand in for the photos.

    - `photos/CLASS/CLASS_N.jpg`, ten classes with the names of breeds; `labelled`, the same again;
    - `images/CLASS_N.jpg`, the same without folders;
    - `cars.csv`, without a header: `images/CLASS_N.jpg`, and a number; `names.csv`: a name a line;
    - `labels.csv`, with one: image, breed, animal, fold (`train` or `valid`);
    - `new.jpg`, `more/*.jpg`, `test/*.jpg`; `sample_submission.csv` for those: id, label;
    - `fixes.csv`, which drops one picture;
    - `mobilenet_v2.pth`, and `torch`, a `TORCH_HOME` with weights of four networks.
    """
    rows, animals = [], []
    for file in sorted((ROOT / "nbs_data" / "digits").glob("*.png"))[1::3]:  # a third is enough
        number, n = file.stem.split("_")
        label = BREEDS[NUMBERS.index(number)]
        name = f"{label}_{int(n)}.jpg"
        for target in (folder / "images", folder / "photos" / label):
            target.mkdir(parents=True, exist_ok=True)
            Image.open(file).save(target / name)
        rows.append(f"images/{name},{NUMBERS.index(number)}\n")
        side = "valid" if len(rows) % 4 == 0 else "train"
        animals.append(f"images/{name},{label},animal-{len(rows) // 2},{side}\n")
    (folder / "cars.csv").write_text("".join(rows))
    (folder / "names.csv").write_text("".join(f"{breed}\n" for breed in BREEDS))
    (folder / "labels.csv").write_text("image,breed,animal,fold\n" + "".join(animals))
    some = [sorted(place.glob("*.jpg"))[0] for place in sorted((folder / "photos").glob("*"))]
    shutil.copytree(folder / "photos", folder / "labelled")
    for name in ("more", "test"):
        (folder / name).mkdir()
        for file in some:
            shutil.copy(file, folder / name)
    shutil.copy(some[1], folder / "new.jpg")
    ids = "".join(f"{file.stem},{BREEDS[0]}\n" for file in some)
    (folder / "sample_submission.csv").write_text(f"id,label\n{ids}")
    first = some[0].relative_to(folder / "photos").as_posix()
    (folder / "fixes.csv").write_text(f"path,action,label\n{first},drop,\n")
    kept = folder / "torch" / "hub" / "checkpoints"
    kept.mkdir(parents=True)
    for arch in WEIGHTS:
        name = torchvision.models.get_model_weights(arch).DEFAULT.url.rsplit("/", 1)[1]
        torch.save(torchvision.models.get_model(arch).state_dict(), kept / name)
    shutil.copy(next(kept.glob("mobilenet_v2*")), folder / "mobilenet_v2.pth")
    return folder


def small(monkeypatch) -> None:
    """Calls of the front door take small pictures and one epoch, where the page says nothing."""
    for name, options in SMALL.items():
        monkeypatch.setattr(qv, name, _with_defaults(getattr(qv, name), options))


def _with_defaults(call, options):
    @functools.wraps(call)
    def cheap(*args, **kwargs):
        made = args and isinstance(args[0], DataLoaders | Learner)  # has its pictures already
        mine = {k: v for k, v in options.items() if not (made and k in SMALL_DATA)}
        return call(*args, **{**mine, **kwargs})

    return cheap


def python(page: str) -> list[str]:
    """The page's blocks of Python, as they stand."""
    return re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[str]:
    """The page's commands, without the prompt; a line that ends in a backslash goes on."""
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", "\n".join(blocks))
    return [re.sub(r"\s+#.*$", "", line) for line in re.findall(r"^\$ (.*)$", lines, re.MULTILINE)]


def quick(words: list[str]) -> list[str]:
    """The words of a `quickvision` command, with a small run where it trains."""
    if words[0] not in ("train", "compare"):
        return words
    return [*words, *(w for k, v in QUICK.items() if k not in words for w in (k, v))]
