"""Class folders, listed: each picture with the folder that it is in, and its side."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from numbers import Real
from pathlib import Path

from quickvision.base.errors import DataError, some, warn
from quickvision.data.folders import Look, Sides
from quickvision.data.labels import FolderLabel, composed, raw
from quickvision.data.listing import MASK, Listing, counted, how_to_label, left_alone
from quickvision.data.paths import READERS, Files, find_files, folder, no_pictures
from quickvision.data.patterns import propose_pattern
from quickvision.data.sides import arrange
from quickvision.data.tree import TEST, TRAIN, VALID, Tree, base, parent, side_of

_INNER = "the folders in each class folder that are called like a side"


def list_folder(path: str | Path, *, valid: object = None, walked: Files | None = None) -> Listing:
    """List class folders; see `quickvision.from_folder`.

    Args:
        path: The folder.
        valid: As the doors take it: the name of a folder is looked for, with a fraction no folder
            is held out, and without either one that is called so is.
        walked: What `find_files` has found there, where it has been asked.

    Raises:
        DataError: No folder, no class folder in it, or folders that can be read in several ways.
    """
    root = folder(path)
    files = walked or find_files(root)
    if not files.names:
        raise no_pictures(root, files)
    found = arrange(root, files.names, valid=valid)
    if not found.labelled:
        raise _no_classes(root, files, found)
    names, labels, held, tests = [], [], [], []
    known: dict[str, tuple[str, str]] = {}  # of each folder: its side and its label
    for name in files.names:
        place = name[: name.rfind("/") + 1]
        if place not in known:
            known[place] = _place(found, place)
        side, label = known[place]
        if side == TEST:
            tests.append(name)
        elif side:
            names.append(name)
            labels.append(label)
            held.append(side == VALID)
    if found.inner and not any(held):  # no `val` in the class folders: it is `test`
        names += tests
        labels += [_place(found, name)[1] for name in tests]
        held += [True] * len(tests)
        tests = []
    stray = [name for name, label in zip(names, labels, strict=True) if not label]
    sides = list(found)
    side = some([str(root / top).rstrip("/") for top in found.of(VALID)]) if any(held) else ""
    side = side or _empty_side(root, files, found, valid)
    listing = Listing(
        root=root,
        names=names,
        labels=labels,
        get_y=FolderLabel([root / top for top, _ in sides]),
        left_out={**dict.fromkeys(stray, "not in a class folder"), **_masks(names)},
        held=held if any(held) or side else None,
        side=side or (_INNER if any(held) else ""),
        others=files.others,
        unused=left_alone(found),
        tests=tests,
        labels_from=_labels_from(root, found),
        split_from=f"folder {side}" if side else _INNER if any(held) else "",
        found_by=f"qv.from_folder({str(path)!r})",
    )
    _warn_of_bare(listing, files, [top for top, side in sides if side != TEST])
    return listing


def _labels_from(root: Path, found: Sides) -> str:
    """Say where the labels come from, and what in there is taken for no label."""
    said = f"the folders in {some([str(root / top) for top in found.of(TRAIN)])}"
    if not found.deeper:
        return said
    return f"{said}, and not those in them ({some(found.deeper)})"


def _place(found: Sides, place: str) -> tuple[str, str]:
    """Return a folder's side and label: no side where it is left alone, no label in no class."""
    if place.startswith((*found.aside, *found.unused)):
        return "", ""
    top, side = next((each for each in found if place.startswith(each[0])), ("", ""))
    label, _, inner = place[len(top) :].partition("/")
    if found.inner and side:
        side = side_of(inner.partition("/")[0])
    return side, composed(label)


_MASK = re.compile(r"[-_](mask|segmentation|groundtruth)([-_]?\d+)?$", re.IGNORECASE)


