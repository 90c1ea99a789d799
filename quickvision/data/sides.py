"""Which folders are the sides of a data set, which are classes, and which are neither.

Names alone say little: a class may be called `train`, and `cars_train` be none. So what lies in
the folders counts: sides hold folders of the same names, and so do versions, parts and copies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from quickvision.base.errors import DataError, did_you_mean, some
from quickvision.data.folders import Look, Sides, content, same_pictures
from quickvision.data.tree import (
    IMAGES,
    TEST,
    TRAIN,
    VALID,
    Tree,
    base,
    fold,
    is_id,
    is_part,
    is_version,
    parent,
    share_kinds,
    side_of,
)


def arrange(root: Path, names: Sequence[str], *, valid: Any = None) -> Sides:
    """See which folders below `root` are sides, and which are classes.

    Args:
        root: The folder.
        names: The names of the pictures in it.
        valid: As `from_folder` takes it: the name of a folder is the side that is held out; with a
            fraction none is, and all but the training side is left alone.

    Raises:
        DataError: The evidence contradicts itself; the message names a call for each reading.
    """
    tree = Tree(names)
    named = valid_folder(valid)
    if named is not None:
        return _named(root, tree, named)
    top = tree.entered("")
    look = Look(root, tree, top, valid)
    for reading in (_flat, _inside_classes, _nested, _beside_train, _without_train, _same_kinds):
        if (found := reading(look)) is not None:
            return found
    return look.sides({top: TRAIN})


def valid_folder(valid: object) -> str | None:
    """Return the folder's name where `valid` is one, and not a split file."""
    if not isinstance(valid, str | Path) or Path(valid).suffix.lower() == ".csv":
        return None
    return str(valid).strip("/")


def sides_may_be_found(valid: object) -> bool:
    """Say whether who is held out is still to be seen, and not given by a fraction, a list, ..."""
    return valid is None or isinstance(valid, str | Path)


def _flat(look: Look) -> Sides | None:
    """Read pictures without class folders: all in one folder, or each side in one."""
    kids, tree = look.kids, look.tree
    if not kids:
        return look.sides({look.top: TRAIN}, labelled=False)
    if look.kinds(kids):
        return None
    called = {kid: side_of(base(kid)) for kid in kids}
    trains = look.called(TRAIN)
    if all(called.values()) and trains and len(trains) < len(kids):
        held = not look.by_fraction and bool(look.called(VALID))
        sides = {
            tree.entered(kid): side if side != VALID or held else TEST
            for kid, side in called.items()
        }
        return look.sides(sides, labelled=False)
    if all(is_part(base(kid)) or fold(base(kid)) in IMAGES for kid in kids):
        return look.sides({look.top: TRAIN}, labelled=False)
    others = [kid for kid in kids if not called[kid]]
    doubtful = [kid for kid in look.called(VALID, TEST) if _plain_side(base(kid))]
    if doubtful and len(others) > 1 and len(others) + len(doubtful) == len(kids):
        raise DataError(
            f"expected class folders in {look.root / look.top}, got {look.names(others)} and"
            f" {look.names(doubtful)}, which is called like a side of a data set and has no class"
            f" folders in it; without it: {look.classes_call(doubtful)}; if it is a class:"
            f" {look.classes_call()}"
        )
    return None


def _plain_side(name: str) -> bool:
    """Say whether a name is that of a side and nothing else: `test`, `test1`, `val_set`."""
    return bool(re.fullmatch(r"[a-z]+([ _-]?(set|images?|data))?[ _-]?\d{0,2}", name.casefold()))


def _inside_classes(look: Look) -> Sides | None:
    """Read `cats/train`, `cats/val`, `dogs/train`, ...: the sides are in the class folders."""
    seen = look.kinds(look.kids)
    if len(seen) < 2 or len(seen) < len(look.kids) or any(map(side_of, map(base, look.kids))):
        return None
    called = [{side_of(kind) for kind in kinds} for kinds in seen.values()]
    if all("" not in sides and TRAIN in sides and len(sides) > 1 for sides in called):
        return look.sides({look.top: TRAIN}, inner=not look.by_fraction)
    return None


