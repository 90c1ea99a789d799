"""Seconds until something answers: the front door beside fastai's star import.

    python benchmarks/import_time.py [--repeats 5]

Each figure is a fresh process, started in the project's folder; medians, and the ratio.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "import quickvision": ["-c", "import quickvision"],
    "quickvision --help": ["-m", "quickvision", "--help"],
    "quickvision, first DataLoaders possible": ["-c", "import quickvision as q; q.from_folder"],
    "quickvision, first training possible": ["-c", "import quickvision as q; q.train"],
    "quickvision, first DataLoaders built": [
        "-c",
        "import quickvision as q; q.from_name_re('nbs_data/digits', r'^(.+)_', size=32, bs=8)",
    ],
    "from fastai.vision.all import *": ["-W", "ignore", "-c", "from fastai.vision.all import *"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    os.chdir(Path(__file__).parent.parent)
    repeats = parser.parse_args().repeats
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeats):
        for name, args in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *args], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - start)
    fastai = statistics.median(seconds["from fastai.vision.all import *"])
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        print(f"{name:<42}{middle:7.2f} s   {fastai / middle:6.1f}x fastai's import")


if __name__ == "__main__":
    main()
