"""Accuracy of each stage, on sets that can be built from what is at hand, beside three others.

    python benchmarks/accuracy.py SHARED [--sets NAME ...] [--seeds 0 1 2] [--size 128]
                                         [--sides quickvision fastai regression tutorial]

SHARED holds `data/hymenoptera`, `data/pets_sample` and `weights/mobilenet_v2_imagenet.pth`. All
sides see the same pictures on the same sides, at the same size; a seed is a split, too, where the
set has none of its own.

- `quickvision`: `qv.train(FOLDER)`, nothing chosen: 4 frozen and 2 unfrozen epochs.
- `fastai`: `vision_learner(...).fine_tune(2, freeze_epochs=4)`, as its docs write it.
- `regression`: scikit-learn's `LogisticRegressionCV` on the pooled features of the same body.
- `tutorial`, `tutorial-all`: the PyTorch tutorial's two experiments, 25 epochs, its best one.

Nothing is picked on validation pictures but the tutorial's best epoch, which is how it is written.
A second model, without batch norm, is a small ConvNeXt that has learned the digits 0 to 4 here.
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from canonical import tutorial, tutorial_all
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegressionCV
from threadpoolctl import threadpool_limits

import quickvision as qv

Change = Callable[[Image.Image], Image.Image]
Labelled = list[tuple[Image.Image, str, str]]  # picture, class, "train", "valid" or "" to be split
BLURRY, SMALL = 128, 32


def as_is(image: Image.Image) -> Image.Image:
    image.thumbnail((400, 400))  # what is larger than a network sees only takes time
    return image


def blurred(image: Image.Image) -> Image.Image:
    """Shrink to 32 pixels and enlarge to 128."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    tiny = square.resize((SMALL, SMALL), Image.Resampling.BILINEAR)
    return tiny.resize((BLURRY, BLURRY), Image.Resampling.BILINEAR)


def grey(image: Image.Image) -> Image.Image:
    return as_is(image).convert("L").convert("RGB")


