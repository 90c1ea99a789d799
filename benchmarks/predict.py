"""Predicting from files: many beside the bound of decoding and forward, one beside `learn.predict`.

    python benchmarks/predict.py DATA WEIGHTS [--size 224] [--bs 64] [--repeats 5]

DATA has `train` and `val` with a folder a class; WEIGHTS is torchvision's mobilenet_v2. The bound
is the sum of opening and resizing the same files one after the other with Pillow, and of the
model's bare forward pass on a batch that is in memory. fastai's calls run in the same process, so
that they too have quickvision's memory setting and layout; what they say is compared. Medians.
The same model as an exported folder is asked by torch and by onnxruntime; processes of their own
are timed from nothing to the first answer, beside fastai's `load_learner`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
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
    parser.add_argument("--out", default="runs/predict", help="folder for the exported models")
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

    ask, folder = qv.Predictor(learn), Path(options.out) / "model"
    qv.export(learn, folder, onnx=True, calibrate=False)
    asked = {engine: qv.load_model(folder, engine=engine) for engine in ("torch", "onnx")}
    sides: dict[str, tuple[int, Callable[[], Any]]] = {
        "decode": (len(files), lambda: decode(files, options.size)),
        "forward": (options.bs, lambda: forward(batch)),
        "quickvision, many": (len(files), lambda: ask.predict_proba(files, bs=options.bs)),
        "fastai, many": (len(files), fastais),
        "forward of one": (1, lambda: forward(batch[:1])),
        "quickvision, one": (1, lambda: ask.predict(files[0])),
        "fastai, one": (1, lambda: learn.predict(files[0])),
    }
    for engine, model_file in asked.items():
        many = partial(model_file.predict_proba, files, bs=options.bs)
        sides[f"{engine} file, many"] = (len(files), many)
        sides[f"{engine} file, one"] = (1, partial(model_file.predict, files[0]))
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
    for name in ("quickvision, one", "torch file, one", "onnx file, one"):
        print(f"{name}: {ms['fastai, one'] / ms[name]:.1f} times faster than learn.predict")
    for engine in asked:
        share = least / ms[f"{engine} file, many"]
        print(f"{engine} file, many: {share:.0%} of the bound")
    one_small(options)
    learn.export(Path(options.out).resolve() / "export.pkl")
    there = [*folder.iterdir(), folder.parent / "export.pkl"]
    sizes = {p.name: p.stat().st_size / 1e6 for p in there}
    print("MB:", ", ".join(f"{name} {size:.1f}" for name, size in sizes.items()))
    from_nothing(folder, files[0])


STARTS = {
    "onnx file": "import quickvision as qv; qv.load_model({0!r}, engine='onnx').predict({2!r})",
    "torch file": "import quickvision as qv; qv.load_model({0!r}, engine='torch').predict({2!r})",
    "fastai's export.pkl": "from fastai.vision.all import *; learn = load_learner({1!r}); \
learn.no_bar().__enter__(); learn.predict({2!r})",
}


def from_nothing(folder: Path, file: Path) -> None:
    """Time processes of their own, from their start to the first answer."""
    names = [str(path) for path in (folder, folder.parent / "export.pkl", file)]
    for name, code in STARTS.items():
        command = [sys.executable, "-W", "ignore", "-c", code.format(*names)]
        taken = [timed(partial(subprocess.run, command, check=True)) for _ in range(3)]
        print(f"{name}: {statistics.median(taken):.2f} s from nothing to the first answer")


if __name__ == "__main__":
    main()