def _masks(names: Sequence[str]) -> dict[str, str]:
    """Return the files that are called the mask of one beside them: `1_mask.png` and `1.png`."""
    text = "\n".join(names).casefold()  # of 100,000 names in a few milliseconds
    if not any(word in text for word in ("mask", "segmentation", "groundtruth")):
        return {}
    stems = {name: name[: name.rfind(".")] for name in names}
    there = set(stems.values())
    masks = [name for name, stem in stems.items() if _MASK.search(stem)]
    return {name: MASK for name in masks if _MASK.sub("", stems[name]) in there}


def _empty_side(root: Path, files: Files, found: Sides, valid: object) -> str:
    """Return the folder beside the training side that is called `val` and holds no picture."""
    if isinstance(valid, Real) or found.of(VALID):
        return ""
    above = {parent(top) for top in found.of(TRAIN) if side_of(base(top))}
    for name in [*files.empty, *files.others]:
        for top in above:
            kid, deeper, _ = name[len(top) :].partition("/")
            if name.startswith(top) and deeper and side_of(kid) == VALID:
                return str(root / top / kid)
    return ""


def _warn_of_bare(listing: Listing, files: Files, tops: Sequence[str]) -> None:
    """Say which folders beside the class folders hold nothing that is a picture."""
    if not (files.others or files.empty):
        return
    places = {name[: name.rfind("/") + 1] for name in listing.names}
    known = {p[: p.find("/", len(top)) + 1] for top in tops for p in places if p.startswith(top)}
    bare: dict[str, Counter[str]] = {}
    for name in [*files.others, *files.empty]:
        top = next((top for top in tops if name.startswith(top)), None)
        kind = "" if top is None else name[: name.find("/", len(top)) + 1]
        if kind and kind not in known and not any(inner.startswith(kind) for inner in tops):
            seen = bare.setdefault(kind, Counter())
            if not name.endswith("/"):
                seen[Path(name).suffix.lower()] += 1
    said = []
    for kind, seen in bare.items():
        if not seen:
            said.append(f"{kind[:-1]} is empty")
        elif set(seen) <= set(READERS):
            suffix, n = seen.most_common(1)[0]
            files_of = f"{n:,} files {suffix or 'without suffix'}"
            said.append(f"{kind[:-1]} has {files_of} ({READERS[suffix]})")
    if said:
        warn(f"no picture in folders that may be classes: {some(said)}")


def _no_classes(root: Path, files: Files, found: Sides) -> DataError:
    """Say what lies there instead of class folders, and how it can be loaded."""
    top = found.of(TRAIN)[0]
    here = [name[len(top) :] for name in files.names if name.startswith(top)]
    place = root / top
    if pattern := propose_pattern([name.rpartition("/")[2] for name in here]):
        return DataError(
            f"expected class folders in {place}, got {counted(here)};"
            f" their names hold labels: qv.from_name_re({str(place)!r}, {raw(pattern)})"
        )
    if found.one_class:
        return one_class(root, found, files, len(here))
    look = Look(root, Tree(files.names), top)
    if "/" in here[0]:
        classes = f"if they are classes: {look.classes_call()}"
        return DataError(
            f"expected class folders in {place}, got folders of pictures that are called like parts"
            f" of a data set{how_to_label(root, place, files.others, classes)}"
        )
    how = how_to_label(root, place, files.others)
    return DataError(f"expected class folders in {place}, got {counted(here)}{how}")


def one_class(root: Path, found: Sides, files: Files, n: int) -> DataError:
    """Say that there is one class folder, and what else could say what its pictures are."""
    place = root / found.top.removesuffix(f"{found.one_class}/")
    bare = [name[:-1] for name in files.empty if name.count("/") == 1]
    none = f" ({some(bare)} {'is' if len(bare) == 1 else 'are'} empty)" if bare else ""
    more = "if it is a class, put the pictures of another class in a folder beside it"
    return DataError(
        f"expected two class folders or more in {place}, got one, {found.one_class}, with {n:,}"
        f" pictures{none}{how_to_label(root, place / found.one_class, files.others, more)}"
    )
