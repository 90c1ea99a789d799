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

from quickvision.base.errors import DataError, as_path, did_you_mean, some
from quickvision.base.files import read_rows

# fastai takes its list from the machine's mime types, where .webp and others are missing. The
# last line is what cameras and designers leave, which Pillow reads with a plug-in only: such files
# are found, and where they cannot be read that is said.
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp", ".avif"}
    | {".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".jp2", ".j2k"}
    | {".heic", ".heif", ".svg", ".psd", ".raw", ".dng", ".cr2", ".nef", ".arw", ".jxl"}
)

TRAIN_NAMES = ("train", "training", "train_set", "training_set")
VALID_NAMES = ("valid", "val", "validation", "valid_set", "val_set", "validation_set")
TEST_NAMES = ("test", "testing", "test_set")  # validated on where they have labels and none else is


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


def sides(root: Path, valid: str | None = None) -> tuple[Path, Path | None]:
    """Find the training folder and, where there is one, the validation folder.

    Names are compared without regard to case. A `test` without class folders in it (pictures to
    predict) is no validation folder.

    Args:
        root: The folder of both, or the class folders' own.
        valid: Name of the validation folder; by default one of those that are usual.

    Returns:
        The training folder (`root` itself where there is no `train`), and the validation folder or
        None.

    Raises:
        DataError: There is no folder `valid`; or there is a validation folder but no `train` beside
            it, nor any class folder.
    """
    folders = {p.name.casefold(): p for p in sorted(root.iterdir()) if _is_shown_folder(p)}
    if valid is not None and valid.casefold() not in folders:
        hint = did_you_mean(valid, [p.name for p in folders.values()])
        raise DataError(f"expected a folder {valid!r} to validate on in {root}, got none{hint}")
    known = (*VALID_NAMES, *TEST_NAMES) if valid is None else (valid.casefold(),)
    named = [folders[name] for name in known if name in folders]
    usable = [
        p
        for p in named
        if p.name.casefold() not in TEST_NAMES or any(map(_is_shown_folder, p.iterdir()))
    ]
    train = next((folders[name] for name in TRAIN_NAMES if name in folders), None)
    held_out = usable[0] if usable else None
    if train:
        return train, held_out
    if valid is not None:
        return root, held_out
    if named and len(named) == len(folders):
        got = ", ".join(p.name for p in named)
        raise DataError(f"expected a folder 'train' beside {named[0]}, got only {got}")
    return root, None


def _is_shown_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and path.name != "__MACOSX"


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


Files = tuple[list[str], list[str]]  # names of pictures, and of other files


TABLES = (".csv", ".tsv", ".txt")


def look(path: str | Path) -> None:
    """See that there is something to read at a path, in an instant and without numpy or torch.

    The command line asks it before torch is loaded, which takes seconds. It stops at the first
    picture, and lets pass what it cannot judge at once.

    Raises:
        DataError: As `find_listing`, in its words: nothing is there; a table that cannot be read,
            or is empty; or a folder that has neither pictures nor a table.
    """
    path = as_path(path, "path")
    if path.is_file() and path.suffix.lower() in TABLES:
        read_rows(path)
        return
    root = folder(path)
    found, others = find_files(root, until_one=True)
    if not found and not any(name.lower().endswith(TABLES) for name in others):
        raise no_pictures(root, others)


def no_pictures(root: Path, others: Sequence[str]) -> DataError:
    """Make the error of a folder without any picture."""
    kinds = Counter(Path(name).suffix or "no suffix" for name in others).most_common(3)
    got = some([f"{n:,} files of {kind}" for kind, n in kinds]) or "none, and no other files"
    return DataError(f"expected pictures in {root}, got {got}")


def find_files(root: Path, *, until_one: bool = False) -> Files:
    """Walk `root` for pictures (by their suffix), and for other files.

    Hidden files and folders (`.ipynb_checkpoints`, `._name.jpg`) and `__MACOSX` are not looked
    into. Links are followed, each folder once. With `until_one` it ends with the first folder that
    has a picture.

    Returns:
        The names of both, their paths below `root` with `/`, in one order on every machine: a
        folder's own files, then its folders.
    """
    found: list[str] = []
    others: list[str] = []
    seen, waiting = set(), [""]
    while waiting and not (until_one and found):
        prefix = waiting.pop()
        here = os.path.join(root, prefix)
        real = os.path.realpath(here)
        if real in seen:
            continue
        seen.add(real)
        names: list[str] = []
        folders: list[str] = []
        with os.scandir(here) as entries:
            for entry in entries:
                (folders if _is_folder(entry) else names).append(entry.name)
        for name in sorted(names):
            if name[0] != ".":
                is_picture = name[name.rfind(".") :].lower() in SUFFIXES
                (found if is_picture else others).append(prefix + name)
        shown = (f for f in sorted(folders, reverse=True) if f[0] != "." and f != "__MACOSX")
        waiting += [f"{prefix}{name}/" for name in shown]
    return found, others


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False
