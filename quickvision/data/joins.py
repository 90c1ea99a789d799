"""Two listings as one: a second table's pictures are held out, or are a third side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from quickvision.data.labels import TableLabel
from quickvision.data.listing import Listing


def joined(one: Listing, other: Listing, table: Path, is_test: bool) -> Listing:
    """Put two listings together, of which the second is held out, or is a third side."""
    tops = [os.path.abspath(listing.root) for listing in (one, other)]
    common = os.path.commonpath(tops)
    root = one.root
    if common != tops[0]:
        up = os.path.relpath(common, tops[0])
        root = Path(common if one.root.is_absolute() else os.path.normpath(os.path.join(root, up)))

    def renamed(names: Sequence[str], top: str) -> list[str]:
        at = os.path.relpath(top, common).replace(os.sep, "/")
        return [name if at == "." or os.path.isabs(name) else f"{at}/{name}" for name in names]

    first, second = renamed(one.names, tops[0]), renamed(other.names, tops[1])
    third, known = renamed(one.tests, tops[0]), set(first)
    moved = (
        dict(zip([*one.names], first, strict=True)),
        dict(zip([*other.names], second, strict=True)),
    )
    left_out = {moved[0][name]: why for name, why in one.left_out.items()}
    missing = {moved[0][name] for name in one.missing}
    labelled = {**one.get_y.labels} if isinstance(one.get_y, TableLabel) else {}
    labels = {moved[0].get(name, name): label for name, label in labelled.items()}
    labels |= dict(zip(second, other.labels, strict=True))
    if is_test:
        tests = [
            name for name, old in zip(second, other.names, strict=True) if old not in other.missing
        ]
        first_held = list(one.held or ())
        return replace(
            one,
            root=root,
            names=first,
            get_y=TableLabel(root, labels),
            left_out=left_out,
            missing=frozenset(missing),
            held=first_held,
            tests=[*third, *(name for name in tests if name not in known)],
        )
    taken = set(second)
    keep = [i for i, name in enumerate(first) if name not in taken]
    left_out |= {moved[1][name]: why for name, why in other.left_out.items()}
    missing |= {moved[1][name] for name in other.missing}
    names = [*(first[i] for i in keep), *second]
    kept = set(names)
    groups = None
    if one.groups is not None and other.groups is not None:
        groups = [*(one.groups[i] for i in keep), *other.groups]
    return replace(
        one,
        root=root,
        names=names,
        labels=[*(one.labels[i] for i in keep), *other.labels],
        get_y=TableLabel(root, labels),
        left_out={name: why for name, why in left_out.items() if name in kept},
        missing=frozenset(missing),
        held=[False] * len(keep) + [True] * len(second),
        side=str(table),
        groups=groups,
        tests=third,
        split_from=str(table),
    )
