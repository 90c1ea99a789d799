"""Pictures and their labels, found in folders or names: the same thing whichever door was taken."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from quickvision.base.errors import DataError, as_path, expect, some, warn
from quickvision.data.labels import FolderLabel, NamedLabel, NameLabel
from quickvision.data.paths import Files, find_files, folder, relative, sides


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
        unused: Folders of pictures that belong to neither side.
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
    unused: Sequence[str] = ()
    tests: Sequence[str] = ()
    labels_from: str = ""
    split_from: str = ""
    found_by: str = ""

    def renamed(self, names: Mapping[str, str]) -> Listing:
        """Return the listing with names in place of its labels."""
        labels = [names.get(label, label) for label in self.labels]
        return replace(self, labels=labels, get_y=NamedLabel(self.get_y, names))


def list_folder(path: str | Path, *, valid: object = None, walked: Files | None = None) -> Listing:
    """List class folders; see `quickvision.from_folder`.

    Args:
        path: The folder.
        valid: The name of the validation folder, where it is text; else it is looked for.
        walked: What `find_files` has found there, where it has been asked.

    Raises:
        DataError: No folder, or no class folder in it.
    """
    root = folder(path)
    train, held_out = sides(root, valid_folder(valid))
    found, others = walked or find_files(root)
    tops = {f"{held_out.name}/": True} if held_out else {}
    tops["" if train == root else f"{train.name}/"] = False
    names, labels, held, unused = [], [], [], {}
    for name in found:
        top = next((top for top in tops if name.startswith(top)), None)
        if top is None:
            unused[name.partition("/")[0]] = "/" in name
            continue
        label, deeper, _ = name[len(top) :].partition("/")
        names.append(name)
        labels.append(label if deeper else "")
        held.append(tops[top])
    if names and not any(labels):
        raise DataError(
            f"expected class folders in {train}, got no folder but {some(names)}; where names hold"
            f" the labels, use from_name_re('{root}', r'^(.+)_\\d+\\.jpg$')"
        )
    stray = [name for name, label in zip(names, labels, strict=True) if not label]
    return Listing(
        root=root,
        names=names,
        labels=labels,
        get_y=FolderLabel([held_out, train] if held_out else [train]),
        left_out=dict.fromkeys(stray, "not in a class folder"),
        held=held if held_out else None,
        side=str(held_out or ""),
        others=others,
        unused=[name for name, is_folder in unused.items() if is_folder],
        found_by=f"qv.from_folder({str(path)!r})",
    )


def valid_folder(valid: object) -> str | None:
    """Return the folder's name where `valid` is one, and not a split file."""
    if not isinstance(valid, str | Path) or Path(valid).suffix.lower() == ".csv":
        return None
    return str(valid).strip("/")


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
        names, others = walked or find_files(root)
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
            f"expected {get_y.pat!r} to match the pictures' names, got no match in {len(names):,}:"
            f" {some(names)}; its group must catch the label"
        )
    return Listing(
        root=root,
        names=names,
        labels=labels,
        get_y=get_y,
        left_out=dict.fromkeys(unlabelled, f"no label: {get_y.pat!r} does not match"),
        others=others,
        found_by=f"qv.from_name_re({_shown(path_or_files)}, {_raw(get_y.pat)})",
    )


def _shown(path_or_files: object) -> str:
    return repr(str(path_or_files)) if isinstance(path_or_files, str | Path) else "files"


def _raw(pat: str) -> str:
    r"""Write a pattern as people do.

    >>> print(_raw(r"^(.+)_\d+"))
    r'^(.+)_\d+'
    """
    return repr(pat) if "'" in pat else f"r'{pat}'"


def warn_of_unused(listing: Listing) -> None:
    """Say which folders of pictures belong to neither side."""
    if listing.unused:
        names = some(listing.unused)
        warn(f"not used, neither to train nor to validate: {names} in {listing.root}")
