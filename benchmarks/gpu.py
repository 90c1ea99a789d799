"""Epochs on a GPU: plain fastai in fp32 and with `to_fp16()`, beside quickvision's defaults.

    python benchmarks/gpu.py PHOTOS [--archs resnet34 convnext_tiny] [--bs 64 256] [--pictures 4096]

PHOTOS is a folder of JPEG files; they are copied until there are enough. All layers train, without
weights, for three epochs at 224 px, from the files and, for quickvision, also from resized copies;
the first epoch is not counted. Each figure is a process of its own. Plain fastai has its default
workers. Without a CUDA device nothing is run, and the exit code is 0.
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


def job(side: str, folder: Path, arch: str, bs: int) -> dict[str, Any]:
    """Train one side, and return the seconds and the loss of its epochs."""
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
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(EPOCHS, 1e-3, cbs=Clock())
    loss = float(learn.recorder.values[-1][1])
    return {"seconds": seconds, "loss": loss, "pictures": len(dls.train_ds) + len(dls.valid_ds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--archs", nargs="+", default=["resnet34", "convnext_tiny"])
    parser.add_argument("--bs", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--pictures", type=int, default=4096)
    parser.add_argument("--job", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        side, folder, arch, bs = options.job
        print(json.dumps(job(side, Path(folder), arch, int(bs))))
        return
    import torch

    if not torch.cuda.is_available():
        print("no CUDA device here: nothing was run")
        return
    print(f"{torch.cuda.get_device_name()}, {os.cpu_count()} cores, torch {torch.__version__}")
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
                        print(f"{arch:<15}bs {bs:<5}{side:<21}failed: {done.stderr[-300:]}")
                        continue
                    told = json.loads(done.stdout.splitlines()[-1])
                    epoch = statistics.median(told["seconds"][1:])
                    speeds[side] = told["pictures"] / epoch
                    ratio = speeds[side] / speeds.get(SIDES[0], float("nan"))
                    print(
                        f"{arch:<15}bs {bs:<5}{side:<21}{epoch:6.2f} s  {speeds[side]:7.0f}"
                        f" pictures/s  {ratio:.2f} times fastai fp32  loss {told['loss']:.2f}"
                    )
                    sys.stdout.flush()


if __name__ == "__main__":
    main()
