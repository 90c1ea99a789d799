"""The side that `valid=` names: a folder, and what is trained on beside it."""

from __future__ import annotations

import os
from pathlib import Path

from quickvision.base.errors import DataError, did_you_mean
from quickvision.data.folders import Look, Sides, content
from quickvision.data.paths import relative
from quickvision.data.tree import TEST, TRAIN, VALID, Tree, base, fold, parent, side_of


def named_side(root: Path, tree: Tree, name: str) -> Sides:
    """Read a data set whose held-out folder was named.

    The training side is what lies beside it: `train`; folders of the same names in all of them
    (folds, years); or else the class folders.

    Raises:
        DataError: There is no such folder, or it is a file.
    """
    given = Path(name)
    if given.is_file():
        raise DataError(
            f"valid: expected a folder, a split.csv that save_split wrote, or files, got the list"
            f" {name}; hold out what it names: valid=lambda p, held=tuple('/' + x for x in"
            f" open({name!r}).read().split()): p.as_posix().endswith(held) or"
            " p.with_suffix('').as_posix().endswith(held)"
        )
    if given.is_dir():  # as it is seen from the working folder
        name = relative(os.path.abspath(given), root.absolute()) or name
    name = name.strip("/")
    spelt = {fold(folder.rstrip("/")): folder for folder in tree.all if folder}
    top = tree.entered("")
    each = [kid for kid in tree.kids(top) if f"{fold(kid.rstrip('/'))}/{fold(name)}" in spelt]
    if len(each) > 1 and len(each) == len(tree.kids(top)) and side_of(name):
        return Look(root, tree, top).sides({top: TRAIN}, inner=True)  # `cats/test`, `dogs/test`
    ways = [name, f"{top}{name}"] + [f"{kid}{name}" for kid in tree.kids(top)]
    held = next((spelt[fold(way)] for way in ways if fold(way) in spelt), None)
    if held is None:
        hint = did_you_mean(name, [base(folder) for folder in spelt.values()])
        raise DataError(f"expected a folder {name!r} to validate on in {root}, got none{hint}")
    look = Look(root, tree, parent(held))
    others = [kid for kid in look.kids if kid != held]
    trains = [kid for kid in others if side_of(base(kid)) == TRAIN]
    known = set().union(*(tree.kinds(kid) or {fold(base(kid))} for kid in trains or others))
    inner, kinds = content(look, held, known)
    inner = inner if kinds else tree.entered(held)
    if not trains and not any(fold(base(kid)) in kinds for kid in others):
        trains = [kid for kid in others if tree.kinds(kid) & kinds]  # the other folds, years
    rest = [kid for kid in others if kid not in trains]
    sides = {tree.entered(kid): TRAIN for kid in trains} or {look.top: TRAIN}
    sides[inner] = VALID
    if trains:
        sides |= {tree.entered(kid): TEST for kid in rest if side_of(base(kid))}
    labelled = bool(tree.kinds(held)) or any(tree.kinds(kid) for kid in trains) or bool(kinds)
    unused = [kid for kid in rest if trains and not side_of(base(kid))]
    return look.sides(sides, labelled=labelled, unused=unused)
