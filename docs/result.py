"""Draw `result.png` for the README: what the demo's run looks like. `python docs/result.py`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt

import quickvision as qv

with TemporaryDirectory() as out:
    run = qv.train_digits(out=out, verbose=False)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10.5, 5.4), width_ratios=(1, 1), layout="constrained"
    )
    run.plot_confusion(ax=left)
    run.plot_top_losses(6, ax=right)
    figure.savefig(Path(__file__).with_name("result.png"), dpi=110)
