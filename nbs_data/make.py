"""Make the small pictures that the course and the tests use, the same on each run.

They are scikit-learn's digits: real scans of 8 x 8 pixels, written here as 32 x 32 PNG files. The
layouts are those in which people have their own pictures.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def make(folder: Path) -> None:
    """Write all of it below `folder`; files that are there are written over."""
    scans = load_digits()
    named(scans, folder / "digits")
    class_folders(scans, folder / "threes_and_eights")
    numbered(scans, folder / "numbered")
    damaged(scans, folder / "damaged")


def named(scans: Bunch, folder: Path) -> None:
    """Write `CLASS_NUMBER.png`, 60 of each digit: the layout of the pets."""
    for digit, name in enumerate(NAMES):
        for number in spread(scans, digit, 60):
            save(scans, number, folder / f"{name}_{number:04d}.png")


def class_folders(scans: Bunch, folder: Path) -> None:
    """Write `train|val/CLASS/NUMBER.png` of two digits, 30 + 40 of each: as ants and bees."""
    for digit in (3, 8):
        for i, number in enumerate(spread(scans, digit, 70)):
            side = "train" if i % 7 < 3 else "val"
            save(scans, number, folder / side / NAMES[digit] / f"{number:04d}.png")


def numbered(scans: Bunch, folder: Path) -> None:
    """Write classes by number with a `names.csv` without header, and a `test` without labels.

    The layout of the car hackathons: `train/00001.jpg` and so on, `train.csv` says which class.
    """
    rows = []
    for digit in range(10):
        for i, number in enumerate(spread(scans, digit, 35)):
            if i % 7 < 5:
                save(scans, number, folder / "train" / f"{number:05d}.png")
                rows.append({"file": f"train/{number:05d}.png", "class": digit + 1})
            else:
                save(scans, number, folder / "test" / f"{number:05d}.png")
    table = pd.DataFrame(rows).sort_values("file")
    table.to_csv(folder / "train.csv", index=False, lineterminator="\n")
    (folder / "names.csv").write_bytes("\n".join([*NAMES, ""]).encode())


def damaged(scans: Bunch, folder: Path) -> None:
    """Write class folders with a file for each thing that goes wrong with collected pictures."""
    for digit in (0, 1):
        for number in spread(scans, digit, 10):
            save(scans, number, folder / NAMES[digit] / f"{number:04d}.png")
    zeros, ones = folder / "zero", folder / "one"
    whole = sorted(zeros.glob("0*.png"))[0].read_bytes()
    (zeros / "cut_short.png").write_bytes(whole[: len(whole) // 2])
    (zeros / "empty.png").write_bytes(b"")
    (zeros / "a_web_page.jpg").write_bytes(b"<!DOCTYPE html><title>404 Not Found</title>")
    (ones / "a_zero_among_ones.png").write_bytes(whole)  # the same picture, another label
    Image.new("P", (32, 32)).save(ones / "image_not_found.gif")
    (ones / "notes.txt").write_bytes(b"checked by hand\n")


def spread(scans: Bunch, digit: int, n: int) -> np.ndarray:
    """Pick n scans of a digit, from all writers, of those that `digit_weights` leaves out."""
    numbers = np.flatnonzero(scans.target == digit)[1::2]
    return numbers[np.linspace(0, len(numbers) - 1, n).astype(int)]


def save(scans: Bunch, number: int, file: Path) -> None:
    """Write one scan."""
    file.parent.mkdir(parents=True, exist_ok=True)
    scan = (scans.images[number] * (255 / 16)).astype(np.uint8)
    Image.fromarray(scan).resize((32, 32), Image.Resampling.NEAREST).save(file)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
