"""The usual set of reports: fastai's calls beside one inference pass.

    python benchmarks/report.py [--classes 10] [--pictures 600] [--repeats 3]

Both sides report on the same learner and the same pictures (made on the spot, 64 px, resnet18
without weights, so no accuracy is claimed; that the matrices are equal is checked). Only the work
that gives numbers is timed, not the drawing. fastai: the matrix, the most confused pairs, the class
report and the top losses. quickvision: `get_preds`, then the same four. At the end: the matrix and
the tables of 50,000 predictions over 1,000 classes, which fastai's formula cannot do.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

import quickvision as qv


def fastais(learn: object) -> np.ndarray:
    with learn.no_bar(), learn.no_logging(), contextlib.redirect_stdout(io.StringIO()):
        interp = qv.ClassificationInterpretation.from_learner(learn)
        matrix = interp.confusion_matrix()
        interp.most_confused()
        interp.print_classification_report()
        interp.top_losses(9, items=True)
    return matrix


def ours(learn: object) -> np.ndarray:
    preds = qv.get_preds(learn)
    matrix = qv.confusion_matrix(preds)
    qv.most_confused(preds)
    qv.class_report(preds)
    qv.top_losses(preds)
    return matrix


def timed(report: Callable[[object], np.ndarray], learn: object) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    matrix = report(learn)
    return time.perf_counter() - start, matrix


def many_classes(n: int = 50_000, c: int = 1_000) -> None:
    """Time the matrix and the tables of many predictions, and weigh what they take."""
    rng = np.random.default_rng(0)
    preds = qv.Predictions(
        probs=rng.random((n, c), dtype=np.float32),
        targs=rng.integers(0, c, n),
        vocab=tuple(f"class {i}" for i in range(c)),
        losses=rng.random(n, dtype=np.float32),
        paths=(Path("picture.jpg"),) * n,
    )
    for work in (qv.confusion_matrix, qv.most_confused, qv.class_report):
        start = time.perf_counter()
        work(preds)
        seconds = time.perf_counter() - start
        tracemalloc.start()
        work(preds)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        print(f"{n:,} predictions, {c:,} classes: {work.__name__} {seconds:.2f} s, {peak:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        for i in range(options.pictures):
            file = Path(folder) / f"class{i % options.classes}_{i}.png"
            Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(file)
        dls = qv.from_name_re(folder, r"^(.+)_", valid=0.9, size=64, bs=32, check=False)
        learn = qv.cnn_learner(dls, "resnet18", weights=None)
        qv.fit_unfrozen(learn, 1, verbose=False)
        seconds: dict[str, list[float]] = {"fastai": [], "quickvision": []}
        for _ in range(options.repeats):
            taken, expected = timed(fastais, learn)
            seconds["fastai"].append(taken)
            taken, matrix = timed(ours, learn)
            seconds["quickvision"].append(taken)
            if not (matrix == expected).all():
                raise SystemExit("the two matrices differ: the figures mean nothing")
    fastai, mine = (statistics.median(taken) for taken in seconds.values())
    print(f"{len(learn.dls.valid_ds)} pictures, {options.classes} classes, equal matrices")
    print(f"fastai {fastai:.2f} s   quickvision {mine:.2f} s   ratio {fastai / mine:.1f}")
    many_classes()


if __name__ == "__main__":
    main()
