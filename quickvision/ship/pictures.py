"""Which pictures are meant: files, a folder, a pattern of names, or whatever is handed over."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from quickvision.base.errors import DataError, as_path
from quickvision.data.arrays import is_array
from quickvision.data.paths import find_files, no_pictures


class Named(NamedTuple):
    """A picture and what tables call it; empty where it is no file."""

    name: str
    picture: Any


def several(pictures: Any) -> Iterable[Named]:
    """Say which pictures are meant, without opening any.

    Args:
        pictures: A folder, which is searched with all folders in it, and whose pictures are called
            by their paths below it; a pattern such as `"new/*.jpg"`; or pictures, in a list or as
            they come from a generator.

    Returns:
        A list where their number is known, else a generator.

    Raises:
        DataError: There is nothing of this name.
        TypeError: A single picture.
    """
    if isinstance(pictures, str | os.PathLike):
        return _in_folder(as_path(pictures, "pictures"))
    is_one = isinstance(pictures, bytes | bytearray | memoryview) or is_array(pictures)
    if is_one or hasattr(pictures, "read") or hasattr(pictures, "getexif"):
        raise TypeError("expected pictures in a list, got a single one; use predict()")
    if not isinstance(pictures, Iterable):
        raise TypeError(f"expected pictures in a list, got {type(pictures).__name__}")
    if hasattr(pictures, "__len__"):
        return list(_each(pictures))
    return _each(pictures)


def _each(pictures: Iterable[Any]) -> Iterator[Named]:
    for picture in pictures:
        name = os.fspath(picture) if isinstance(picture, str | os.PathLike) else ""
        yield Named(str(name), picture)


def _in_folder(path: Path) -> list[Named]:
    if path.is_dir():
        files = find_files(path)
        if not files.names:
            raise no_pictures(path, files)
        return [Named(name, path / name) for name in files.names]
    if path.is_file():
        raise TypeError(
            f"expected pictures in a list, or a folder, got a single one, {path}; use predict()"
        )
    if glob.has_magic(str(path)):
        if found := [
            file for file in sorted(glob.glob(str(path), recursive=True)) if Path(file).is_file()
        ]:
            return [Named(file, file) for file in found]
        raise DataError(f"expected pictures, got none that {path} matches")
    raise DataError(
        f"expected a folder of pictures, got nothing at {path}; a single one: predict()"
    )
