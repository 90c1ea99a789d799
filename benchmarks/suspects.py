"""Flipped labels found again, beside cleanlab's Datalab on the same features; and the seconds.

    python benchmarks/suspects.py [SHARED] [--seeds 10] [--cleanlab FOLDER]

Sets: scikit-learn's digits, raw pixels, all 1,797 and 500 of them; where SHARED is given, what a
mobilenet_v2 that knows ImageNet says of `data/pets_sample` (370 pictures, 37 breeds) and
`data/hymenoptera` (ants and bees), weights in `weights/mobilenet_v2_imagenet.pth`. Of each, 5 % of
the labels are put to one of the other classes, any of them, drawn anew for each seed. People err
towards what is alike, which is harder to find. cleanlab is no part of quickvision; it is compared
where it is to be had, in a folder of this name (or it cannot pickle its own modules):

    pip install --target FOLDER/site-packages "cleanlab[datalab]"
    python benchmarks/suspects.py SHARED --cleanlab FOLDER/site-packages

Columns: R@10, share of the flipped ones in the first tenth of all pictures; P@k, share of flipped
ones in the first k, where k have been flipped; AP, average precision of the ranking; true, how
often the proposed class of a flipped one is what it was; listed, and of these: how many pictures
are in the table that a user sees, and the share of flipped ones in it, and of all flipped ones.
Settings are the same for all sets. Pictures whose labels are wrong to begin with count as false.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import cross_val_predict

import quickvision as qv
from quickvision.results.embeddings import Embeddings
from quickvision.results.nearest import unit
from quickvision.results.suspects import Asked, ask, suspects

SHARE = 0.05
SIZES = ((10_000, 512, 37), (10_000, 1024, 196))  # pictures, features, classes
Side = Callable[[Embeddings, int], tuple[np.ndarray, np.ndarray | None]]  # how good labels are


def made(x: np.ndarray, labels: np.ndarray, vocab: tuple[str, ...]) -> Embeddings:
    paths = tuple(f"{i:06d}.jpg" for i in range(len(x)))
    side = np.zeros(len(x), dtype=bool)
    return Embeddings(x.astype(np.float32), labels.astype(np.int64), vocab, paths, side)


def digits(n: int) -> Embeddings:
    x, y = load_digits(return_X_y=True)
    some = np.random.default_rng(0).permutation(len(x))[:n]
    return made(x[some], y[some], tuple("0123456789"))


def seen(dls: qv.DataLoaders, weights: Path) -> Embeddings:
    """What the body says of both sides; the head has not been trained."""
    learn = qv.cnn_learner(dls, "mobilenet_v2", weights=weights, head="linear")
    top = qv.feature_learner(learn)
    sides = [dl.dataset for dl in (top.dls.train, top.dls.valid)]
    x = np.concatenate([side.x[0].numpy() for side in sides])
    return made(x, np.concatenate([side.y.numpy() for side in sides]), tuple(dls.vocab))


def flipped(given: Embeddings, seed: int) -> tuple[Embeddings, np.ndarray]:
    """Put 5 % of the labels to one of the other classes; which ones, bool [n]."""
    rng = np.random.default_rng(seed)
    n, c = len(given), len(given.vocab)
    chosen = rng.choice(n, round(SHARE * n), replace=False)
    labels = given.labels.copy()
    labels[chosen] = (labels[chosen] + rng.integers(1, c, len(chosen))) % c
    return replace(given, labels=labels), np.isin(np.arange(n), chosen)


def ours(given: Embeddings, seed: int) -> tuple[np.ndarray, np.ndarray]:
    table = suspects(given, all=True, seed=seed)
    row = given.rows(list(table["path"]))
    good, proposed = np.empty(len(given)), np.empty(len(given), dtype=int)
    good[row] = np.arange(len(given))
    proposed[row] = [given.vocab.index(name) for name in table["suggested"]]
    return good, proposed


def _asked(given: Embeddings, seed: int) -> Asked:
    return ask(given, np.arange(len(given)), seed=seed)


def neighbours(given: Embeddings, seed: int) -> tuple[np.ndarray, np.ndarray]:
    asked = _asked(given, seed)
    probs = 2 * asked.probs - asked.regression
    return probs[np.arange(len(given)), given.labels], probs.argmax(axis=1)


def regression(given: Embeddings, seed: int) -> tuple[np.ndarray, np.ndarray]:
    probs = _asked(given, seed).regression
    return probs[np.arange(len(given)), given.labels], probs.argmax(axis=1)


def datalab(kind: str) -> Side:
    """Rank by Datalab's label score: by neighbours, by a regression, or by our probabilities."""

    def side(given: Embeddings, seed: int) -> tuple[np.ndarray, None]:
        from cleanlab import Datalab

        x, labels = unit(given), given.labels
        how: dict[str, np.ndarray] = {"features": x}
        if kind == "regression":
            model = LogisticRegression(max_iter=1000)
            how = {"pred_probs": cross_val_predict(model, x, labels, method="predict_proba")}
        elif kind == "quickvision":
            how = {"pred_probs": _asked(given, seed).probs.astype(np.float64)}
        with contextlib.redirect_stdout(io.StringIO()):
            lab = Datalab({"label": labels}, label_name="label", verbosity=0)
            lab.find_issues(**how, issue_types={"label": {}})
        return lab.get_issues("label")["label_score"].to_numpy(), None

    return side


