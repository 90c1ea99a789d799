"""How the main job grows: seconds and peak memory at 1, 4 and 16 times the pictures.

    python benchmarks/growth.py [--pictures 400] [--times 1 4 16]

scikit-learn's digits (with a little noise, so that no two are the same), 32 px, a tiny network
with random weights that are taken as pretrained: no accuracy is claimed. Each size is a process of
its own. Linear time is a constant "ms a picture"; memory may grow by the features and by about a
kilobyte a file.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

ARCH, SIZE, BS = "timm/test_resnet", 32, 32


def write(folder: Path, n: int) -> Path:
    """Write `n` digits in class folders."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits, rng = load_digits(), np.random.default_rng(0)
    for i in range(n):
        scan = digits.images[i % len(digits.images)] * 14 + rng.integers(0, 16, (8, 8))
        file = folder / f"digit-{digits.target[i % len(digits.images)]}" / f"{i:06d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scan.astype("uint8")).resize((SIZE, SIZE)).save(file)
    return folder


def job(folder: Path) -> None:
    """Do the main job, and print what it took."""
    import safetensors.torch
    import timm

    import quickvision as qv

    warnings.simplefilter("ignore")
    weights = folder / "weights.safetensors"
    safetensors.torch.save_file(timm.create_model(ARCH[5:]).state_dict(), weights)
    train = qv.train
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    run = train(
        folder / "digits",
        arch=ARCH,
        weights=weights,
        size=SIZE,
        bs=BS,
        out=folder / "runs",
        cache=False,  # the same way at each size
        num_workers=0,
        verbose=False,
    )
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    n = len(run.learn.dls.train_ds) + len(run.preds)
    width = 2 * run.learn.model[0].model.num_features
    print(json.dumps([n, seconds, peak - before, n * width * 4 / 2**20, dict(run.timing)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        job(options.job)
        return
    print(f"{'pictures':>9}{'seconds':>9}{'ms each':>9}{'MiB more':>10}{'features':>10}  stages")
    for times in options.times:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "digits", times * options.pictures)
            done = subprocess.run(
                [sys.executable, __file__, "--job", folder],
                env={**os.environ, "QUICKVISION_CACHE": f"{folder}/cache", "MPLBACKEND": "agg"},
                check=True,
                capture_output=True,
                text=True,
            )
        n, seconds, more, features, timing = json.loads(done.stdout.splitlines()[-1])
        stages = ", ".join(f"{name} {s:.1f}" for name, s in timing.items() if s > 0.5)
        each = seconds / n * 1e3
        print(f"{n:>9,}{seconds:>9.1f}{each:>9.2f}{more:>10.0f}{features:>10.1f}  {stages}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
