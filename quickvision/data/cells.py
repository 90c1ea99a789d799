"""From a cell of a table to the picture that it names: looked for directly, then among all."""

from __future__ import annotations

import filecmp
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote

from quickvision.base.errors import DataError, some, warn
from quickvision.data.paths import SUFFIXES, find_files
from quickvision.data.tree import TEST_NAMES, TRAIN_NAMES, VALID_NAMES
from quickvision.data.wording import Call

# How a cell names its file, the surest way first: as it is; without its end; among all pictures
# below: by its name, in any case and spelling; by its name with another end; by its number.
EXACT, ENDED, NAME, STEM, NUMBER = range(5)
LOOKED_AT = 20  # rows that decide which folder and which column it is
ENDS = (".jpg", ".jpeg", ".png", ".JPG", ".tif")
SIDES = frozenset((*TRAIN_NAMES, *VALID_NAMES, *TEST_NAMES))
MASKS = re.compile(
    r"(^|[-_ .])(masks?|annotations?|segmentations?|trimaps?|ground[-_ ]?truth|gt|depth|"
    r"thumb(nail)?s?)([-_ .]|$)",
    re.IGNORECASE,
)


def fold(text: str) -> str:
    """Return what two spellings of one name have in common: macOS writes é in two characters."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


def plain(cell: str) -> str:
    r"""Return a cell as a path with `/`: Windows's, or an address.

    >>> plain("C:\\data\\1.jpg"), plain("file:///data/a%20b.jpg")
    ('C:/data/1.jpg', '/data/a b.jpg')
    """
    text = cell.replace("\\", "/")
    if "://" in text:
        text = text.partition("://")[2].partition("?")[0]
    return unquote(text) if "%" in text else text


def split_end(name: str) -> tuple[str, str]:
    """Split off the suffix, where it is a picture's."""
    at = name.rfind(".")
    is_end = at > 0 and name[at:].lower() in SUFFIXES
    return (name[:at], name[at:]) if is_end else (name, "")


def look(cell: str, ends: Iterable[str], folder: str) -> str:
    """Return the picture of this name in a folder, or an empty string where there is none."""
    if not cell or "\0" in cell:
        return ""
    for way in (cell, plain(cell)) if "\\" in cell or "%" in cell or "://" in cell else (cell,):
        whole = way[0] in "/\\" or way[1:2] == ":"  # os.path.join takes a third of the time
        path = os.path.join(folder, way) if whole else f"{folder}{os.sep}{way}"
        for end in ends:
            file = path + end
            if file[file.rfind(".") :].lower() in SUFFIXES and os.path.isfile(file):
                odd = "./" in file or "//" in file or os.sep != "/"
                return os.path.normpath(file) if odd else file
    return ""


class Index:
    """All pictures below a folder, by name, by name without suffix, and by number."""

    def __init__(self, root: str) -> None:
        self.maps: dict[int, dict[str, list[str]]] = {NAME: {}, STEM: {}, NUMBER: {}}
        self.folders: set[str] = set()
        for name in find_files(Path(root))[0]:
            folded = fold(name)
            top, _, last = folded.rpartition("/")
            stem = split_end(last)[0]
            keys = {NAME: last, STEM: stem}
            if stem.isdecimal():
                keys[NUMBER] = stem.lstrip("0")
            near = f"{top.rpartition('/')[2]}/"  # `1.jpg` of one folder among a thousand
            for level, key in keys.items():
                self.maps[level].setdefault(key, []).append(name)
                self.maps[level].setdefault(near + key, []).append(name)
            if top not in self.folders:
                self.folders.update((top, *top.split("/")))

    def find(self, level: int, key: str, tops: Sequence[str]) -> list[str]:
        """Return the pictures of a key, those in a folder of the last name where there are some."""
        near = self.maps[level].get(f"{tops[-1]}/{key}") if tops else None
        return near or self.maps[level].get(key, [])


