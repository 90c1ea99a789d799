"""Look once into every picture file: can it be read, and what is it?

What was seen is kept in a database in our cache folder, by path, size and time of change, so that
known files are not read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image

from quickvision.base.errors import DataError
from quickvision.base.files import cache_folder
from quickvision.base.progress import mapped
from quickvision.data.pictures import BROKEN, open_rgb, orientation, to_rgb

PLACEHOLDER_COLOURS = 64  # a drawing; photos that are stored with a palette use nearly all 256
THUMB = (9, 8)  # pixels, width and height
DRAFT = (64, 64)  # pixels that a JPEG is decoded to at least
BIG = 25_000_000  # pixels; larger ones are decoded one at a time, to keep memory flat
_big = threading.Lock()


class Facts(NamedTuple):
    """What was seen in one picture file.

    Attributes:
        error: Why it cannot be read, or an empty string; then the rest may be empty.
        format: Pillow's name of the file format, such as `JPEG`.
        mode: Pillow's mode, such as `RGB` or `P`.
        width: Pixels, as stored, before any EXIF turn.
        height: Pixels.
        turn: EXIF orientation, 1 (upright) to 8.
        frames: Pictures in the file; more than 1 is an animation.
        colours: Number of colours where the picture has a palette of at most 256, else 0.
        alpha: Has transparency.
        digest: Hash of the file's bytes.
        thumb: The upright picture at 9 x 8 pixels, RGB bytes, row by row.
    """

    error: str = ""
    format: str = ""
    mode: str = ""
    width: int = 0
    height: int = 0
    turn: int = 1
    frames: int = 1
    colours: int = 0
    alpha: bool = False
    digest: bytes = b""
    thumb: bytes = b""


def probe(path: Path) -> Facts:
    """Decode one file, at reduced size where the format allows, and say what it is.

    Nothing is raised for a bad file: the reason is in `Facts.error`, its kind first.
    """
    try:
        with open(path, "rb") as file:
            if not file.read(1):
                return Facts(error="empty: the file has 0 bytes")
            with Image.open(file) as image:
                return _look(image, _digest(file))
    except Image.UnidentifiedImageError:
        return Facts(error="not a picture: no format that can be read here, save it as JPEG or PNG")
    except Image.DecompressionBombError as error:
        return Facts(error=f"too large: {error}")
    except BROKEN as error:
        kind = "truncated" if "truncated" in str(error).lower() else "damaged"
        return Facts(error=f"{kind}: {error or type(error).__name__}")


def _look(image: Image.Image, digest: bytes) -> Facts:
    width, height = image.size
    mode = image.mode
    frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1  # MPO: a phone's photo
    image.draft(None, DRAFT)
    with _big if image.width * image.height > BIG else contextlib.nullcontext():
        image.load()
        colours = len(image.getcolors(256) or []) if mode == "P" else 0
        # Bilinear, and not the box filter, whose pixels jump with the size that it starts from.
        thumb = to_rgb(image).resize(THUMB, Image.Resampling.BILINEAR)
    kind = ("", image.format or "", mode, width, height)
    seen = (orientation(image), frames, colours, image.has_transparency_data)
    return Facts(*kind, *seen, digest, thumb.tobytes())


def grey_pixels(path: str | Path) -> np.ndarray | None:
    """Return a picture at 32 x 32 pixels, upright, in grey: float32 [1024]; None if it is bad."""
    try:
        image = open_rgb(path, at_least=DRAFT[0])
    except DataError:
        return None
    small = image.convert("L").resize((32, 32), Image.Resampling.BILINEAR)
    return np.asarray(small, dtype=np.float32).ravel()


def _digest(file: IO[bytes]) -> bytes:
    """Hash the file's bytes a piece at a time, and leave the file where it was."""
    digest = hashlib.blake2b(digest_size=16)
    place = file.tell()
    file.seek(0)
    while piece := file.read(1 << 20):
        digest.update(piece)
    file.seek(place)
    return digest.digest()


