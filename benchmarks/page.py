"""The report of a large run: seconds and size.

    python benchmarks/page.py [--classes 196] [--pictures 10000] [--repeats 3]

The run is made up: as many answers, nine of ten right, about JPEG pictures of 500 x 375 that are
written first, with features of as many training pictures. `suspects` looks at both sides. Wanted:
10,000 pictures of 196 classes in 10 s and 5 MB.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from quickvision.data.view import View
from quickvision.report.outcome import Data, Outcome
from quickvision.report.page import write_report
from quickvision.results.embeddings import Embeddings
from quickvision.results.predictions import Predictions
from quickvision.results.suspects import suspects


def answers(root: Path, c: int, n: int, rng: np.random.Generator) -> Predictions:
    """Nine of ten right, most of the others within eight neighbouring classes."""
    for i in range(min(n, 400)):
        small = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(small).resize((500, 375)).save(root / f"{i:05d}.jpg")
    targs = rng.integers(0, c, n)
    logits = rng.normal(0, 1, (n, c))
    logits[np.arange(n), targs] += 4.5
    logits[np.arange(n), (targs // 8 * 8 + rng.integers(0, 8, n)) % c] += 2.5
    probs = np.exp(logits - logits.max(1, keepdims=True))
    probs = (probs / probs.sum(1, keepdims=True)).astype(np.float32)
    paths = tuple(root / f"{i % 400:05d}.jpg" for i in range(n))
    vocab = tuple(f"Aston Martin V{i} Vantage Convertible {2000 + i % 13}" for i in range(c))
    return Predictions(probs, targs, vocab, -np.log(probs[np.arange(n), targs]), paths, root)


def made(root: Path, c: int, n: int) -> Outcome:
    """The outcome of such a run, with everything but the labels that look wrong."""
    rng = np.random.default_rng(0)
    preds = answers(root, c, n, rng)
    labels = np.concatenate([preds.targs, rng.integers(0, c, n)])
    middles = rng.normal(0, 1, (c, 512))
    x = (rng.normal(0, 2, (2 * n, 512)) + middles[labels]).astype(np.float32)
    names = tuple(path.name for path in preds.paths[:400])
    names += tuple(f"train/{i:05d}.jpg" for i in range(400, 2 * n))
    known = Embeddings(x, labels, preds.vocab, names, np.arange(2 * n) < n)
    history = pd.DataFrame(
        {"stage": "frozen", "epoch": [1, 2], "train_loss": 1.0, "valid_loss": 1.0, "accuracy": 0.9}
    )
    data = Data(n, view=View((224, 224)))
    return Outcome("made-001", "resnet34", preds, data, history, pd.DataFrame(), embeddings=known)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, default=196)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, page = Path(folder), Path(folder)
        outcome = made(root, asked.classes, asked.pictures)
        spent: dict[str, list[float]] = {"page": [], "suspects, of twice as many": []}
        for _ in range(asked.repeats):
            start = time.perf_counter()
            found = suspects(outcome.embeddings)
            spent["suspects, of twice as many"].append(time.perf_counter() - start)
            shown = Outcome(**{**vars(outcome), "suspects": found})
            start = time.perf_counter()
            page = write_report(shown, root)
            spent["page"].append(time.perf_counter() - start)
        for name, seconds in spent.items():
            print(f"{name:28} {statistics.median(seconds):6.1f} s")
        print(f"{'size':28} {page.stat().st_size / 1e6:6.2f} MB")


if __name__ == "__main__":
    main()
