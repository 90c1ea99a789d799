"""What paths say: which files are pictures, which folders are the two sides, what the labels are.

Level 1: it knows nothing of fastai; `data` turns what it finds into `DataLoaders`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
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
        path = Path(path)
        for root in self.roots:
            if path.is_relative_to(root):
                return path.relative_to(root).parts[0]
        return path.parent.name


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


def sides(root: Path) -> tuple[Path, Path | None, list[Path]]:
    """Find the training folder and, where there is one, the validation folder.

    Names are compared without regard to case. A `test` without class folders in it (pictures to
    predict) is no validation folder.

    Returns:
        The training folder, the validation folder or None, and the other folders beside them.

    Raises:
        DataError: There is a validation folder but no `train` beside it, nor any class folder.
    """
    folders = {p.name.casefold(): p for p in sorted(root.iterdir()) if _is_shown_folder(p)}
    named = [folders[name] for name in VALID_NAMES if name in folders]
    usable = [
        p for p in named if p.name.casefold() != "test" or any(map(_is_shown_folder, p.iterdir()))
    ]
    train, held_out = folders.pop("train", None), usable[0] if usable else None
    if train:
        return train, held_out, [p for p in folders.values() if p != held_out]
    if named and len(named) == len(folders):
        got = ", ".join(p.name for p in named)
        raise DataError(f"expected a folder 'train' beside {named[0]}, got only {got}")
    return root, None, []


def _is_shown_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and path.name != "__MACOSX"


def pictures(root: Path) -> Iterator[Path]:
    """Walk `root` for files that look like pictures, sorted, so that any machine sees one order.

    Hidden files and folders (`.ipynb_checkpoints`, `._name.jpg`) and `__MACOSX` are not looked
    into. Links are followed, each folder once.
    """
    seen = set()
    for here, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        for name in sorted(names):
            suffix = os.path.splitext(name)[1].lower()
            if not name.startswith(".") and suffix in SUFFIXES:
                yield Path(here, name)
