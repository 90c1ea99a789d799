"""Heat maps of 36 photos, as the report and `plot_top_losses` ask for them: seconds.

    python benchmarks/heatmap.py SHARED [--rounds 3] [--threads 2]

SHARED holds `data/hymenoptera` and `weights/mobilenet_v2_imagenet.pth`. For each photo, from its
file, the maps of two classes: mobilenet_v2 with ImageNet's weights, and a resnet18 that knows
nothing (the same work). Beside it, in turns, the pass over the same photos that
`Learner.get_preds` makes, which no heat map can be had without; and Grad-CAM as fastai's book does
it by hand, with hooks and a backward pass through the whole model, a picture and a class at a time.
Medians. Less than 2 s is wanted on two cores.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from fastai.callback.hook import hook_output

import quickvision as qv
from quickvision.results.heatmap import heatmaps


def by_hand(learn, layer: str, files: list[Path], classes: np.ndarray) -> list[torch.Tensor]:
    """The book's recipe (chapter 18)."""
    maps, model = [], learn.model.eval()
    last = model[0].get_submodule(layer)
    for file, wanted in zip(files, classes, strict=True):
        x = learn.dls.test_dl([file], num_workers=0).one_batch()[0]
        for c in wanted:
            with hook_output(last, grad=True) as back, hook_output(last) as forward:
                model(x)[0, int(c)].backward()
            weight = back.stored[0][0].mean(dim=[1, 2], keepdim=True)
            maps.append((weight * forward.stored[0]).sum(0))
        model.zero_grad()
    return maps


def the_pass(learn, files: list[Path]) -> None:
    with learn.no_bar(), learn.no_logging():
        learn.get_preds(dl=learn.dls.test_dl(files, bs=36, num_workers=0))


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    weights = options.shared / "weights" / "mobilenet_v2_imagenet.pth"
    folder = options.shared / "data" / "hymenoptera"
    print(f"{'36 photos, 2 classes each':28s} {'heatmaps':>10s} {'the pass':>10s} {'by hand':>10s}")
    for arch, file, layer in (
        ("mobilenet_v2", weights, "features"),
        ("resnet18", None, "layer4"),
    ):
        dls = qv.from_folder(folder, size=224, bs=36, check=False, num_workers=0)
        learn = qv.cnn_learner(dls, arch, weights=file)
        files = list(dls.valid_ds.items[::4])[:36]
        classes = np.tile([0, 1], (len(files), 1))

        sides: dict[str, Callable[[], object]] = {
            "heatmaps": partial(heatmaps, learn, files, classes),
            "the pass": partial(the_pass, learn, files),
            "by hand": partial(by_hand, learn, layer, files, classes),
        }
        taken: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(options.rounds + 1):  # the first one is slow
            for name, work in sides.items():
                taken[name].append(seconds(work))
        figures = [statistics.median(taken[name][1:]) for name in sides]
        print(f"{arch:28s} " + " ".join(f"{figure:8.2f} s" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
