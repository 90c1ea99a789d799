"""Pictures and their labels, found in folders or names: the same thing whichever door was taken."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from quickvision.base.errors import DataError, as_path, expect, some, warn
from quickvision.data.folders import Sides
from quickvision.data.labels import NamedLabel, NameLabel, raw
from quickvision.data.paths import SUFFIXES, Files, find_files, folder, relative
from quickvision.data.tree import TEST, VALID, side_of

NEAR = 50  # folders and files that are looked at for a hint
MASK = "a mask of the picture beside it"  # why a file is left out
LABELLING = re.compile(r"train|label|annotation|class|truth")  # what such tables are called


@dataclass(frozen=True)
class Listing:
    """What a door found: pictures, labels, and what is fixed about the split already.

    Attributes:
        root: The folder that the pictures belong to.
        names: Each picture's path below the root, with `/` (a whole path where it is elsewhere), in
            one order on every machine.
        labels: A label for each; an empty string where it has none.
        get_y: The labeller: path in, label out.
        left_out: Names of files that are no data, with the reasons.
        missing: Those of `left_out` that do not exist.
        held: True for each picture that is held out, where a folder or a column says so.
        side: What says so, for messages.
        groups: The group of each picture, where a column says so.
        others: Names of files beside the pictures that are none.
        unused: Folders of pictures that belong to neither side, with the reason.
        tests: Names of pictures of a third side, which no training sees: `dls.test_files`.
        labels_from: Where the labels come from, for people: "folders in d/train".
        split_from: Where the split comes from, for people: "folder d/valid"; empty for a fraction.
        found_by: The call that this door is, as a user would write it.
    """

    root: Path
    names: Sequence[str]
    labels: Sequence[str]
    get_y: Callable[[Path], str]
    left_out: Mapping[str, str] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    held: Sequence[bool] | None = None
    side: str = ""
    groups: Sequence[str] | None = None
    others: Sequence[str] = ()
    unused: Mapping[str, str] = field(default_factory=dict)
    tests: Sequence[str] = ()
    labels_from: str = ""
    split_from: str = ""
    found_by: str = ""

    def renamed(self, names: Mapping[str, str]) -> Listing:
        """Return the listing with names in place of its labels."""
        labels = [names.get(label, label) for label in self.labels]
        return replace(self, labels=labels, get_y=NamedLabel(self.get_y, names))


def counted(names: Sequence[str]) -> str:
    """Say how many pictures, and name the first.

    >>> counted(["a.jpg"]), counted(["a.jpg", "b.jpg"])
    ('1 picture, a.jpg', '2 pictures such as a.jpg, b.jpg')
    """
    if len(names) == 1:
        return f"1 picture, {names[0]}"
    return f"{len(names):,} pictures such as {some(names)}"


def how_to_label(root: Path, place: Path, others: Sequence[str], *readings: str) -> str:
    """Say how pictures without labels can be given some, by what lies beside them.

    Args:
        root: The folder that was asked for.
        place: The folder of the pictures.
        others: Names of the files beside them.
        readings: What else they may be, and what to do then: `if those are the classes: ...`.

    Returns:
        The end of a message, a sentence for each reading where there are several.
    """
    ways = list(readings)
    if table := _beside(root, others):
        ways.append(table)
    else:
        ways += filter(None, [_above(place)])
        ways.append(
            f"{'else ' if ways else ''}sort them into a folder for each class, write a table with"
            " the columns file and label for from_csv, or give the pattern of names that hold"
            f" labels: qv.from_name_re({str(place)!r}, pattern)"
        )
    if len(ways) == 1:
        return f"; {ways[0]}"
    return "".join(f". {way[0].upper()}{way[1:]}" for way in ways)


def _beside(root: Path, others: Sequence[str]) -> str:
    """Name the file that may say what the pictures are; an empty text where there is none."""
    ends: dict[str, str] = {}
    for name in sorted(others, key=_as_labels):
        ends.setdefault(Path(name).suffix.lower(), name)
    if ".csv" in ends or ".tsv" in ends:
        table = root / ends.get(".csv", ends.get(".tsv", ""))
        return f"if {table} says what they are: qv.from_csv({str(table)!r})"
    for suffix in (".mat", ".xlsx", ".json", ".xml", ".txt"):
        if suffix in ends:
            return (
                f"if {root / ends[suffix]} says what they are, make a table of it with the columns"
                " file and label: qv.from_csv('table.csv')"
            )
    return ""


def _above(place: Path) -> str:
    """Say that the folder above may be the one that is meant, where others like this lie in it."""
    beside = []
    with suppress(OSError):
        place = place.resolve()
        folders = (other for other in place.parent.iterdir() if other.is_dir() and other != place)
        for other in islice(folders, NEAR):
            first = next((p for p in islice(other.iterdir(), NEAR) if p.is_file()), None)
            if first is not None and first.suffix.lower() in SUFFIXES:
                beside.append(other.name)
    if not beside:
        return ""
    return (
        f"if {place.name} is a class, as {some(sorted(beside))} beside it, load the folder above:"
        f" qv.from_folder({str(place.parent)!r})"
    )


def _as_labels(name: str) -> tuple[bool, bool, str]:
    """Sort names of files: those that may label the training pictures come first."""
    stem = Path(name).stem.casefold()
    other = any(side_of(part) in (VALID, TEST) for part in [*name.split("/")[:-1], stem])
    return other or stem.startswith("sample"), not LABELLING.search(stem), name


def list_names(
    path_or_files: str | Path | Iterable[str | Path],
    pat: str | re.Pattern[str],
    walked: Files | None = None,
) -> Listing:
    """List pictures whose names hold their labels; see `quickvision.from_name_re`.

    `walked` is what `find_files` has found in the folder, where it has been asked.

    Raises:
        DataError: No folder, named files that do not exist, or no name that the pattern matches.
        ValueError: The pattern cannot label.
    """
    get_y = NameLabel(pat)
    others: list[str] = []
    if isinstance(path_or_files, str | Path):
        root = folder(path_or_files)
        names, others, _ = walked or find_files(root)
    else:
        if isinstance(path_or_files, bytes) or not isinstance(path_or_files, Iterable):
            expect(path_or_files, (str, Path, list), "path_or_files")
        texts = (os.path.abspath(as_path(file, "path_or_files")) for file in path_or_files)
        files = [Path(text) for text in dict.fromkeys(texts)]
        missing = [file for file in files if not file.is_file()]
        if missing or not files:
            got = f"{len(missing):,} that do not exist: {some(missing)}" if missing else "none"
            raise DataError(f"expected picture files, got {got}")
        root = Path(os.path.commonpath([file.parent for file in files]))
        names = [relative(file, root) for file in files]
    labels = get_y.each(names, root)
    unlabelled = [name for name, label in zip(names, labels, strict=True) if not label]
    if names and len(unlabelled) == len(names):
        raise DataError(
            f"expected {raw(get_y.pat)} to match the pictures' names, got no match in"
            f" {len(names):,}: {some(names)}; put the label part, and only that, in round brackets"
        )
    return Listing(
        root=root,
        names=names,
        labels=labels,
        get_y=get_y,
        left_out=dict.fromkeys(unlabelled, f"no label: {raw(get_y.pat)} does not match"),
        others=others,
        found_by=f"qv.from_name_re({_shown(path_or_files)}, {raw(get_y.pat)})",
    )


def _shown(path_or_files: object) -> str:
    return repr(str(path_or_files)) if isinstance(path_or_files, str | Path) else "files"


def left_alone(found: Sides) -> dict[str, str]:
    """Return the folders of pictures that are on no side, with the reason."""
    none = dict.fromkeys(found.unused, "neither to train nor to validate")
    return {kid.rstrip("/"): why for kid, why in {**none, **found.aside}.items()}


def test_place(tests: Sequence[str]) -> str:
    """Name the folders of a third side's pictures; an empty text where they lie in no folder.

    >>> test_place(["test/a/1.jpg", "test/b/1.jpg"]), test_place(["val/1.jpg", "test/1.jpg"])
    ('test', 'val, test')
    """
    folders = dict.fromkeys(os.path.dirname(name.replace("../", "")) for name in tests)
    common = os.path.commonpath(folders)
    return common or some(list(dict.fromkeys(name.partition("/")[0] for name in folders if name)))


def warn_of_unused(listing: Listing, *, tests: bool = True) -> None:
    """Say which folders of pictures belong to neither side.

    Args:
        listing: What was found.
        tests: Name a third side, too.
    """
    unused = dict(listing.unused)
    if tests and listing.tests:
        unused[test_place(listing.tests) or "rows of a table"] = "a third side: dls.test_files"
    by_reason: dict[str, list[str]] = {}
    for name, why in unused.items():
        by_reason.setdefault(why, []).append(name)
    if by_reason:
        said = "; ".join(f"{some(names)} ({why})" for why, names in by_reason.items())
        warn(f"not used in {listing.root}: {said}")
