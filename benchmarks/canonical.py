"""The main job three times: plain fastai, the PyTorch tutorial, quickvision.

    python benchmarks/canonical.py DATA WEIGHTS [--seeds 1 2 3] [--bs 16] [--sides ...]

DATA has `train` and `val` with a folder a class (ants and bees); WEIGHTS is torchvision's
mobilenet_v2. Every job is a process of its own, in turn, so that no side warms another up; all see
the same pictures, at 224 px, and the clock runs from the end of the imports to the last table and
plot.

- `fastai`, as its docs write it: `lr_find`, 4 frozen epochs, unfreeze, `lr_find`, 2 epochs with
  sliced rates, and the four reports of `ClassificationInterpretation`. Where the second `lr_find`
  breaks off in its first steps with an IndexError, 1e-4 is taken, which makes this side faster.
  `fastai0` is the same with `num_workers=0`.
- `tutorial`: PyTorch's transfer-learning tutorial, "ConvNet as fixed feature extractor": 25 epochs
  of a new last layer, batches of 4, SGD, a step schedule, the best epoch kept. `tutorial-all` is
  its "Finetuning the ConvNet".
- `quickvision`: `qv.train(DATA)`, nothing left out. Its memory of checked files starts empty.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

FROZEN, UNFROZEN, SIZE, TUTORIAL = 4, 2, 224, 25


class Stopwatch:
    """Seconds by name; `lap` adds what has passed since the last one."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.clock = time.perf_counter()

    def lap(self, name: str) -> None:
        """Add to this name what has passed since the last lap."""
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self.clock
        self.clock = now


