"""How the main job grows: seconds and peak memory at 1, 4 and 16 times the pictures.

    python benchmarks/growth.py [--pictures 400] [--times 1 4 16] [--photos FOLDER --weights FILE]

scikit-learn's digits (with a little noise, so that no two are the same), 32 px, a tiny network
with random weights that are taken as pretrained: no accuracy is claimed. Each size is a process of
its own. Linear time is a constant "ms a picture"; memory may grow by the features and by about a
kilobyte a file. "said" is the estimate of the plan over the seconds that came after it, which is to
be from 0.67 to 1.33 on an idle machine, and "asking" the share of all seconds that the estimate
itself took, at most 0.05. `--cpu` counts seconds of the processor in one thread: what an idle
machine would say, on one that is not. With `--photos` there is one more case: mobilenet_v2 at 224
px on these photos, with these ImageNet weights.
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
from types import SimpleNamespace

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


def job(folder: Path, photos: Path | None, weights: Path | None, *, cpu: bool) -> None:
    """Do the main job, and print what it took."""
    warnings.simplefilter("ignore")
    import safetensors.torch
    import timm
    import torch

    import quickvision as qv
    from quickvision.base import figures
    from quickvision.runs import job as jobs
    from quickvision.training import trials

    clock = time.process_time if cpu else time.perf_counter
    if cpu:
        torch.set_num_threads(1)
        figures.time = trials.time = SimpleNamespace(perf_counter=clock)
    plans, plan = [], jobs.make_plan
    jobs.make_plan = lambda *args, **how: plans.append(plan(*args, **how)) or plans[-1]
    if photos is None:
        weights = folder / "weights.safetensors"
        safetensors.torch.save_file(timm.create_model(ARCH[5:]).state_dict(), weights)
        # The same way at each size: no picture is kept in memory.
        how = {"arch": ARCH, "size": SIZE, "bs": BS, "cache": False, "num_workers": 0}
    else:
        how = {"arch": "mobilenet_v2"}
    train = qv.train
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = clock()
    data = photos or folder / "digits"
    run = train(data, weights=weights, out=folder / "runs", verbose=False, **how)
    seconds = clock() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    n = len(run.learn.dls.train_ds) + len(run.preds)
    width = run.learn.model[1][-1].in_features
    after = sum(s for name, s in run.timing.items() if name not in ("data", "model", "estimate"))
    said = plans[0].total(*run.progress.epochs) / after
    asking = run.timing["estimate"] / (after + run.timing["estimate"])
    size = n * width * 4 / 2**20
    print(json.dumps([n, seconds, peak - before, size, said, asking, dict(run.timing)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--photos", type=Path, help="folder of photos, for a case of its own")
    parser.add_argument("--weights", type=Path, help="ImageNet weights of mobilenet_v2, for it")
    parser.add_argument("--cpu", action="store_true", help="count seconds of the processor")
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        job(options.job, options.photos, options.weights, cpu=options.cpu)
        return
    heads = [f"{name:>9}" for name in ("pictures", "seconds", "ms each", "MiB more", "features")]
    print(f"{''.join(heads)}{'said':>7}{'asking':>8}  stages")
    cases = [["--photos", options.photos, "--weights", options.weights]] if options.photos else []
    for times, extra in [*((n, []) for n in options.times), *((0, case) for case in cases)]:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "digits", times * options.pictures)
            cpu = ["--cpu"] if options.cpu else []
            done = subprocess.run(
                [sys.executable, __file__, "--job", folder, *cpu, *map(str, extra)],
                env={**os.environ, "QUICKVISION_CACHE": f"{folder}/cache", "MPLBACKEND": "agg"},
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
        n, seconds, more, features, said, asking, timing = json.loads(done.stdout.splitlines()[-1])
        stages = ", ".join(f"{name} {s:.1f}" for name, s in timing.items() if s > 0.5)
        figures = f"{n:>9,}{seconds:>9.1f}{seconds / n * 1e3:>9.2f}{more:>9.0f}{features:>9.1f}"
        print(f"{figures}{said:>7.2f}{asking:>8.3f}  {stages}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
