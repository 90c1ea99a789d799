"""Pictures and their labels, found in folders or names: the same thing whichever door was taken."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from quickvision.errors import DataError, DataWarning, some
from quickvision.labels import FolderLabel, NamedLabel, NameLabel, find_files, folder, sides


@dataclass(frozen=True)
class Listing:
    """What a door found: files, labels, and what is fixed about the split already.

    Attributes:
        root: The folder that the files belong to.
        files: All pictures, in one order on every machine.
        labels: A label for each file; an empty string where it has none.
        get_y: The labeller: path in, label out.
        left_out: Files that are no data, with the reasons.
        missing: Those of `left_out` that do not exist.
        held: True for each file that is held out, where a folder or a column says so.
        side: What says so, for messages.
        groups: The group of each file, where a column says so.
        others: Files beside the pictures that are none.
        unused: Folders of pictures that belong to neither side.
        found_by: The call that this door is, as a user would write it.
    """

    root: Path
    files: Sequence[Path]
    labels: Sequence[str]
    get_y: Callable[[Path], str]
    left_out: Mapping[Path, str] = field(default_factory=dict)
    missing: frozenset[Path] = frozenset()
    held: Sequence[bool] | None = None
    side: str = ""
    groups: Sequence[str] | None = None
    others: Sequence[Path] = ()
    unused: Sequence[Path] = ()
    found_by: str = ""

    def named(self, names: Mapping[str, str]) -> Listing:
        """Return the listing with names in place of its labels."""
        labels = [names.get(label, label) for label in self.labels]
        return replace(self, labels=labels, get_y=NamedLabel(self.get_y, names))


def list_folder(path: str | Path, *, valid: object = None) -> Listing:
    """List class folders; see `quickvision.from_folder`.

    Args:
        path: The folder.
        valid: The name of the validation folder, where it is text; else it is looked for.

    Raises:
        DataError: No folder, or no class folder in it.
    """
    root = folder(path)
    train, held_out, beside = sides(root, valid if isinstance(valid, str) else None)
    get_y = FolderLabel([held_out, train] if held_out else [train])
    files, others = find_files(train)
    if held_out:
        files = [file for file in files if held_out not in file.parents]
        more, more_others = find_files(held_out)
        held = [False] * len(files) + [True] * len(more)
        files, others = files + more, others + more_others
    stray = [file for file in files if file.parent in (train, held_out)]
    if stray and len(stray) == len(files):
        raise DataError(
            f"expected class folders in {train}, got no folder but {some([f.name for f in files])};"
            f" where names hold the labels, use from_name_re('{root}', r'^(.+)_\\d+\\.jpg$')"
        )
    reasons = dict.fromkeys(stray, "not in a class folder")
    return Listing(
        root=root,
        files=files,
        labels=["" if file in reasons else get_y(file) for file in files],
        get_y=get_y,
        left_out=reasons,
        held=held if held_out else None,
        side=str(held_out or ""),
        others=others,
        unused=[path for path in beside if find_files(path)[0]],
        found_by=f"qv.from_folder({str(path)!r})",
    )


def list_names(
    path_or_files: str | Path | Iterable[str | Path], pat: str | re.Pattern[str]
) -> Listing:
    """List pictures whose names hold their labels; see `quickvision.from_name_re`.

    Raises:
        DataError: No folder, named files that do not exist, or no name that the pattern matches.
        ValueError: The pattern cannot label.
    """
    get_y = NameLabel(pat)
    others: list[Path] = []
    if isinstance(path_or_files, str | Path):
        root = folder(path_or_files)
        files, others = find_files(root)
    else:
        files = list(dict.fromkeys(Path(file).expanduser() for file in path_or_files))
        missing = [file for file in files if not file.is_file()]
        if missing or not files:
            got = f"{len(missing):,} that do not exist: {some(missing)}" if missing else "none"
            raise DataError(f"expected picture files, got {got}")
        root = Path(os.path.commonpath([file.absolute().parent for file in files]))
    labels = [get_y(file) for file in files]
    unlabelled = [file for file, label in zip(files, labels, strict=True) if not label]
    if files and len(unlabelled) == len(files):
        raise DataError(
            f"expected {get_y.pat!r} to match the pictures' names, got no match in {len(files):,}:"
            f" {some([file.name for file in files])}; its group must catch the label"
        )
    return Listing(
        root=root,
        files=files,
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
        names = some([path.name for path in listing.unused])
        text = f"not used, neither to train nor to validate: {names} in {listing.root}"
        warnings.warn(text, DataWarning, stacklevel=4)