def fastai(data: Path, weights: Path, seed: int, bs: int, workers: int | None = None) -> Any:
    import torch
    from fastai.vision.all import (
        ClassificationInterpretation,
        ImageDataLoaders,
        Resize,
        accuracy,
        aug_transforms,
        set_seed,
        vision_learner,
    )
    from fastai.vision.learner import default_split, imagenet_stats, model_meta
    from torchvision.models import mobilenet_v2

    def arch(pretrained: bool) -> torch.nn.Module:
        model = mobilenet_v2()
        model.load_state_dict(torch.load(weights, weights_only=True))
        return model

    # fastai does not know mobilenet_v2: it is told as it is told of its own models.
    model_meta[arch] = {"cut": -1, "split": default_split, "stats": imagenet_stats}
    watch = Stopwatch()
    set_seed(seed)
    dls = ImageDataLoaders.from_folder(
        data,
        train="train",
        valid="val",
        bs=bs,
        item_tfms=Resize(SIZE + SIZE // 8),
        batch_tfms=aug_transforms(size=SIZE),
        num_workers=workers,
    )
    learn = vision_learner(dls, arch, metrics=accuracy, path=tempfile.mkdtemp())
    watch.lap("build")
    rate = learn.lr_find().valley
    watch.lap("frozen rates")
    learn.fit_one_cycle(FROZEN, rate)
    frozen = float(learn.recorder.values[-1][-1])
    watch.lap("frozen")
    learn.unfreeze()
    try:
        rate = learn.lr_find().valley
    except IndexError:  # it stops on the noise of the first steps, and then finds no valley
        rate = 1e-4
        print("lr_find failed: 1e-4 is taken", file=sys.stderr)
    watch.lap("unfrozen rates")
    learn.fit_one_cycle(UNFROZEN, slice(rate / 100, rate))
    watch.lap("unfrozen")
    interp = ClassificationInterpretation.from_learner(learn)
    interp.plot_top_losses(9)
    interp.plot_confusion_matrix()
    interp.most_confused()
    interp.print_classification_report()
    watch.lap("report")
    return watch.laps, {"frozen": frozen, "final": float(learn.recorder.values[-1][-1])}


def fastai0(data: Path, weights: Path, seed: int, bs: int) -> Any:
    return fastai(data, weights, seed, bs, workers=0)


def tutorial(data: Path, weights: Path, seed: int, bs: int, body: bool = False) -> Any:
    import torch
    from torch import nn
    from torchvision import datasets, models, transforms

    watch = Stopwatch()
    torch.manual_seed(seed)
    normalize = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    ways = {
        "train": [transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip()],
        "val": [transforms.Resize(256), transforms.CenterCrop(SIZE)],
    }
    sets = {
        side: datasets.ImageFolder(
            data / side, transforms.Compose([*way, transforms.ToTensor(), normalize])
        )
        for side, way in ways.items()
    }
    loaders = {
        side: torch.utils.data.DataLoader(sets[side], batch_size=4, shuffle=True, num_workers=4)
        for side in sets
    }
    model = models.mobilenet_v2()
    model.load_state_dict(torch.load(weights, weights_only=True))
    for param in model.parameters():
        param.requires_grad = body
    model.classifier[1] = nn.Linear(model.last_channel, len(sets["train"].classes))
    trained = model.parameters() if body else model.classifier[1].parameters()
    optimizer = torch.optim.SGD(trained, lr=0.001, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    criterion = nn.CrossEntropyLoss()
    watch.lap("build")
    accuracies = []
    for _ in range(TUTORIAL):
        for side, loader in loaders.items():
            model.train(side == "train")
            right = 0
            for inputs, labels in loader:
                optimizer.zero_grad()
                with torch.set_grad_enabled(side == "train"):
                    outputs = model(inputs)
                    loss = criterion(outputs, labels)
                    if side == "train":
                        loss.backward()
                        optimizer.step()
                right += int((outputs.argmax(1) == labels).sum())
            if side == "train":
                scheduler.step()
        accuracies.append(right / len(sets["val"]))
        watch.lap("epochs")
    return (
        watch.laps,
        {
            "final": max(accuracies),  # the tutorial goes back to its best epoch
            "last epoch": accuracies[-1],
            "best of 6 epochs": max(accuracies[:6]),
        },
    )


def tutorial_all(data: Path, weights: Path, seed: int, bs: int) -> Any:
    return tutorial(data, weights, seed, bs, body=True)


def quickvision(data: Path, weights: Path, seed: int, bs: int) -> Any:
    import quickvision as qv

    train = qv.train  # loads fastai
    watch = Stopwatch()
    run = train(
        data,
        arch="mobilenet_v2",
        weights=weights,
        frozen_epochs=FROZEN,
        unfrozen_epochs=UNFROZEN,
        size=SIZE,
        bs=bs,
        seed=seed,
        out=tempfile.mkdtemp(),
    )
    watch.lap("all")
    stages = run.history.groupby("stage")["accuracy"].last()
    return {"all": watch.laps["all"], **run.timing}, {
        "frozen": float(stages["frozen"]),
        "final": float(stages["unfrozen"]),
    }


SIDES: dict[str, Callable[..., Any]] = {
    "quickvision": quickvision,
    "fastai": fastai,
    "fastai0": fastai0,
    "tutorial": tutorial,
    "tutorial-all": tutorial_all,
}


def job(side: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Run one side in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                *(sys.executable, __file__, options.data, options.weights),
                *("--bs", str(options.bs), "--job", side, str(seed)),
            ],
            env={**os.environ, "QUICKVISION_CACHE": folder, "MPLBACKEND": "agg"},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    failed = "lr_find failed" in done.stderr
    return {"note": "lr_find failed, 1e-4 taken" if failed else ""} | json.loads(
        done.stdout.splitlines()[-1]
    )


def same_pictures(data: Path) -> Path:
    """Link what all sides can use: the tutorial's data has a placeholder GIF among its photos."""
    folder = Path(tempfile.mkdtemp())
    for file in data.rglob("*.jp*g"):
        link = folder / file.relative_to(data)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file.resolve())
        file.read_bytes()  # no side pays for a cold disk
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=str)
    parser.add_argument("weights", type=str)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--bs", type=int, default=16)
    parser.add_argument(
        "--sides",
        nargs="+",
        choices=SIDES,
        default=["quickvision", "fastai", "fastai0", "tutorial"],
    )
    parser.add_argument("--job", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        warnings.simplefilter("ignore")
        side, seed = options.job
        laps, accuracy = SIDES[side](
            Path(options.data), Path(options.weights), int(seed), options.bs
        )
        total = laps.pop("all", None) or sum(laps.values())
        print()
        print(json.dumps({"seconds": total, "laps": laps, "accuracy": accuracy}))
        return
    options.data = str(same_pictures(Path(options.data)))
    results: dict[str, list[dict[str, Any]]] = {side: [] for side in options.sides}
    for turn, seed in enumerate(options.seeds):
        first = turn % len(options.sides)  # no side always goes first
        for side in options.sides[first:] + options.sides[:first]:
            result = job(side, seed, options)
            results[side].append(result)
            laps = ", ".join(f"{name} {s:.0f}" for name, s in result["laps"].items() if s >= 0.5)
            shares = ", ".join(f"{name} {a:.1%}" for name, a in result["accuracy"].items())
            line = f"seed {seed} {side:<13}{result['seconds']:6.0f} s  {shares}  ({laps})"
            print(line, result["note"])
            sys.stdout.flush()
    middle = {s: statistics.median(r["seconds"] for r in rows) for s, rows in results.items()}
    print("\nmedians over the seeds")
    for side, rows in results.items():
        final = statistics.median(row["accuracy"]["final"] for row in rows)
        ratio = middle[side] / middle.get("quickvision", middle[side])
        print(f"{side:<13}{middle[side]:6.0f} s  {final:.1%}  {ratio:.1f} times quickvision's")
        if side != "quickvision" and "quickvision" in results:
            pairs = zip(results["quickvision"], rows, strict=True)
            apart = [a["accuracy"]["final"] - b["accuracy"]["final"] for a, b in pairs]
            by_seed = ", ".join(f"{share:+.1%}" for share in apart)
            print(f"{'':<13}quickvision's accuracy less its, by seed: {by_seed}")


if __name__ == "__main__":
    main()
