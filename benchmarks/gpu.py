"""Epochs on a GPU: plain fastai in fp32 and with `to_fp16()`, beside quickvision's defaults.

    python benchmarks/gpu.py PHOTOS [--archs resnet34 convnext_tiny] [--bs 64 256] [--pictures 4096]
                                    [--toy]

PHOTOS is a folder of JPEG files; they are copied until there are enough. All layers train, without
weights, for three epochs at 224 px, from the files and, for quickvision, also from resized copies;
the first epoch is not counted. Each figure is a process of its own. Plain fastai has its default
workers. Beside the seconds stand the peak of the GPU's memory, and the share of the bound: the same
model, in the same precision and layout, on a batch of random pictures that is there already. Then
what `bs="auto"` picks, and what a batch that is too large does. Without a CUDA device nothing is
run, and the exit code is 0; `--toy` runs all of it on a CPU, at a size that says nothing but that
the script works.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

SIZE, EPOCHS = 224, 3
SIDES = ("fastai fp32", "fastai fp16", "quickvision", "quickvision, copies")
SIDES += ("quickvision, deterministic",)
TOY = {"archs": ["resnet18"], "bs": [8], "pictures": 48}


def bound(learn: Any, bs: int) -> float:
    """Pictures a second of forward and backward alone."""
    import torch

    from quickvision.models.compute import autocast, device_of, half_precision

    device, half, model = device_of(learn), half_precision(learn), learn.model.train()
    x, y = (
        torch.rand(bs, 3, SIZE, SIZE, device=device),
        torch.randint(learn.dls.c, (bs,)).to(device),
    )
    seconds = []
    for _ in range(8):
        start = time.perf_counter()
        with autocast(device, half):
            loss = learn.loss_func(model(x), y)
        loss.backward()
        learn.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return bs / statistics.median(seconds[3:])


def memory(folder: Path, arch: str) -> str:
    """Say what `bs="auto"` picks, and what becomes of a batch that is too large."""
    import torch

    import quickvision as qv

    warnings.simplefilter("ignore")
    how = {"arch": arch, "weights": None, "frozen_epochs": 0, "lr_unfrozen": 1e-3, "plots": False}
    how |= {"unfrozen_epochs": 1, "size": SIZE, "valid": 0.1, "out": folder / "runs"}
    auto = qv.train(folder / "photos", bs="auto", verbose=False, **how)
    text = f'bs="auto": {auto.learn.dls.train.bs}'
    if torch.cuda.is_available():
        large = auto.learn.dls.train.bs * 4
        torch.cuda.set_per_process_memory_fraction(0.25)
        run = qv.train(folder / "photos", bs=large, **how)
        text += f"; bs={large} in a quarter of the memory: {run.accuracy} after an epoch in parts"
    return text


def job(side: str, folder: Path, arch: str, bs: int) -> dict[str, Any]:
    """Train one side, and return the seconds and the loss of its epochs."""
    from contextlib import nullcontext

    import torch
    from fastai.vision.all import Callback, ImageDataLoaders, Resize, aug_transforms, vision_learner
    from torchvision import models

    import quickvision as qv

    warnings.simplefilter("ignore")
    seconds: list[float] = []

    class Clock(Callback):
        def before_epoch(self) -> None:
            self.start = time.perf_counter()

        def after_epoch(self) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - self.start)

    if side.startswith("fastai"):
        dls = ImageDataLoaders.from_folder(
            folder / "photos",
            valid_pct=0.1,
            bs=bs,
            item_tfms=Resize(SIZE + SIZE // 8),
            batch_tfms=aug_transforms(size=SIZE),
        )
        learn = vision_learner(dls, getattr(models, arch), pretrained=False, path=folder)
        if side.endswith("fp16"):
            learn.to_fp16()
    else:
        copies = folder / "copies" if "copies" in side else False
        dls = qv.from_folder(folder / "photos", valid=0.1, bs=bs, size=SIZE, cache=copies)
        learn = qv.cnn_learner(dls, arch, weights=None, path=folder)
    from quickvision.models.compute import deterministic, device_of

    exact = nullcontext()
    if "deterministic" in side:
        exact = deterministic(learn.model, device_of(learn))
    with exact, learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(EPOCHS, 1e-3, cbs=Clock())
    loss = float(learn.recorder.values[-1][1])
    there = torch.cuda.is_available()
    return {
        "seconds": seconds,
        "loss": loss,
        "pictures": len(dls.train_ds) + len(dls.valid_ds),
        "peak": torch.cuda.max_memory_allocated() / 2**30 if there else 0.0,
        "bound": bound(learn, bs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--archs", nargs="+", default=["resnet34", "convnext_tiny"])
    parser.add_argument("--bs", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--pictures", type=int, default=4096)
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--job", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.toy:
        vars(options).update(TOY)
    if options.job and options.job[0] == "memory":
        print(memory(Path(options.job[1]), options.job[2]))
        return
    if options.job:
        side, folder, arch, bs = options.job
        print(json.dumps(job(side, Path(folder), arch, int(bs))))
        return
    import torch

    if not torch.cuda.is_available() and not options.toy:
        print("no CUDA device here: nothing was run")
        return
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU, a toy"
    print(f"{name}, {os.cpu_count()} cores, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        files = sorted(options.photos.rglob("*.jpg"))
        if not files:
            raise SystemExit(f"expected JPEG files in {options.photos}, got none")
        for i in range(options.pictures):
            target = Path(folder) / "photos" / "ab"[i % 2] / f"{i}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(files[i % len(files)], target)
        for arch in options.archs:
            for bs in options.bs:
                speeds: dict[str, float] = {}
                for side in SIDES:
                    done = subprocess.run(
                        [
                            *(sys.executable, __file__, str(options.photos)),
                            *("--job", side, folder, arch, str(bs)),
                        ],
                        env={**os.environ, "QUICKVISION_CACHE": f"{folder}/cache"},
                        capture_output=True,
                        text=True,
                    )
                    if done.returncode:
                        print(f"{arch:<15}bs {bs:<5}{side:<28}failed: {done.stderr[-300:]}")
                        continue
                    told = json.loads(done.stdout.splitlines()[-1])
                    epoch = statistics.median(told["seconds"][1:])
                    speeds[side] = told["pictures"] / epoch
                    ratio = speeds[side] / speeds.get(SIDES[0], float("nan"))
                    print(
                        f"{arch:<15}bs {bs:<5}{side:<28}{epoch:6.2f} s  {speeds[side]:7.0f}"
                        f" pictures/s  {ratio:.2f} times fastai fp32  loss {told['loss']:.2f}"
                        f"  peak {told['peak']:.1f} GiB  bound {told['bound']:.0f} pictures/s",
                        flush=True,
                    )
            args = (*("--job", "memory", folder, arch, "0"), *(["--toy"] if options.toy else []))
            done = subprocess.run(
                [sys.executable, __file__, str(options.photos), *args],
                capture_output=True,
                text=True,
            )
            print(f"{arch:<15}{(done.stdout or done.stderr).strip().splitlines()[-1]}", flush=True)


if __name__ == "__main__":
    main()
