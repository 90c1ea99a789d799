"""Predicting from files: many beside the bound of decoding and forward, one beside `learn.predict`.

    python benchmarks/predict.py DATA WEIGHTS [--size 224] [--bs 64] [--repeats 5]

DATA has `train` and `val` with a folder a class; WEIGHTS is torchvision's mobilenet_v2. The bound
is the sum of opening and resizing the same files one after the other with Pillow, and of the
model's bare forward pass on a batch that is in memory. fastai's calls run in the same process, so
that they too have quickvision's memory setting and layout; what they say is compared. Medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import quickvision as qv


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def decode(files: list[Path], size: int) -> None:
    for file in files:
        with Image.open(file) as image:
            image.draft("RGB", (size, size))
            scale = size / min(image.size)
            wide, high = (round(side * scale) for side in image.size)
            small = image.convert("RGB").resize((wide, high), Image.Resampling.BILINEAR)
        left, top = (wide - size) // 2, (high - size) // 2
        pixels = np.asarray(small.crop((left, top, left + size, top + size)))
        torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def one_small(options: argparse.Namespace) -> None:
    """Time what is around the model, with a network that takes next to nothing."""
    dls = qv.from_folder(options.data, bs=options.bs, size=64, num_workers=0)
    learn = qv.cnn_learner(dls, "timm/test_resnet", weights=None)
    file, ask = dls.valid_ds.items[0], qv.Predictor(learn)
    taken: dict[str, list[float]] = {"ours": [], "fastai's": []}
    with learn.no_bar(), learn.no_logging():
        for _ in range(10 * options.repeats):
            taken["ours"].append(timed(lambda: ask.predict(file)))
            taken["fastai's"].append(timed(lambda: learn.predict(file)))
    mine, theirs = (statistics.median(seconds) * 1e3 for seconds in taken.values())
    print(f"one, test_resnet at 64 px: {mine:.2f} ms against {theirs:.2f} ms, {theirs / mine:.1f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("weights")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--bs", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    dls = qv.from_folder(options.data, bs=options.bs, size=options.size, num_workers=0)
    learn = qv.cnn_learner(dls, "mobilenet_v2", weights=options.weights)
    files = list(dls.valid_ds.items)
    model, device = learn.model.eval(), dls.device
    batch = torch.randn(options.bs, 3, options.size, options.size, device=device)

    def forward(x: torch.Tensor) -> None:
        with torch.inference_mode():
            model(x)

    def fastais() -> None:
        learn.get_preds(dl=learn.dls.test_dl(files, bs=options.bs))

    ask = qv.Predictor(learn)
    sides: dict[str, tuple[int, Callable[[], Any]]] = {
        "decode": (len(files), lambda: decode(files, options.size)),
        "forward": (options.bs, lambda: forward(batch)),
        "quickvision, many": (len(files), lambda: ask.predict_proba(files, bs=options.bs)),
        "fastai, many": (len(files), fastais),
        "forward of one": (1, lambda: forward(batch[:1])),
        "quickvision, one": (1, lambda: ask.predict(files[0])),
        "fastai, one": (1, lambda: learn.predict(files[0])),
    }
    taken: dict[str, list[float]] = {name: [] for name in sides}
    with learn.no_bar(), learn.no_logging():
        for _, work in sides.values():
            work()
        for _ in range(options.repeats):
            for name, (n, work) in sides.items():
                times = 1 if n > 1 else 10
                taken[name] += [timed(work) / n for _ in range(times)]
        expected = learn.get_preds(dl=learn.dls.test_dl(files, bs=options.bs))[0]
    ms = {name: statistics.median(seconds) * 1e3 for name, seconds in taken.items()}
    for name, value in ms.items():
        print(f"{name:<20}{value:8.2f} ms a picture")
    apart = float((torch.tensor(ask.predict_proba(files)) - expected).abs().max())
    right = float(np.mean(ask.predict_proba(files).argmax(1) == expected.numpy().argmax(1)))
    least = ms["decode"] + ms["forward"]
    print(f"\n{len(files)} files; the same class {right:.1%}, probabilities apart {apart:.1e}")
    print(f"many: {least / ms['quickvision, many']:.0%} of the bound of {least:.2f} ms, fastai")
    print(f"      {least / ms['fastai, many']:.0%}")
    print(f"one:  {ms['fastai, one'] / ms['quickvision, one']:.1f} times faster than learn.predict")
    one_small(options)


if __name__ == "__main__":
    main()
