"""Make the small pictures that the notebooks and tests use, the same on each run.

They are scikit-learn's digits: real scans of 8 x 8 pixels, written here as 32 x 32 PNG files.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
EACH = 20


def make(folder: Path) -> None:
    """Write `digits/CLASS_NUMBER.png`, 20 pictures of each digit, spread over all writers."""
    digits = load_digits()
    (folder / "digits").mkdir(parents=True, exist_ok=True)
    for digit, name in enumerate(NAMES):
        numbers = np.flatnonzero(digits.target == digit)
        for number in numbers[np.linspace(0, len(numbers) - 1, EACH).astype(int)]:
            scan = (digits.images[number] * (255 / 16)).astype(np.uint8)
            image = Image.fromarray(scan).resize((32, 32), Image.Resampling.NEAREST)
            image.save(folder / "digits" / f"{name}_{number:04d}.png")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