def measured(given: Embeddings, side: Side, seeds: int) -> dict[str, float]:
    rows = []
    for seed in range(seeds):
        noisy, wrong = flipped(given, seed)
        start = time.perf_counter()
        good, proposed = side(noisy, seed)
        seconds = time.perf_counter() - start
        order, k = np.argsort(good, kind="stable"), int(wrong.sum())
        row = {
            "R@10": wrong[order[: round(len(given) / 10)]].sum() / k,
            "P@k": wrong[order[:k]].mean(),
            "AP": average_precision_score(wrong, -good),
            "true": np.nan,
            "seconds": seconds,
        }
        if proposed is not None:
            row["true"] = (proposed == given.labels)[wrong].mean()
        if side is ours:
            listed = noisy.rows(list(suspects(noisy, seed=seed)["path"]))
            row |= {
                "listed": len(listed),
                "precision": wrong[listed].mean(),
                "recall": wrong[listed].sum() / k,
            }
        rows.append(row)
    return pd.DataFrame(rows).mean().to_dict()


def speed(n: int, f: int, c: int) -> None:
    """Time features that are made up: classes around centres, so that some are near each other."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, c, n)
    x = np.maximum(rng.normal(size=(c, f))[labels] + 3 * rng.normal(size=(n, f)), 0)
    noisy, wrong = flipped(made(x, labels, tuple(map(str, range(c)))), 0)
    start, busy = time.perf_counter(), time.process_time()
    table = suspects(noisy, all=True)
    seconds, cpu = time.perf_counter() - start, time.process_time() - busy
    first = noisy.rows(list(table["path"])[: n // 10])
    found = wrong[first].sum() / wrong.sum()
    what = f"{n:,} pictures, {f:,} features, {c} classes"
    print(f"{what}: {seconds:.1f} s, of the CPU {cpu:.1f}; R@10 {found:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", nargs="?", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--cleanlab", help="the folder that cleanlab was installed into")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    sets = {"digits": digits(1797), "digits, 500": digits(500)}
    if options.shared:
        data, weights = options.shared / "data", options.shared / "weights"
        file = weights / "mobilenet_v2_imagenet.pth"
        dls = qv.from_name_re(data / "pets_sample/images", r"^(.+)_\d+\.jpg$", size=224)
        sets["pets"] = seen(dls, file)
        sets["ants and bees"] = seen(qv.from_folder(data / "hymenoptera", size=224), file)
    sides: dict[str, Side] = {
        "quickvision": ours,
        "its neighbours": neighbours,
        "its regression": regression,
    }
    if options.cleanlab:
        sys.path.append(options.cleanlab)  # at the end: what is installed comes first
        sides |= {
            "Datalab, features": datalab("features"),
            "Datalab, regression": datalab("regression"),
            "Datalab, our probabilities": datalab("quickvision"),
        }
    for size in SIZES:
        speed(*size)
    print(f"5 % flipped, means of {options.seeds} seeds", flush=True)
    for name, given in sets.items():
        rows = [
            {"side": side, **measured(given, work, options.seeds)} for side, work in sides.items()
        ]
        print(f"\n{name}, n={len(given):,}, {len(given.vocab)} classes")
        print(pd.DataFrame(rows).round(3).fillna("").to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
