"""`quickvision.check` on many photos: seconds and memory, beside fastai's `verify_images`.

    python benchmarks/check.py [PHOTOS] [--files 10000]

PHOTOS is a folder of photos; the files are crops of them of 500 x 375 pixels, all different, JPEG
of quality 90, in ten class folders; without it, smooth noise. fastai's call opens each file and
says which cannot be read; ours says that and all the rest, and knows it the second time. Each
measurement is a process of its own. Memory is what the call adds to the process's peak.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

TIMED = """
import json, resource, time, warnings
from pathlib import Path
warnings.simplefilter("ignore")
{imports}
root = Path({root!r})
memory, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
{call}
seconds = time.perf_counter() - start
memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
print(json.dumps([seconds, memory, str(said)]))
"""
FASTAI = (
    "from fastai.vision.all import get_image_files, verify_images",
    "said = verify_images(get_image_files(root))",
)
OURS = ("import quickvision as qv; qv.check", "said = qv.check(root)")


def make(photos: Path | None, root: Path, n: int) -> None:
    rng = np.random.default_rng(0)
    suffixes = (".jpg", ".jpeg", ".png")
    files = sorted(p for p in photos.rglob("*") if p.suffix in suffixes) if photos else []
    sources = [Image.open(file).convert("RGB") for file in files]
    for i in range(n):
        if sources:
            source = sources[i % len(sources)]
            scale = rng.uniform(0.4, 0.9)
            width, height = (max(8, int(side * scale)) for side in source.size)
            left = int(rng.integers(0, source.width - width + 1))
            top = int(rng.integers(0, source.height - height + 1))
            picture = source.crop((left, top, left + width, top + height))
        else:
            picture = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        path = root / f"class_{i % 10}" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.resize((500, 375)).save(path, quality=90)


def measure(side: tuple[str, str], root: Path) -> tuple[float, float, str]:
    code = TIMED.format(imports=side[0], call=side[1], root=str(root))
    env = {**os.environ, "QUICKVISION_CACHE": str(root.parent / "cache")}
    out = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, env=env
    )
    seconds, memory, said = json.loads(out.stdout)
    return seconds, memory, said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="?")
    parser.add_argument("--files", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "photos"
        make(options.photos, root, options.files)
        print(f"{options.files:,} photos")
        sides = (("fastai, read", FASTAI), ("check", OURS), ("check again", OURS))
        for name, side in sides:
            seconds, memory, said = measure(side, root)
            print(f"  {name:<14} {seconds:6.1f} s  {memory:5.0f} MiB", flush=True)
        print(said)


if __name__ == "__main__":
    main()