def _nested(look: Look) -> Sides | None:
    """Read a folder that holds folders of the same names as those beside it."""
    for kid, kinds in look.kinds(look.kids).items():
        beside = [other for other in look.kids if other != kid]
        again = [other for other in beside if fold(base(other)) in kinds]
        if len(again) < 2 and not (again and len(again) == len(beside) == len(kinds)):
            continue
        side = side_of(base(kid))
        inner = look.tree.entered(kid)
        if side in (VALID, TEST):
            sides = {look.top: TRAIN, inner: TEST if look.by_fraction else VALID}
            return look.sides(sides)
        pairs = [(other, f"{inner}{base(other)}/") for other in again]
        if all(same_pictures(look, *pair) for pair in pairs):
            others = [name for name in look.tree.names if not name.startswith(kid)]
            found = arrange(look.root, others, valid=look.valid)
            why = f"the same pictures as in {look.names(again)} once more"
            return replace(found, aside={**found.aside, kid: why})
        raise DataError(
            f"expected class folders in {look.root / look.top}, got {look.names(again)} and, beside"
            f" them, {base(kid)} with folders of the same names, which holds other pictures; take"
            f" one of them: {look.call(inner)}, or move {base(kid)} elsewhere"
        )
    return None


def _beside_train(look: Look) -> Sides | None:
    """Read a training folder with class folders, and what lies beside it."""
    trains = look.kinds(look.called(TRAIN))
    if not trains:
        return None
    known = set().union(*trains.values())
    others = [kid for kid in look.kids if not side_of(base(kid))]
    alike = [kid for kid in others if content(look, kid, known)[1]]
    held = {kid: content(look, kid, known) for kid in look.called(VALID, TEST)}
    if len(alike) > 1 and not held:
        raise _asked(look, [*trains, *alike], known, "one is called like a side")
    return _sides(look, trains, held, others)


def _sides(
    look: Look,
    trains: Iterable[str],
    held: Mapping[str, tuple[str, set[str]]],
    others: Sequence[str],
) -> Sides:
    """Put the sides together: `valid` where it has labels, else `test`, else a fraction."""
    sides = {look.tree.entered(kid): TRAIN for kid in trains}
    labelled = [kid for kid, (_, kinds) in held.items() if kinds]
    wanted = [kid for kid in labelled if side_of(base(kid)) == VALID]
    bare = [kid for kid in held if kid not in labelled and side_of(base(kid)) == VALID]
    if bare and not wanted and not look.by_fraction:
        train = next(iter(sides))
        raise DataError(
            f"expected the class folders of {base(train) or look.root} in {look.root / bare[0]},"
            f" got none of them; if a table there says which picture is what, as"
            f" {base(bare[0])}_annotations.txt, sort the pictures into class folders or use"
            f" from_csv; to hold out a part of the training pictures instead: valid=0.2"
        )
    wanted = [] if look.by_fraction else wanted or labelled
    for kid, (inner, _) in held.items():
        sides[inner] = VALID if kid in wanted else TEST
    return look.sides(sides, unused=[kid for kid in others if kid not in sides])


def _without_train(look: Look) -> Sides | None:
    """Read sides none of which is called `train`."""
    held = look.kinds(look.called(VALID, TEST))
    if not held:
        outer = [part for part in look.top.split("/") if part]
        if look.kids and any(map(side_of, outer)) and TRAIN not in map(side_of, outer):
            side = next(part for part in outer if side_of(part))
            raise _no_train(look, side)
        return None
    known = set().union(*held.values())
    others = [kid for kid in look.kids if kid not in look.called(TRAIN, VALID, TEST)]
    alike = [kid for kid in others if content(look, kid, known)[1]]
    if not others:
        raise _no_train(look, look.names(look.kids))
    if len(alike) == 1:
        found = {kid: content(look, kid, look.tree.kinds(alike[0])) for kid in held}
        flat = {kid: content(look, kid, known) for kid in look.called(TEST) if kid not in held}
        return _sides(look, alike, {**found, **flat}, [k for k in others if k not in alike])
    if alike:
        raise _asked(look, [*alike, *held], known, "some are called like sides")
    return None


