"""Seconds and pictures a second of each stage, beside the bound of pure compute.

    python benchmarks/stages.py DATA WEIGHTS [--bs 16] [--size 224] [--repeats 3]

DATA has `train` and `val` with a folder a class; WEIGHTS is torchvision's mobilenet_v2. The bound
is what the same model takes, in the same process and layout, on a batch of random pictures that is
in memory already: forward and backward where a stage trains all layers, forward where it does not.
A stage reads, augments and validates besides. Bound and stages are timed in turn; medians.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable

import torch

import quickvision as qv
from quickvision.models.compute import autocast, half_precision


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def bound(learn: qv.Learner, bs: int, size: int) -> tuple[float, float]:
    """Seconds a picture of forward and backward, and of forward alone."""
    device = learn.dls.device
    x = torch.randn(bs, 3, size, size, device=device).to(memory_format=torch.channels_last)
    y = torch.randint(0, learn.n_out, (bs,), device=device)
    model = learn.model

    half = half_precision(learn)

    def step() -> None:
        with autocast(device, half):
            loss = learn.loss_func(model(x), y)
        loss.backward()
        model.zero_grad()

    def look() -> None:
        with torch.no_grad(), autocast(device, half):
            model(x)

    model.train()
    model.requires_grad_(True)
    steps = [timed(step) for _ in range(7)][2:]
    model.eval()
    looks = [timed(look) for _ in range(7)][2:]
    return statistics.median(steps) / bs, statistics.median(looks) / bs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("weights")
    parser.add_argument("--bs", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows: dict[str, list[tuple[int, float, float]]] = {}

    def row(name: str, pictures: int, seconds: float, least: float) -> None:
        rows.setdefault(name, []).append((pictures, seconds, least))

    with tempfile.TemporaryDirectory() as copies:
        for _ in range(options.repeats):
            for cache in (False, "auto", copies):
                dls = qv.from_folder(options.data, bs=options.bs, size=options.size, cache=cache)
                learn = qv.cnn_learner(dls, "mobilenet_v2", weights=options.weights)
                n_train, n_valid = len(dls.train) * options.bs, len(dls.valid_ds)
                kind = {False: "", "auto": ", in memory"}.get(cache, ", from copies")
                step, look = bound(learn, options.bs, options.size)
                learn.freeze()
                n_all = len(dls.train_ds) + n_valid
                seconds = timed(lambda learn=learn: qv.feature_learner(learn))
                row(f"feature pass{kind}", n_all, seconds, n_all * look)
                learn.unfreeze()
                if not cache:
                    found: list[qv.LRFind] = []
                    seconds = timed(lambda f=found, learn=learn: f.append(qv.find_lr(learn)))
                    n = len(found[0].lrs) * options.bs  # it stops where the loss explodes
                    row("rate finder, unfrozen", n, seconds, n * step)
                rates = slice(1e-6, 1e-4)
                seconds = timed(
                    lambda learn=learn, r=rates: qv.fit_unfrozen(learn, 1, lr_max=r, verbose=False)
                )
                least = n_train * step + n_valid * look
                row(f"unfrozen epoch{kind}", n_train + n_valid, seconds, least)
                if not cache:
                    seconds = timed(lambda learn=learn: qv.get_preds(learn))
                    row("inference pass", n_valid, seconds, n_valid * look)
    print(f"mobilenet_v2, {options.size} px, bs {options.bs}; medians of {options.repeats}")
    print(f"{'stage':<30}{'seconds':>8}{'pictures/s':>12}{'bound, s':>10}{'of bound':>10}")
    for name, times in rows.items():
        taken, low = (statistics.median(time[i] for time in times) for i in (1, 2))
        speed = statistics.median(n / seconds for n, seconds, _ in times)
        share = statistics.median(least / seconds for _, seconds, least in times)
        print(f"{name:<30}{taken:>8.2f}{speed:>12.1f}{low:>10.2f}{share:>10.0%}")


if __name__ == "__main__":
    main()