def cast(image: Image.Image) -> Image.Image:
    """A strong blue cast, as under water."""
    pixels = np.asarray(as_is(image), dtype=float) * (0.35, 0.8, 1.0) + (0, 0, 40)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def noisy(image: Image.Image) -> Image.Image:
    image.thumbnail((256, 256))
    noise = np.random.default_rng(image.width * image.height).normal(0, 50, (*image.size[::-1], 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def ants(shared: Path, change: Change = as_is) -> Labelled:
    root, sides = shared / "data/hymenoptera", {"train": "train", "val": "valid"}
    return [
        (change(Image.open(file).convert("RGB")), file.parent.name, sides[file.parent.parent.name])
        for file in sorted(root.rglob("*.jp*g"))
    ]


def pets(shared: Path, change: Change = as_is) -> Labelled:
    files = sorted((shared / "data/pets_sample/images").glob("*.jpg"))
    return [
        (change(Image.open(file).convert("RGB")), file.stem.rpartition("_")[0], "")
        for file in files
    ]


def digits(shared: Path, size: int, of: range = range(10)) -> Labelled:
    found = load_digits()
    return [
        (Image.fromarray((scan * 15.9).astype(np.uint8)).resize((size, size)), f"digit {n}", "")
        for scan, n in zip(found.images, found.target, strict=True)
        if n in of
    ]


# Name -> how it is made, pictures of a class to train on (None: all), to validate with.
SETS: dict[str, tuple[Callable[[Path], Labelled], int | None, int]] = {
    "ants and bees": (ants, None, 0),
    "pets": (pets, None, 2),
    "ants and bees, blurry": (partial(ants, change=blurred), None, 0),
    "pets, blurry": (partial(pets, change=blurred), None, 2),
    "pets, grey": (partial(pets, change=grey), None, 2),
    "pets, blue cast": (partial(pets, change=cast), None, 2),
    "pets, noise": (partial(pets, change=noisy), None, 2),
    "digits at 128, 20 a class": (partial(digits, size=128), 20, 40),
    "digits at 128, 100 a class": (partial(digits, size=128), 100, 40),
    "digits at 32, 20 a class": (partial(digits, size=32), 20, 40),
    "digits at 32, 100 a class": (partial(digits, size=32), 100, 40),
    "ants and bees, 3 a class": (ants, 3, 0),
    "pets, 3 a class": (pets, 3, 2),
    "digits 5-9 at 32, 20 a class (ConvNeXt)": (partial(digits, size=32, of=range(5, 10)), 20, 60),
    "digits 5-9 at 32, 90 a class (ConvNeXt)": (partial(digits, size=32, of=range(5, 10)), 90, 60),
}


def written(pictures: Labelled, k: int | None, held: int, seed: int, root: Path) -> Path:
    """Write a set as `train` and `valid` with a folder a class."""
    rng = np.random.default_rng(seed)
    for label in sorted({label for _, label, _ in pictures}):
        mine = [(image, side) for image, name, side in pictures if name == label]
        if any(side for _, side in mine):
            sides = {s: [image for image, side in mine if side == s] for s in ("train", "valid")}
            sides["train"] = [sides["train"][i] for i in rng.permutation(len(sides["train"]))[:k]]
        else:
            order = [mine[i][0] for i in rng.permutation(len(mine))]
            sides = {"valid": order[:held], "train": order[held:][:k]}
        for side, images in sides.items():
            folder = root / side / label
            folder.mkdir(parents=True)
            for i, image in enumerate(images):
                image.save(folder / f"{i:04d}.jpg", quality=95, subsampling=0)
    return root


def quickvision(folder: Path, model: dict[str, Any], size: int, seed: int) -> dict[str, float]:
    flip = {"flip": False} if "digit" in folder.name else {}
    how = {"out": folder / "runs", "check": False, "verbose": False, **flip}
    run = qv.train(folder, **model, size=size, seed=seed, **how)
    ends = run.stages.set_index("stage")["accuracy"]
    return {"frozen": float(ends["frozen"]), "run": run.accuracy.value, "run loss": _loss(run)}


def _loss(run: Any) -> float:
    return float(run.preds.losses.mean())


def fastai(folder: Path, model: dict[str, Any], size: int, seed: int) -> dict[str, float]:
    import torch
    from fastai.vision.all import ImageDataLoaders, Resize, aug_transforms, set_seed, vision_learner
    from fastai.vision.all import accuracy as metric
    from fastai.vision.learner import default_split, imagenet_stats, model_meta
    from torchvision.models import mobilenet_v2

    def arch(pretrained: bool) -> torch.nn.Module:
        whole = mobilenet_v2()
        whole.load_state_dict(torch.load(model["weights"], weights_only=True))
        return whole

    model_meta[arch] = {"cut": -1, "split": default_split, "stats": imagenet_stats}
    set_seed(seed)
    n = len(list((folder / "train").rglob("*.jpg")))
    tfms = aug_transforms(size=size, do_flip="digit" not in folder.name)
    options = {"item_tfms": Resize(size + size // 8), "batch_tfms": tfms, "num_workers": 0}
    bs = min(64, max(4, n // 4))  # its 64 leaves small sets without a step
    dls = ImageDataLoaders.from_folder(folder, train="train", valid="valid", bs=bs, **options)
    learn = vision_learner(dls, arch, metrics=metric, path=folder)
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(2, freeze_epochs=4)
        return {"fastai": float(learn.validate()[1])}


def regression(folder: Path, model: dict[str, Any], size: int, seed: int) -> dict[str, float]:
    dls = qv.from_folder(folder, size=size, valid="valid", check=False, seed=seed)
    top = qv.feature_learner(qv.cnn_learner(dls, **model)).dls
    sides = (top.train.dataset, top.valid.dataset)
    (x, y), (xv, yv) = ((side.x[0].numpy(), side.y.numpy()) for side in sides)
    folds = max(2, min(5, int(np.bincount(y).min())))
    options: dict[str, Any] = {"scoring": "neg_log_loss", "max_iter": 300}
    fitted = LogisticRegressionCV(
        Cs=np.logspace(-5, 1, 7), cv=folds, l1_ratios=(0,), use_legacy_attributes=False, **options
    )
    with threadpool_limits(1):  # its BLAS and torch's threads wait for each other
        fitted.fit(x, y)
    return {"regression": float((fitted.predict(xv) == yv).mean())}


def from_tutorial(
    folder: Path, model: dict[str, Any], size: int, seed: int, *, body: bool
) -> dict[str, float]:
    (folder / "val").symlink_to(folder / "valid")
    try:
        _, found = (tutorial_all if body else tutorial)(folder, model["weights"], seed, 4)
    finally:
        (folder / "val").unlink()
    return {"tutorial-all" if body else "tutorial": found["final"]}


SIDES: dict[str, Callable[..., dict[str, float]]] = {
    "quickvision": quickvision,
    "fastai": fastai,
    "regression": regression,
    "tutorial": partial(from_tutorial, body=False),
    "tutorial-all": partial(from_tutorial, body=True),
}
ONLY_MOBILENET = {"fastai", "tutorial", "tutorial-all"}  # they are written for it


def convnext(root: Path) -> dict[str, Any]:
    """Train a small ConvNeXt on the digits 0 to 4, as others are trained on ImageNet."""
    import torch

    folder = written(digits(Path(), 32, range(5)), None, 30, 0, root / "digit 0-4")
    arch = "timm/test_convnext"
    how = {"weights": None, "frozen_epochs": 0, "unfrozen_epochs": 15, "lr_unfrozen": 3e-3}
    run = qv.train(
        folder, arch=arch, size=32, flip=False, out=root / "runs", check=False, verbose=False, **how
    )
    print(f"the ConvNeXt's own digits: {run.accuracy}", flush=True)
    torch.save(run.learn.model[0].state_dict(), root / "convnext.pth")
    return {"arch": arch, "weights": root / "convnext.pth"}


def jobs(asked: argparse.Namespace, root: Path) -> Iterator[tuple[str, int, dict[str, float]]]:
    mobilenet = asked.shared / "weights/mobilenet_v2_imagenet.pth"
    model = {"arch": "mobilenet_v2", "weights": mobilenet}
    other = convnext(root) if any("ConvNeXt" in name for name in asked.sets) else {}
    for name in asked.sets:
        make, k, held = SETS[name]
        pictures, small = make(asked.shared), "ConvNeXt" in name
        size = 32 if " at 32" in name else asked.size
        for seed in asked.seeds:
            folder = root / name.replace(" ", "-")
            written(pictures, k, held, seed, folder)
            found: dict[str, float] = {"n": len(list((folder / "valid").rglob("*.jpg")))}
            for side in asked.sides:
                start = time.perf_counter()
                if not (small and side in ONLY_MOBILENET):
                    found |= SIDES[side](folder, other if small else model, size, seed)
                    print(f"  {side} {time.perf_counter() - start:.0f} s", end="", flush=True)
            shutil.rmtree(folder)
            yield name, seed, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES)[:3])
    asked = parser.parse_args()
    asked.shared = asked.shared.resolve()
    warnings.simplefilter("ignore")
    table: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as root:
        for name, seed, found in jobs(asked, Path(root)):
            table.setdefault(name, []).append(found)
            shown = "  ".join(f"{k} {v:.3f}" for k, v in found.items() if k != "n")
            print(f"{name}, seed {seed}, n={found['n']:.0f}: {shown}", flush=True)
    columns = list(dict.fromkeys(k for rows in table.values() for row in rows for k in row))[1:]
    print(f"\n| set (means of {len(asked.seeds)}) | n | {' | '.join(columns)} | run less frozen |")
    print("|---" * (len(columns) + 3) + "|")
    for name, rows in table.items():
        means = [statistics.mean(row.get(c, math.nan) for row in rows) for c in columns]
        cells = ["-" if math.isnan(m) else f"{m:.3f}" for m in means]
        apart = [f"{100 * (row['run'] - row['frozen']):+.1f}" for row in rows if "run" in row]
        print(f"| {name} | {rows[0]['n']:.0f} | {' | '.join(cells)} | {', '.join(apart)} |")


if __name__ == "__main__":
    main()