def scan(files: Sequence[Path]) -> list[Facts]:
    """Look into all files, in parallel, with a bar where it takes long.

    Memory grows by about a kilobyte a file, whatever the size of the pictures. A file that was seen
    before, and has the same size and time of change, is not read. Files that could not be
    read are read again each time: another Pillow may read them.

    Returns:
        What was seen, in the order of `files`.
    """
    rows: list[tuple[Any, ...]] = []
    with contextlib.closing(_open_store()) as store:
        known, stamps = _recall(store, files)
        new = [i for i in range(len(files)) if i not in known]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's, of bombs and odd EXIF: we say it
                seen = mapped(probe, [files[i] for i in new], "looking at pictures")
                for i, facts in zip(new, seen, strict=True):
                    known[i] = facts
                    if not facts.error and i in stamps:
                        rows.append((_key(files[i]), *stamps[i], *facts[1:]))
                    if len(rows) >= 1000:
                        _write_down(store, rows)
        finally:  # also at Ctrl-C: keep what was seen
            _write_down(store, rows)
    return [known[i] for i in range(len(files))]


def unfit(facts: Mapping[str, Facts]) -> dict[str, str]:
    """Say which pictures training should not see, and why, by their names.

    These are the files that cannot be decoded, and lone drawings among photos: a picture with a
    palette of few colours, in a format that at most one in twenty files has.
    """
    reasons = {name: seen.error for name, seen in facts.items() if seen.error}
    formats = Counter(seen.format for seen in facts.values())
    for name, seen in facts.items():
        rare = formats[seen.format] <= len(facts) / 20
        if rare and 0 < seen.colours <= PLACEHOLDER_COLOURS:
            what = f"{seen.colours} colours, {seen.format} among {formats.most_common(1)[0][0]}"
            reasons[name] = f"looks like a placeholder: {what}; check=False keeps it"
    return reasons


TABLE = "facts_1"  # raise the number when `probe` sees more, or sees it otherwise
COLUMNS = ("path", "size", "changed", *Facts._fields[1:])


def _open_store() -> sqlite3.Connection:
    """Open the database; where it cannot be used, one in memory, so that files are read again."""
    folder = cache_folder()
    with contextlib.suppress(OSError, sqlite3.Error):
        folder.mkdir(parents=True, exist_ok=True)
        return _with_table(folder / "scan.sqlite")
    return _with_table(":memory:")


def _with_table(place: Path | str) -> sqlite3.Connection:
    store = sqlite3.connect(place, timeout=5)
    columns = ", ".join(COLUMNS)
    store.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} ({columns}, PRIMARY KEY (path))")
    return store


def _key(file: Path) -> bytes:
    return os.fsencode(os.path.abspath(file))  # bytes: a name need not be proper UTF-8


def _recall(
    store: sqlite3.Connection, files: Sequence[Path]
) -> tuple[dict[int, Facts], dict[int, tuple[int, int]]]:
    """Return, by place, what is known of files that have not changed, and sizes and times."""
    known, stamps = {}, {}
    query = f"SELECT {', '.join(COLUMNS[1:])} FROM {TABLE} WHERE path = ?"
    for i, file in enumerate(files):
        with contextlib.suppress(OSError, sqlite3.Error):
            status = os.stat(file)
            stamps[i] = (status.st_size, status.st_mtime_ns)
            row = store.execute(query, (_key(file),)).fetchone()
            if row and row[:2] == stamps[i]:
                known[i] = Facts("", *row[2:])
    return known, stamps


def _write_down(store: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    """Move the rows into the database, if it takes them."""
    marks = ", ".join("?" * len(COLUMNS))
    with contextlib.suppress(sqlite3.Error), store:
        store.executemany(f"INSERT OR REPLACE INTO {TABLE} VALUES ({marks})", rows)
    rows.clear()
