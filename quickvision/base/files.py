"""Files, folders: written whole or not at all; our cache folder; CSV as people have it."""

from __future__ import annotations

import codecs
import csv
import io
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from platformdirs import user_cache_path

from quickvision.base.errors import DataError, RunError, did_you_mean


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a file under another name and move it into place, so that it is never half there.

    Args:
        path: The file to end with.
        write: Called with the path to write to, which has the same suffix.

    Raises:
        RunError: It cannot be written; an older file of this name is as it was.
    """
    part = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        with open(part, "r+b") as file:  # Windows syncs only what can be written
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, RuntimeError) as error:  # torch.save says RuntimeError where the disk is full
        raise RunError(f"expected to write {path}, got: {error}") from error
    finally:
        with suppress(OSError):  # a parent that is a file, a scanner that holds it
            part.unlink(missing_ok=True)
    return path


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Write a folder under another name and move it into place: what is there is whole.

    Whatever is raised, nothing half done stays. Where another process was first, its folder is
    taken; the block may also move a part of what it has written to `target` itself.

    Args:
        target: The folder to end with, which is not there yet.

    Yields:
        An empty folder beside it, to write in.

    Raises:
        RunError: It cannot be written.
    """
    part = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        shutil.rmtree(part, ignore_errors=True)  # of a killed process that had the same number
        part.mkdir(parents=True)
        yield part
        if not target.is_dir():
            os.replace(part, target)
    except OSError as error:
        if not target.is_dir():
            raise RunError(f"expected to write pictures to {target}, got: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def names_to_bytes(names: Sequence[str]) -> bytes:
    r"""Join names by what is in none of them: a file's name may be any bytes but this.

    >>> names_from_bytes(names_to_bytes(["a, b.jpg", "\udcff\n.jpg"]))
    ('a, b.jpg', '\udcff\n.jpg')
    """
    return "\0".join(names).encode("utf-8", "surrogateescape")


def names_from_bytes(kept: bytes) -> tuple[str, ...]:
    """Take them apart again; none at all are an empty text."""
    text = kept.decode("utf-8", "surrogateescape")
    return tuple(text.split("\0")) if kept else ()


def cache_folder() -> Path:
    """Return the folder: `QUICKVISION_CACHE` where that is set, else the user's cache folder.

    What is in it can be deleted at any time; it is made again.
    """
    named = os.environ.get("QUICKVISION_CACHE")
    return Path(named).expanduser() if named else user_cache_path("quickvision", appauthor=False)


def read_rows(path: Path, *, errors: str = "strict") -> list[list[str]]:
    """Read a CSV file as rows of stripped text, empty rows left out.

    The separator is the one of `, ; tab |` that is most frequent in the first line; a line such as
    `sep=;`, which Excel understands, is none of the data.

    Raises:
        DataError: It does not exist, is empty or is no text in UTF-8.
    """
    rows = csv_rows(read_text(path, errors=errors), path)[0]
    if not rows:
        raise DataError(f"expected rows in {path}, got an empty file")
    return rows


def read_text(path: Path, *, errors: str = "strict") -> str:
    """Read a file as text in UTF-8, or in UTF-16 where it begins as Excel's "Unicode text" does.

    Raises:
        DataError: It does not exist, or is no such text.
    """
    try:
        content = path.read_bytes()
        wide = content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        return content.decode("utf-16" if wide else "utf-8-sig", errors)
    except FileNotFoundError as error:
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, beside) or f"; the working folder is {Path.cwd()}"
        raise DataError(f"expected a CSV file, got nothing at {path}{hint}") from error
    except (OSError, UnicodeError) as error:
        hint = "; Excel saves it as 'CSV UTF-8'" if isinstance(error, UnicodeError) else ""
        raise DataError(f"expected a CSV file in UTF-8, got {path}: {error}{hint}") from error


def csv_rows(
    text: str, path: Path, *, separator: str | None = None
) -> tuple[list[list[str]], list[int]]:
    """Split text into rows of stripped cells, and say in which line each row starts, from 1.

    Args:
        text: The text, whose separator is looked for as `read_rows` says.
        path: The file, for messages.
        separator: What is between cells, where it is known.

    Raises:
        DataError: A cell has no end, as after a quote that is never closed.
    """
    rows: list[list[str]] = []
    lines: list[int] = []
    start, end = 1, text.find("\n")
    first = text if end < 0 else text[:end]
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator or max(",;\t|", key=first.count)
    )
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append(cells)
                lines.append(start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"expected rows of cells in {path}, got from line {start} on: {error}; look for a"
            " quote that is not closed"
        ) from error
    if rows and rows[0][0].casefold() == "sep=":
        del rows[0], lines[0]
    return rows, lines
