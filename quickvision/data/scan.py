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
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image, TiffImagePlugin

from quickvision.base.errors import DataError
from quickvision.base.files import cache_folder
from quickvision.base.progress import mapped
from quickvision.data.rgb import (
    BROKEN,
    Levels,
    is_deep,
    levels_of,
    open_rgb,
    orientation,
    to_rgb,
)

PLACEHOLDER_COLOURS = 64  # a drawing; photos that are stored with a palette use nearly all 256
THUMB = (9, 9)  # pixels, width and height: square, so that it can be turned
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
        thumb: The upright picture at 9 x 9 pixels, RGB bytes, row by row.
        low: Least value: as stored where there are more than 8 bits, else of 255.
        top: Largest value.
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
    low: float = 0.0
    top: float = 0.0


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
        if bands := _bands(path):
            return Facts(error=f"{BANDS}: {bands} bands, where pictures have 1 to 4")
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
        low, top = _ends(image) if is_deep(mode) else (0.0, 0.0)
        rgb = to_rgb(image, levels_of(low, top, mode))
        if not is_deep(mode):
            ends = rgb.getextrema()
            low, top = float(min(e[0] for e in ends)), float(max(e[1] for e in ends))  # type: ignore[index]
        thumb = rgb.resize(THUMB, Image.Resampling.BILINEAR)
    kind = ("", image.format or "", mode, width, height)
    seen = (orientation(image), frames, colours, image.has_transparency_data)
    return Facts(*kind, *seen, digest, thumb.tobytes(), low, top)


def _ends(image: Image.Image) -> tuple[float, float]:
    """Return the least and the largest value of a deep picture, of those that are numbers."""
    values = np.asarray(image)
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


BANDS = "too many bands"


def way_out_of_bands(root: Path) -> str:
    """Return the lines that make pictures of three of many bands."""
    return f"""make pictures of three of their bands, in another folder:
    import tifffile  # pip install tifffile
    from pathlib import Path
    from PIL import Image
    root, white = Path({str(root)!r}), 3000  # the value that is to be white
    for path in [*root.rglob("*.tif"), *root.rglob("*.tiff")]:
        three = tifffile.imread(path)[..., [3, 2, 1]]  # red, green, blue, counted from 0
        new = Path(f"{{root}}_rgb") / path.relative_to(root).with_suffix(".png")
        new.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((three * (255 / white)).clip(0, 255).astype("uint8")).save(new)"""


def _bands(path: Path) -> int:
    """Return how many bands a TIFF has that Pillow cannot open; 0 where that is not known."""
    with contextlib.suppress(*BROKEN), open(path, "rb") as file:
        tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
        file.seek(tags.next)
        tags.load(file)
        bands = int(tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1))
        return bands if bands > 4 else 0
    return 0


def common_levels(facts: Iterable[Facts]) -> Levels | None:
    """Return what is black and white in all deep pictures of a data set; None where there are none.

    One scale for all of them: a dark picture among light ones stays dark.
    """
    deep = [seen for seen in facts if not seen.error and is_deep(seen.mode)]
    if not deep:
        return None
    low, top = min(seen.low for seen in deep), max(seen.top for seen in deep)
    return levels_of(low, top, "F" if any(seen.mode == "F" for seen in deep) else "I")


FAINT = 24.0  # of 256 levels, below which there is next to nothing to see


def contrast(facts: Sequence[Facts], levels: Levels | None) -> float:
    """Return the levels, of 255, between the darkest and lightest spot of the middle picture.

    Half of the pictures have no more. 16-bit colours are cut to 8 by Pillow: 12 bits in them leave
    15 of the 255.
    """
    spans = []
    for seen in facts:
        black, white = (levels or (0.0, 65535.0)) if is_deep(seen.mode) else (0.0, 255.0)
        low, top = (min(max(end, black), white) for end in (seen.low, seen.top))
        if not seen.error:
            spans.append((top - low) * 255 / max(white - black, 1e-6))
    return float(np.median(spans)) if spans else 255.0


def grey_pixels(path: str | Path, *, whole: bool = False) -> np.ndarray | None:
    """Return a picture at 32 x 32 pixels, upright, in grey: float32 [1024]; None if it is bad.

    With `whole` a JPEG is decoded in full: at a quarter of its size the last row and column may
    stand for fewer pixels, so that a turned copy is another picture.
    """
    try:
        image = open_rgb(path, at_least=None if whole else DRAFT[0])
    except DataError:
        return None
    small = image.convert("L").resize((32, 32), Image.Resampling.BILINEAR)
    return np.asarray(small, dtype=np.float32).ravel()


def digests(files: Sequence[Path]) -> list[bytes]:
    """Hash the files that may be copies of each other, which are those of equal size.

    Returns:
        A hash for each; empty where no other has this size, or two seconds are over.
    """
    end = time.perf_counter() + 2
    sizes = [0] * len(files)
    for i, file in enumerate(files):
        with contextlib.suppress(OSError):
            sizes[i] = os.stat(file).st_size
    often = Counter(sizes)
    found = [b""] * len(files)
    for i, (file, size) in enumerate(zip(files, sizes, strict=True)):
        if size and often[size] > 1 and time.perf_counter() < end:
            with contextlib.suppress(OSError), open(file, "rb") as opened:
                found[i] = _digest(opened)
    return found


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


TABLE = "facts_2"  # raise the number when `probe` sees more, or sees it otherwise
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