class Cells:
    """The pictures that a table's cells name.

    Args:
        base: The folder that cells are seen from.
        walk: The folder whose pictures are looked through where a cell is not found directly.
        beside: Folders that cells may be seen from, too.
        suffix: What the names lack, where it is said.
        name: The table, for messages.
        call: The door, for messages.
        of_frame: The table is a DataFrame, which has no folder of its own.
    """

    def __init__(
        self,
        base: Path,
        walk: Path,
        beside: Sequence[Path],
        suffix: str | None,
        name: str,
        call: Call,
        *,
        of_frame: bool = False,
    ) -> None:
        self.base, self.name, self.call, self.of_frame = base, name, call, of_frame
        self.shown = walk
        self.walk = os.path.abspath(walk)
        self.folders = list(dict.fromkeys(map(os.path.abspath, (base, *beside))))
        self.suffix = suffix if suffix is None or suffix[:1] in (".", "") else f".{suffix}"
        self.above = fold(self.walk.replace(os.sep, "/")).split("/")
        self._index: Index | None = None

    @property
    def index(self) -> Index:
        """All pictures below; made when a cell is first not found without it."""
        self._index = self._index or Index(self.walk)
        return self._index

    def ends(self, cell: str, level: int) -> Sequence[str]:
        """Return what is put behind a cell that is looked for directly."""
        if self.suffix is None:
            return ("",) if level == EXACT else ENDS
        if level == ENDED or cell.casefold().endswith(self.suffix.casefold()):
            return ("",)
        return (self.suffix,)

    def find(self, cell: str, level: int) -> str:
        """Return the picture that a cell names in one of the ways, or an empty string."""
        if level <= ENDED:
            ends = self.ends(cell, level)
            return next(filter(None, (look(cell, ends, top) for top in self.folders)), "")
        found = self._alike(cell, level, ())
        return os.path.join(self.walk, found[0]) if found else ""

    def find_all(self, cells: Sequence[str]) -> list[str]:
        """Return the picture of each cell, an empty string where there is none.

        Says which were found by less than their whole name.

        Raises:
            DataError: Several pictures fit a cell equally.
        """
        found = []
        for cell in cells:
            there = look(cell, self.ends(cell, EXACT), self.folders[0])
            there = there or look(cell, self.ends(cell, ENDED), self.folders[0])
            if not there and len(self.folders) > 1 and cell[:1] not in ("/", "\\"):
                there = self.find(cell, EXACT) or self.find(cell, ENDED)
            found.append(there)
        lost = [i for i, file in enumerate(found) if cells[i] and not file]
        if lost:
            self._find_lost(cells, found, lost)
        return found

    def _find_lost(self, cells: Sequence[str], found: list[str], lost: Sequence[int]) -> None:
        shun = self._parallel(filter(None, found))
        levels: dict[int, int] = {}
        several: dict[str, list[str]] = {}
        for i in lost:
            for level in (NAME, STEM, NUMBER):
                if names := self._alike(cells[i], level, shun):
                    found[i], levels[i] = os.path.join(self.walk, names[0]), level
                    if len(names) > 1:
                        several[cells[i]] = names
                    break
        named: dict[str, set[str]] = {}
        for cell, file in zip(cells, found, strict=True):
            named.setdefault(file, set()).add(cell)
        for i in levels:
            if len(named[found[i]]) > 1:  # two cells, one picture: it is not both of them
                found[i] = ""
        self._check_several(several)
        self._say(cells, found, {i: level for i, level in levels.items() if found[i]})

    def _parallel(self, found: Iterable[str]) -> set[str]:
        """Return the folders that have their own pictures of names that were found elsewhere.

        `test/1.jpg` beside `train/1.jpg` is another picture: what `train` lacks is not in `test`.
        """
        homes: dict[str, set[str]] = {}
        for file in found:
            top, _, last = file.replace(os.sep, "/").rpartition("/")
            homes.setdefault(split_end(fold(last))[0], set()).add(top)
        shun: set[str] = set()
        for stem, tops in homes.items():
            folders = set(map(os.path.dirname, self.index.maps[STEM].get(stem, ())))
            whole = ((folder, os.path.join(self.walk, folder)) for folder in folders - shun)
            shun |= {f for f, path in whole if path.replace(os.sep, "/").rstrip("/") not in tops}
        return shun

    def _alike(self, cell: str, level: int, shun: Collection[str]) -> list[str]:
        """Return the pictures whose paths end as a cell does, those of the longest such end."""
        text = fold(plain(cell)).strip("/")
        *tops, last = text.split("/")
        stem, end = split_end(last)
        if level == NAME:
            last += (
                "" if self.suffix is None or last.endswith(fold(self.suffix)) else fold(self.suffix)
            )
            found = self.index.find(NAME, last, tops)
        elif level == STEM:
            found = self.index.find(STEM, stem, tops) if self.suffix is None and stem else []
        else:
            number = stem.lstrip("0") if stem.isdecimal() else None
            found = self.index.find(NUMBER, number, tops) if number is not None else []
            ends = fold(self.suffix or end)
            found = [name for name in found if not ends or fold(name).endswith(ends)]
        best: list[str] = []
        longest = 0
        for name in found:
            own = fold(name).split("/")[:-1]
            tail = _tail(tops, [*self.above, *own])
            if not tail and (os.path.dirname(name) in shun or self._other_side(tops, own)):
                continue
            if tail > longest:
                best, longest = [], tail
            if tail == longest:
                best.append(name)
        best = _photos(best) if len(best) > 1 else best
        return best if len(best) == 1 or longest or not tops else []

    def _other_side(self, tops: Sequence[str], own: Sequence[str]) -> bool:
        """Say whether a cell speaks of `train`, which is not there, and its picture of `test`."""
        said = SIDES.intersection(tops)
        return bool(said and not said & self.index.folders and SIDES.intersection(own))

    def _check_several(self, several: dict[str, list[str]]) -> None:
        """Take the first of pictures that are the same, byte by byte; refuse others."""
        given = self.call.options.get("images")
        for cell, names in list(several.items())[:LOOKED_AT]:
            files = [os.path.join(self.walk, name) for name in names]
            folders = [os.path.dirname(name) or "." for name in names]
            if all(filecmp.cmp(files[0], file, shallow=False) for file in files[1:]):
                continue
            raise DataError(
                f"expected one picture for {cell!r} of {self.name}, got them in each of"
                f" {some(folders)}, for {len(several):,} of its cells; say images=, as"
                f" {self.call(images=os.path.join(str(given or ''), folders[0]))}, or write the"
                " folder before each name"
            )
        if several:
            cell, names = next(iter(several.items()))
            warn(
                f"{len(several):,} pictures of {self.name} are there several times, as"
                f" {some(names)}; the first is used"
            )

    def _say(self, cells: Sequence[str], found: Sequence[str], levels: dict[int, int]) -> None:
        """Say which pictures were found by less than their whole name."""
        moved = [i for i in levels if not _tail_of(cells[i], found[i])]
        if moved and (len({os.path.dirname(file) for file in found if file}) > 1):
            tops = Counter(os.path.relpath(os.path.dirname(found[i]), self.walk) for i in moved)
            shown = some([f"{n:,} in {top}" for top, n in tops.most_common()])
            warn(
                f"{len(moved):,} pictures of {self.name} were looked for in all folders below"
                f" {self.shown}: {shown}"
            )
        for kind, why in ((NUMBER, "lost their leading zeros"), (STEM, "have another end")):
            odd = [i for i, level in levels.items() if level == kind]
            odd = [i for i in odd if kind == NUMBER or split_end(cells[i])[1]]
            if odd:
                one = f"{cells[odd[0]]!r} is taken for {os.path.basename(found[odd[0]])}"
                warn(f"{len(odd):,} names in {self.name} {why}: {one}")


def _tail(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the equal folders from the end."""
    n = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        n += 1
    return n


def _tail_of(cell: str, file: str) -> int:
    """Count the folders that a cell and its picture have in common; 1 where both have none."""
    *tops, _ = fold(plain(cell)).strip("/").split("/")
    return _tail(tops, fold(file.replace(os.sep, "/")).split("/")[:-1])


def _photos(names: list[str]) -> list[str]:
    """Return the pictures without masks beside them; of one folder, the first by its end."""
    photos = [name for name in names if not any(map(MASKS.search, name.split("/")[:-1]))] or names
    if len({os.path.dirname(name) for name in photos}) > 1:
        return photos
    ranks = {end: i for i, end in enumerate(ENDS)}
    return sorted(photos, key=lambda name: (ranks.get(split_end(name)[1].lower(), 9), name))[:1]