def _no_train(look: Look, got: str) -> DataError:
    inner = look.kids[0] if len(look.called(VALID, TEST)) == len(look.kids) else look.top
    return DataError(
        f"expected a folder 'train' beside {got} in {look.root}, got none; to train on a part of it"
        f" all the same: {look.call(look.tree.entered(inner))}"
    )


def _same_kinds(look: Look) -> Sides | None:
    """Read folders that hold folders of the same names: parts, copies, versions, or classes."""
    seen = look.kinds(look.kids)
    common = share_kinds(seen)
    tops = list(seen)
    if not common:
        if len(look.kids) > 1 and all(is_id(base(kid)) for kid in look.kids):
            raise DataError(
                f"expected class folders in {look.root / look.top}, got {look.names(look.kids)},"
                " which look like people, things or recordings of which there are several pictures;"
                " say in a table what the pictures are: from_csv(table, label_col=..., groups=...);"
                f" or, if they are classes: {look.classes_call()}"
            )
        return None
    if all(is_id(kind) or kind.isdecimal() for kind in common) and not any(
        is_id(base(kid)) or base(kid).isdecimal() or side_of(base(kid)) for kid in tops
    ):
        return None  # patients or tracks of each class
    if all(is_part(base(kid)) for kid in tops):
        rest = [kid for kid in look.kids if kid not in tops]
        return look.sides({look.tree.entered(kid): TRAIN for kid in tops}, unused=rest)
    first, *rest = tops
    if len(tops) == len(look.kids) and all(same_pictures(look, first, kid) for kid in rest):
        why = f"the same pictures as in {base(first)} once more"
        found = look.sides({look.tree.entered(first): TRAIN})
        return replace(found, aside={**found.aside, **dict.fromkeys(rest, why)})
    if sum(is_version(base(kid)) for kid in tops) >= len(tops) / 2:
        raise _asked(look, tops, common, "they look like versions of the same pictures")
    if all(is_id(base(kid)) or re.fullmatch(r"\d{3,}", base(kid)) for kid in tops):
        raise DataError(
            f"expected class folders in {look.root / look.top}, got {look.names(tops)}, which look"
            f" like people or things, each with folders of the same names: {some(sorted(common))};"
            f" if those are the classes: {look.inner_call(groups=True)}; if the others are:"
            f" {look.classes_call()}"
        )
    if len(common) > max(2, len(tops)):
        raise _asked(look, tops, common, "they look like sides or versions of one data set")
    return None


def _asked(look: Look, tops: Sequence[str], common: set[str], why: str) -> DataError:
    """Ask which reading is right, with a call for each."""
    return DataError(
        f"expected class folders in {look.root / look.top}, got {look.names(tops)} with folders of"
        f" the same names in each ({some(sorted(common))}): {why}; take one of them:"
        f" {look.call(tops[0])}; or all of them: {look.inner_call()}; or one to train on and one to"
        f" validate with: {look.call(look.top, valid=base(tops[-1]))}; or, if they are the"
        f" classes: {look.classes_call()}"
    )


def _named(root: Path, tree: Tree, name: str) -> Sides:
    """Read a data set whose held-out folder was named."""
    spelt = {fold(folder.rstrip("/")): folder for folder in tree.all if folder}
    top = tree.entered("")
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
    if not trains and len(others) == 1 and tree.kinds(others[0]) & kinds:
        trains = others
    rest = [kid for kid in others if kid not in trains]
    sides = {tree.entered(kid): TRAIN for kid in trains} or {look.top: TRAIN}
    sides[inner] = VALID
    if trains:
        sides |= {tree.entered(kid): TEST for kid in rest if side_of(base(kid))}
    labelled = bool(tree.kinds(held)) or any(tree.kinds(kid) for kid in trains) or bool(kinds)
    unused = [kid for kid in rest if trains and not side_of(base(kid))]
    return look.sides(sides, labelled=labelled, unused=unused)
