"""Where a table's pictures are: the folder that was said, the table's own, or one beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from quickvision.base.errors import DataError, some
from quickvision.data.cells import ENDED, EXACT, LOOKED_AT, MASKS, Cells, look
from quickvision.data.paths import relative
from quickvision.data.wording import Call

LOOKED_INTO = 200  # folders beside a table that are looked into
PICTURES = re.compile(r"(images?|imgs?|pictures?|pics?|photos?|jpe?g(images)?|train\w*)$", re.I)


def images_folder(images: Path, base: Path) -> Path:
    """Return the folder of the pictures, seen from `base` or from the working folder.

    Raises:
        DataError: It is not there.
    """
    images = images.expanduser()
    for folder in (base / images, images):
        if folder.is_dir():
            tidy = Path(os.path.normpath(folder))  # `a/b/..` is not `a` where b is a link
            return tidy if tidy.is_dir() and tidy.samefile(folder) else folder.resolve()
    there = sorted(p.name for p in base.iterdir() if p.is_dir()) if base.is_dir() else []
    hint = f"; there are {some(there)}; say images={there[0]!r}, or one of them" if there else ""
    got = "a file" if (base / images).is_file() else "nothing"
    raise DataError(f"expected the folder of the pictures, got {got} at {base / images}{hint}")


def guess_images(
    rows: Sequence[Sequence[str]], suffix: str | None, csv: Path, call: Call
) -> tuple[Path, bool]:
    """Find the folder that has the pictures: the table's own, or one in it or beside it.

    Returns:
        The folder, and whether a cell has been found in it directly.

    Raises:
        DataError: Several folders have them all.
    """
    own = csv.parent
    inside = _folders(own)
    beside = [p for p in _folders(own / "..") if PICTURES.match(p.name)]
    step = max(1, len(rows) // LOOKED_AT)
    columns = list(zip(*[*rows[:2], *rows[2::step][:LOOKED_AT]], strict=True))
    many = [column for column in columns if 2 * len(set(column)) > len(column)]  # labels repeat
    picked = [cell for column in many or columns for cell in column]
    cells = list(dict.fromkeys(cell for cell in picked if cell and not _is_whole(cell)))
    tried = Cells(own, own, (), suffix, str(csv), call)
    # a folder of tables beside folders of pictures
    far = [] if inside else [p for p in _folders(own / "..") if p.name != own.resolve().name]
    for folders in ([own, *inside], [own / "..", *beside], far):
        for level in (EXACT, ENDED):
            hits = {}
            for folder in folders:
                top = os.path.abspath(folder)
                hits[folder] = {c for c in cells if look(c, tried.ends(c, level), top)}
            enough = len(cells) / 2 if folders is far else 1
            if any(len(there) >= enough for there in hits.values()):
                return _best(hits, csv, call), True
    return own, False


def _is_whole(cell: str) -> bool:
    return cell[0] in "/\\" or cell[1:3] in (":/", ":\\")


def _folders(path: Path) -> list[Path]:
    shown = (p for p in path.iterdir() if p.name[:1] != "." and p.name != "__MACOSX")
    folders = sorted(p for p in shown if p.is_dir())[:LOOKED_INTO]
    photos = [p for p in folders if not MASKS.search(p.name)]
    return photos or folders


def _best(hits: dict[Path, set[str]], csv: Path, call: Call) -> Path:
    """Return the folder of most hits; the table's own where each has a part."""
    most = max(map(len, hits.values()))
    alike = [f for f in hits if hits[f] and f.name.casefold().startswith(csv.stem.casefold())]
    if len(alike) == 1 and 2 * len(hits[alike[0]]) >= most:
        return _tidy(alike[0])
    best = [folder for folder in hits if len(hits[folder]) == most]
    if len(best) == 1:
        return _tidy(best[0])
    if len(set.union(*hits.values())) > most and not set.intersection(*(hits[f] for f in best)):
        return csv.parent  # parts of one data set
    names = [folder.name for folder in best]
    likely = next(filter(PICTURES.match, names), names[0])
    raise DataError(
        f"expected the pictures of {csv} in one folder, got them in each of"
        f" {some(names)}; say images=, as {call(images=likely)}"
    )


def _tidy(folder: Path) -> Path:
    tidy = Path(os.path.normpath(folder))
    return tidy if ".." in folder.parts and tidy.is_dir() and tidy.samefile(folder) else folder


def root_of(texts: Sequence[str], files: Sequence[str], cells: Cells) -> Path:
    """Return the folder that pictures are named below: the same one wherever it lies.

    The folder that cells are seen from, where all pictures are below it; else the one that it has
    in common with them, as for `../images/1.jpg`; for pictures elsewhere, the one that they have in
    common.
    """
    base = os.path.abspath(cells.base)
    if base != cells.walk and cells.walk.startswith(os.path.join(base, "")):
        base = cells.walk  # `data/images/1.jpg` in `data/table.csv`
    elif cells.of_frame and cells.base == Path() and all(map(os.path.isabs, filter(None, texts))):
        there = {os.path.dirname(file) for file in files if file}
        return Path(os.path.commonpath(list(there))) if there else cells.base
    top = os.path.join(base, "")
    folders = {os.path.dirname(file) for file in files if file and not file.startswith(top)}
    if not folders and base == os.path.abspath(cells.base):
        return cells.base
    all_of_them = any(file.startswith(top) for file in files)
    common = os.path.commonpath([base, cells.walk, *folders])
    up = len(Path(base).parts) - len(Path(common).parts)
    if not all_of_them and (up > 2 or len(Path(common).parts) < 2):
        common = os.path.commonpath(list(folders))
        return Path(common)
    if up > 2 or len(Path(common).parts) < 2:
        return cells.base
    if cells.base.is_absolute():
        return Path(common)
    own = os.path.abspath(cells.base)
    return Path(os.path.normpath(os.path.join(cells.base, os.path.relpath(common, own))))


def names_below(
    texts: Sequence[str], files: Sequence[str], root: Path, cells: Cells
) -> tuple[list[str], set[str]]:
    """Return each row's name below the root, and those of files that are not there."""
    top = Path(os.path.abspath(root))
    prefix = os.path.join(top, "")
    names: list[str] = []
    missing: set[str] = set()
    for text, file in zip(texts, files, strict=True):
        if file.startswith(prefix):
            names.append(file[len(prefix) :])
        elif file or not text:
            names.append(Path(file).as_posix() if file else "")
        else:
            gone = os.path.normpath(cells.base.absolute() / f"{text}{cells.suffix or ''}")
            names.append(relative(gone, top) or Path(gone).as_posix())
            missing.add(names[-1])
    if os.sep != "/":
        names = [name.replace(os.sep, "/") for name in names]
    return names, missing
