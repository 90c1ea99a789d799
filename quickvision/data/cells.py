"""Which files the cells of a table name, and in which folder they are."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from quickvision.base.errors import DataError, some
from quickvision.data.paths import SUFFIXES

LOOKED_AT = 20  # rows that decide which folder and which column it is


def images_folder(images: Path, base: Path) -> Path:
    """Return the folder of the pictures, seen from `base` or from the working folder.

    Raises:
        DataError: It is not there.
    """
    images = images.expanduser()
    for folder in (base / images, images):
        if folder.is_dir():
            return folder
    raise DataError(f"expected the folder of the pictures, got nothing at {base / images}")


def guess_images(rows: Sequence[Sequence[str]], suffix: str | None, csv: Path) -> Path:
    """Return the folder that has the pictures: the table's own, or one beside it."""
    folders = [csv.parent, *sorted(p for p in csv.parent.iterdir() if p.is_dir())]
    cells = [cell for row in rows[:LOOKED_AT] for cell in row]
    for ends in suffixes(suffix):
        hits = {f: sum(bool(find_cell(cell, ends, f)) for cell in cells) for f in folders}
        if not any(hits.values()):
            continue
        best = [folder for folder in folders if hits[folder] == max(hits.values())]
        alike = [f for f in best if f.name.casefold().startswith(csv.stem.casefold())]
        if len(best) > 1 and len(alike) != 1:
            raise DataError(
                f"expected the pictures of {csv} in one folder, got them in each of"
                f" {some([folder.name for folder in best])}; say images="
            )
        return (alike if len(best) > 1 else best)[0]
    return csv.parent


def suffixes(suffix: str | None) -> Sequence[Sequence[str]]:
    """Return what to try: names as they are before names that lack their end."""
    if suffix is None:
        return [("",), (".jpg", ".jpeg", ".png", ".JPG", ".tif")]
    return [(suffix if suffix[:1] in (".", "") else f".{suffix}",)]


def find_cell(name: str, ends: Sequence[str], folder: Path) -> Path | None:
    """Return the file that a cell names, if it is there; Windows writes backslashes."""
    if not name or "\0" in name:
        return None
    for way in (name, name.replace("\\", "/")):
        for end in ends:
            file = Path(os.path.normpath(folder / f"{way}{end}"))
            with contextlib.suppress(OSError):  # a cell of text that is too long for a name
                if file.suffix.lower() in SUFFIXES and file.is_file():
                    return file
    return None
