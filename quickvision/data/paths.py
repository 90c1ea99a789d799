"""Which files are pictures, and which folders are the two sides.

It knows nothing of labels or of fastai. Within a data set a picture goes by its name: its
path below the root, as text with `/`: loaders of 100,000 files are built in 0.3 s with names, and
the plain list of `Path` that fastai gets costs another 0.25 s. (A lazy list was faster and broke
`L(items)`, `items + items` and `ClassificationInterpretation`.)
"""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from quickvision.base.errors import DataError, as_path, did_you_mean, some

# fastai takes its list from the machine's mime types, where .webp and others are missing. The
# last line is what cameras and designers leave, which Pillow reads with a plug-in only: such files
# are found, and where they cannot be read that is said.
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp", ".avif"}
    | {".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".jp2", ".j2k"}
    | {".heic", ".heif", ".svg", ".psd", ".raw", ".dng", ".cr2", ".nef", ".arw", ".jxl"}
)


def to_paths(root: Path, names: Sequence[str]) -> list[Path]:
    """Return the paths of names below a root (a whole path stays what it is).

    Python's collector is paused meanwhile: it would look through all of fastai each time some paths
    are made, which takes three times as long as making them.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        return [root / name for name in names]
    finally:
        if running:
            gc.enable()


def folder(path: str | Path) -> Path:
    """Return `path` as a `Path` that is a folder.

    Raises:
        DataError: It does not exist, or is a file.
    """
    path = as_path(path, "path")
    if path.is_dir():
        return path
    if path.exists():
        raise DataError(f"expected a folder of pictures, got a file: {path}")
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = did_you_mean(path.name, beside) or f"; the working folder is {Path.cwd()}"
    raise DataError(f"expected a folder of pictures, got nothing at {path}{hint}")


def inside(path: str | Path, *names: str) -> Path:
    """Return the first folder of these names in `path`, or `path` itself where there is none.

    Raises:
        DataError: There is no folder `path`.
    """
    root = folder(path)
    return next((root / name for name in names if (root / name).is_dir()), root)


def relative(path: str | Path, root: Path) -> str:
    """Return the part of `path` below `root`, with `/`; an empty string where it is not below."""
    text, top = os.fspath(path), os.path.join(root, "")
    if root == Path():
        below = "" if os.path.isabs(text) else text
    else:
        below = text[len(top) :] if text.startswith(top) else ""
    return below if os.sep == "/" else below.replace(os.sep, "/")


def below(path: str | Path, root: Path) -> str:
    """Return what every table calls a picture: its path below `root`, with `/`.

    One that is elsewhere is called by its whole path.
    """
    return relative(path, root) or Path(path).as_posix()


TABLES = (".csv", ".tsv", ".txt")


class Files(NamedTuple):
    """What lies below a folder: names, their paths below it with `/`.

    Attributes:
        names: The pictures.
        others: Files that are none.
        empty: Folders in which there is nothing to see, with `/` at the end.
    """

    names: list[str]
    others: list[str]
    empty: list[str]


# What systems and tools leave, and what no data set is called.
_NO_DATA = frozenset(
    {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"}
    | {"__pycache__", "node_modules", "venv", "site-packages"}
    | {"wandb", "lightning_logs", "tb_logs", "mlruns"}
)


def look(path: str | Path) -> None:
    """See that there is something to read at a path, in an instant and without numpy or torch.

    The command line asks it before torch is loaded, which takes seconds. It stops at the first
    picture, and lets pass what it cannot judge at once.

    Raises:
        DataError: As `find_listing`, in its words: nothing is there; an empty table; or a folder
            that has neither pictures nor a table.
    """
    path = as_path(path, "path")
    if path.is_file() and path.suffix.lower() not in SUFFIXES:
        if not path.stat().st_size:
            raise DataError(f"expected rows in {path}, got an empty file")
        return
    files = find_files(folder(path), until_one=True)
    if not files.names and not any(name.lower().endswith(TABLES) for name in files.others):
        raise no_pictures(path, files)


def find_files(root: Path, *, until_one: bool = False) -> Files:
    """Walk `root` for pictures (by their suffix), for other files, and for empty folders.

    Hidden files and folders (`.ipynb_checkpoints`, `._name.jpg`), those of systems and tools
    (`__MACOSX`, `@eaDir`) and those of quickvision's own runs are not looked into. Links are
    followed, each folder once, under its own name where it has one here. With `until_one` it ends
    with the first folder that has a picture.

    Returns:
        Names in one order on every machine: a folder's own files, then its folders, then links.
    """
    files = Files([], [], [])
    seen: set[str] = set()
    links: list[str] = []
    waiting = [""]
    while (waiting or links) and not (until_one and files.names):
        prefix = waiting.pop() if waiting else links.pop(0)
        here = os.path.join(root, prefix)
        real = os.path.realpath(here)
        if real in seen:
            continue
        seen.add(real)
        names: list[str] = []
        folders: list[str] = []
        linked: list[str] = []
        with os.scandir(here) as entries:
            for entry in entries:
                is_folder = _is_folder(entry)
                kind = names if not is_folder else linked if entry.is_symlink() else folders
                kind.append(entry.name)
        if prefix and _is_our_run(here, names):
            continue
        shown = [name for name in sorted(names) if name[0] != "."]
        for name in shown:
            is_picture = name[name.rfind(".") :].lower() in SUFFIXES
            (files.names if is_picture else files.others).append(prefix + name)
        if prefix and not (shown or folders or linked):
            files.empty.append(prefix)
        waiting += [f"{prefix}{name}/" for name in sorted(folders, reverse=True) if _shown(name)]
        links += [f"{prefix}{name}/" for name in sorted(linked) if _shown(name)]
    return files


# What reads files that Pillow does not, by their suffix.
READERS = {
    ".dcm": "pydicom reads them: save them as PNG",
    ".nii": "nibabel reads them: save their slices as PNG",
    ".npy": "NumPy reads them: save them as PNG",
    ".mp4": "they are videos: save some of their frames as JPEG",
    ".zip": "they are archives: unpack them",
    ".pdf": "they are documents: save their pages as PNG",
    "": "they lack a suffix: add .jpg or .png to their names",
}


def no_pictures(root: Path, files: Files) -> DataError:
    """Say what is there instead of pictures."""
    kinds = Counter(Path(name).suffix.lower() for name in files.others).most_common(3)
    said = [f"{n:,} file{'s' if n > 1 else ''} of {kind or 'no suffix'}" for kind, n in kinds]
    way = next((f" ({READERS[kind]})" for kind, _ in kinds if kind in READERS), "")
    got = f"{some(said)}{way}" if said else "none, and no other files"
    return DataError(f"expected pictures in {root}, got {got}; looked for .jpg, .png and the like")


def _shown(folder: str) -> bool:
    return folder[0] != "." and folder.casefold() not in _NO_DATA


def _is_our_run(folder: str, names: Sequence[str]) -> bool:
    """Say whether a folder is that of a run or a comparison, whose plots are no data.

    It may be ours or that of Ultralytics, which puts `args.yaml` into it.
    """
    if {"args.yaml", "results.csv"} <= {*names}:
        return True
    if any(name.startswith("split-") and name.endswith(".csv") for name in names):
        return any(name.endswith(".json") for name in names)
    if "config.json" not in names or not {"split.csv", "log.csv"} & {*names}:
        return False  # of fastai's own loaders there is no split.csv
    try:
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            return '"quickvision"' in file.read()
    except (OSError, UnicodeDecodeError):
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False
