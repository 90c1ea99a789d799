"""What paths say: which files are pictures, which folders are the two sides, what the labels are.

Level 1: it knows nothing of fastai.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from quickvision.errors import DataError, did_you_mean

# fastai takes its list from the machine's mime types, where .webp and others are missing. The
# last line is what cameras and designers leave, which Pillow reads with a plug-in only: such files
# are found, and where they cannot be read that is said.
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp", ".avif"}
    | {".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".jp2", ".j2k"}
    | {".heic", ".heif", ".svg", ".psd", ".raw", ".dng", ".cr2", ".nef", ".arw", ".jxl"}
)

VALID_NAMES = ("valid", "val", "validation", "test")


class FolderLabel:
    """Label a picture by the first folder below a root: `train/ants/nest/1.jpg` is `ants`.

    A path outside the roots (a new picture to predict) is labelled by the folder it is in, as
    fastai's `parent_label` does. A class, and not a closure, because loader processes pickle it.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = roots

    def __call__(self, path: str | Path) -> str:
        """Return the label."""
        for root in self.roots:
            if below := relative(path, root):
                return below.partition("/")[0]
        return Path(path).parent.name


class NameLabel:
    r"""Label a picture by a pattern's one group, searched in its name, then in its whole path.

    >>> NameLabel(r"^(.+)_\d+\.jpg$")("images/great_pyrenees_12.jpg")
    'great_pyrenees'
    >>> NameLabel(r"/([^/]+)_\d+.jpg$")("images/great_pyrenees_12.jpg")
    'great_pyrenees'
    >>> NameLabel(r"(\d+)\.jpg$")("pug.jpg")
    ''
    """

    def __init__(self, pat: str | re.Pattern[str]) -> None:
        try:
            self.regex = re.compile(pat)
        except re.error as error:
            raise ValueError(f"expected a regular expression, got {pat!r}: {error}") from error
        if self.regex.groups != 1:
            raise ValueError(
                f"expected a pattern with one group, the label, got {self.regex.groups} groups in"
                f" {self.pat!r}; put the part that is the label, and only that, in (...)"
            )

    @property
    def pat(self) -> str:
        """The pattern as text."""
        return self.regex.pattern

    def __call__(self, path: str | Path) -> str:
        """Return the label, or an empty string where the pattern finds none."""
        path = Path(path)
        match = self.regex.search(path.name) or self.regex.search(path.absolute().as_posix())
        return (match[1] or "").strip() if match else ""


class TableLabel:
    """Label a picture by its row in a table."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = labels

    def __call__(self, path: str | Path) -> str:
        """Return the label.

        Raises:
            DataError: The picture is not in the table.
        """
        try:
            return self.labels[os.fspath(path)]
        except KeyError:
            raise DataError(f"expected a picture of the table, got {path}") from None


class NamedLabel:
    """Give the labels of another labeller their names: `Audi TT 2011` for `17`."""

    def __init__(self, label: Callable[[Path], str], names: Mapping[str, str]) -> None:
        self.label, self.names = label, names

    def __call__(self, path: str | Path) -> str:
        """Return the name."""
        label = self.label(Path(path))
        return self.names.get(label, label)


def folder(path: str | Path) -> Path:
    """Return `path` as a `Path` that is a folder.

    Raises:
        DataError: It does not exist, or is a file.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise DataError(f"expected a folder of pictures, got a file: {path}")
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = did_you_mean(path.name, beside) or f"; the working folder is {Path.cwd()}"
    raise DataError(f"expected a folder of pictures, got nothing at {path}{hint}")


def sides(root: Path, valid: str | None = None) -> tuple[Path, Path | None, list[Path]]:
    """Find the training folder and, where there is one, the validation folder.

    Names are compared without regard to case. A `test` without class folders in it (pictures to
    predict) is no validation folder.

    Args:
        root: The folder of both, or the class folders' own.
        valid: Name of the validation folder; by default the first of `VALID_NAMES` that is there.

    Returns:
        The training folder (`root` itself where there is no `train`), the validation folder or
        None, and the other folders beside them.

    Raises:
        DataError: There is no folder `valid`; or there is a validation folder but no `train` beside
            it, nor any class folder.
    """
    folders = {p.name.casefold(): p for p in sorted(root.iterdir()) if _is_shown_folder(p)}
    if valid is not None and valid.casefold() not in folders:
        hint = did_you_mean(valid, [p.name for p in folders.values()])
        raise DataError(f"expected a folder {valid!r} to validate on in {root}, got none{hint}")
    known = VALID_NAMES if valid is None else (valid.casefold(),)
    named = [folders[name] for name in known if name in folders]
    usable = [
        p for p in named if p.name.casefold() != "test" or any(map(_is_shown_folder, p.iterdir()))
    ]
    train, held_out = folders.pop("train", None), usable[0] if usable else None
    if train:
        return train, held_out, [p for p in folders.values() if p != held_out]
    if valid is not None:
        return root, held_out, []
    if named and len(named) == len(folders):
        got = ", ".join(p.name for p in named)
        raise DataError(f"expected a folder 'train' beside {named[0]}, got only {got}")
    return root, None, []


def _is_shown_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and path.name != "__MACOSX"


def relative(path: str | Path, root: Path) -> str:
    """Return the part of `path` below `root`, with `/`; an empty string where it is not below.

    Only the texts are compared, a hundred times faster than with `Path.relative_to`.
    """
    text, top = os.fspath(path), os.fspath(root)
    if top == ".":
        below = "" if os.path.isabs(text) else text
    else:
        top = top if top.endswith(os.sep) else top + os.sep
        below = text[len(top) :] if text.startswith(top) else ""
    return below if os.sep == "/" else below.replace(os.sep, "/")


def find_files(root: Path) -> tuple[list[Path], list[Path]]:
    """Walk `root` for pictures (by their suffix), and for other files.

    Hidden files and folders (`.ipynb_checkpoints`, `._name.jpg`) and `__MACOSX` are not looked
    into. Links are followed, each folder once.

    Returns:
        Both in one order on every machine: a folder's own files by name, then its folders.
    """
    found: list[Path] = []
    others: list[Path] = []
    seen, waiting = set(), [root]
    with _collector_paused():
        while waiting:
            here = waiting.pop()
            real = os.path.realpath(here)
            if real in seen:
                continue
            seen.add(real)
            with os.scandir(here) as entries:
                folders = {entry.name for entry in entries if entry.is_dir()}
            children = {path.name: path for path in here.iterdir()}
            for name in sorted(children.keys() - folders):
                if name[0] != ".":
                    is_picture = name[name.rfind(".") :].lower() in SUFFIXES
                    (found if is_picture else others).append(children[name])
            shown = sorted((f for f in folders if f[0] != "." and f != "__MACOSX"), reverse=True)
            waiting += [children[name] for name in shown]
    return found, others


def pictures(root: Path) -> list[Path]:
    """Walk `root` for files that look like pictures: see `find_files`."""
    return find_files(root)[0]


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep Python's collector from looking through all of fastai each time a few paths are made.

    Measured: 100,000 paths take 0.08 s, and 0.5 to 0.9 s with the collector running.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
