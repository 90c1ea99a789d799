"""`DataLoaders` from a name pattern over many files: fastai's way beside ours.

    python benchmarks/scale.py [--files 10000 100000 1000000] [--repeats 5]

The files are made on the spot: tiny pictures (both sides open one), 100 classes, one folder.
fastai: `get_image_files`, then `ImageDataLoaders.from_name_re`. quickvision: `from_name_re` with
`check=False`, as fastai checks nothing; then with the check, the first time and again. Each
measurement is a process of its own (imports are not timed), in turn; memory is what building adds
to the process's peak. Ours splits by class; fastai's at random.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

FASTAI = """
from fastai.vision.all import ImageDataLoaders, Resize, get_image_files
def build():
    files = get_image_files(root)
    return ImageDataLoaders.from_name_re(root, files, pat, item_tfms=Resize(224), num_workers=0)
"""
OURS = """
import quickvision as qv
qv.from_name_re
def build():
    return qv.from_name_re(root, pat, check=CHECK, num_workers=0)
"""
TIMED = """
import json, resource, time
start, memory = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
dls = build()
seconds = time.perf_counter() - start
memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
print(json.dumps([seconds, memory, len(dls.train_ds) + len(dls.valid_ds)]))
"""
SIDES = {
    "fastai": FASTAI,
    "quickvision": OURS.replace("CHECK", "False"),
    "checked": OURS.replace("CHECK", "True"),
    "checked again": OURS.replace("CHECK", "True"),
}


def make(root: Path, n: int) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    root.mkdir()
    for i in range(n):
        (root / f"class_{i % 100:02d}_{i}.jpg").write_bytes(buffer.getvalue())


def measure(side: str, root: Path) -> tuple[float, float]:
    """Return seconds and MiB."""
    head = "import warnings; warnings.simplefilter('ignore')\nfrom pathlib import Path\n"
    head += f"root, pat = Path({str(root)!r}), "
    code = head + r"r'^(.+)_\d+\.jpg$'" + SIDES[side] + TIMED
    env = {**os.environ, "QUICKVISION_CACHE": str(root.parent / "cache")}
    out = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, env=env
    )
    seconds, memory, n = json.loads(out.stdout)
    if n != len(os.listdir(root)):
        raise SystemExit(
            f"{side} took {n} of {len(os.listdir(root))} files: the figures mean nothing"
        )
    return seconds, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    for n in options.files:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "pictures"
            make(root, n)
            taken: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
            for repeat in range(options.repeats):
                for side in SIDES if repeat == 0 else ("fastai", "quickvision", "checked again"):
                    taken[side].append(measure(side, root))
            print(f"{n:,} files, median of {options.repeats}")
            fastai = statistics.median(seconds for seconds, _ in taken["fastai"])
            for side, results in taken.items():
                seconds = statistics.median(seconds for seconds, _ in results)
                memory = statistics.median(memory for _, memory in results)
                times = f"{fastai / seconds:5.1f}" if side != "fastai" else ""
                print(f"  {side:<14} {seconds:7.2f} s  {memory:6.0f} MiB  {times}", flush=True)


if __name__ == "__main__":
    main()
