"""From a JPEG file to a picture of the training size: fastai's way beside ours, plain and cached.

    python benchmarks/decode.py [PHOTOS] [--size 256] [--repeats 5]

PHOTOS is a folder of JPEG photos; without it, smooth noise is made on the spot. Phone photos are
made of them: enlarged to 4000 x 3000 pixels (12 megapixels), quality 92. Both sides end with
fastai's `Resize(size)` as for validation. fastai: `PILImage.create`. quickvision: the opener that
all doors use, first on the files, then on the copies of `cache=True` (making those is timed too).
Beside each
ratio stands how far the two pictures are from each other, in grey levels of 255 (the next pixel is
about 7 away: parts of a pixel's shift).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fastai.data.core import Transform
from fastai.vision.augment import Resize
from fastai.vision.core import PILImage
from PIL import Image

from quickvision.data.pictures import Opener, make_copies


def photos(folder: Path | None, here: Path, n: int) -> list[Path]:
    if folder:
        return sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))[:n]
    files = []
    for i in range(n):
        small = np.random.default_rng(i).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        files.append(here / f"{i}.jpg")
        Image.fromarray(small).resize((500, 375), Image.Resampling.BICUBIC).save(files[-1])
    return files


def enlarged(files: Sequence[Path], here: Path, n: int) -> list[Path]:
    phone = []
    for file in files[:n]:
        phone.append(here / f"phone_{file.name}")
        Image.open(file).convert("RGB").resize((4000, 3000)).save(phone[-1], quality=92)
    return phone


def once(opened: Callable[[Path], Any], resize: Resize, files: Sequence[Path]) -> float:
    """Return milliseconds a picture."""
    start = time.perf_counter()
    for file in files:
        resize(opened(file), split_idx=1)
    return (time.perf_counter() - start) / len(files) * 1000


def compare(what: str, files: Sequence[Path], size: int, repeats: int, cache: Path) -> None:
    resize = Resize(size)
    start = time.perf_counter()
    make_copies(files, size, cache)
    made = (time.perf_counter() - start) / len(files) * 1000
    openers = {
        "fastai": Transform(PILImage.create),  # as an ImageBlock does
        "quickvision": Opener(size),
        "with copies": Opener(size, cache),
    }
    seconds: dict[str, list[float]] = {name: [] for name in openers}
    for _ in range(repeats):
        for name, opened in openers.items():
            seconds[name].append(once(opened, resize, files))
    median = {name: statistics.median(taken) for name, taken in seconds.items()}
    print(f"{what}: {len(files)} files, median of {repeats}, ms a picture")
    print(f"  fastai       {median['fastai']:7.2f}")
    for name in ("quickvision", "with copies"):
        ratio = median["fastai"] / median[name]
        apart = statistics.mean(
            float(np.abs(np.asarray(a, float) - np.asarray(b, float)).mean())
            for a, b in (
                (resize(PILImage.create(f), split_idx=1), resize(openers[name](f), split_idx=1))
                for f in files[:20]
            )
        )
        print(f"  {name:<12} {median[name]:7.2f}   ratio {ratio:5.1f}   apart {apart:.1f}")
    print(f"  making the copies: {made:.1f} ms a picture, once")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="?")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        files = photos(options.photos, here, 60)
        phone = enlarged(files, here, 8)
        compare("12 megapixels", phone, options.size, options.repeats, here / "cache")
        compare("as they are", files, options.size, options.repeats, here / "cache")


if __name__ == "__main__":
    main()
