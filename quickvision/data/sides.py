"""Which folders are the sides of a data set, which are classes, and which are neither.

Names alone say little: a class may be called `train`, and `cars_train` be none. So what lies in
the folders counts: sides hold folders of the same names, and so do versions, parts and copies.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from quickvision.base.errors import DataError, some
from quickvision.data.folders import Look, Sides, asked, content, copies_of, no_train, same_pictures
from quickvision.data.held_side import named_side
from quickvision.data.tree import (
    BESIDE,
    IMAGES,
    TEST,
    TRAIN,
    VALID,
    Tree,
    are_letters,
    are_sets,
    base,
    fold,
    is_id,
    is_part,
    is_version,
    share_kinds,
    side_of,
    words,
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
        return named_side(root, tree, named)
    top = tree.entered("")
    look = Look(root, tree, top, valid)
    readings = (_copied, _flat, _inside_classes, _nested, _beside_train, _beside_sides)
    for reading in (*readings, _without_train, _same_kinds):
        if (found := reading(look)) is not None:
            return found
    return look.sides({top: TRAIN})


def valid_folder(valid: object) -> str | None:
    """Return the folder's name where `valid` is one, and not a split file."""
    if not isinstance(valid, str | Path) or Path(valid).suffix.lower() == ".csv":
        return None
    return str(valid).rstrip("/") if os.path.isabs(valid) else str(valid).strip("/")


def sides_may_be_found(valid: object) -> bool:
    """Say whether who is held out is still to be seen, and not given by a fraction, a list, ..."""
    return valid is None or isinstance(valid, str | Path)


def _copied(look: Look) -> Sides | None:
    """Read `cats - Copy` or `cats (1)` beside `cats`, with the same pictures."""
    copies = copies_of(look)
    return _without(look, copies, "copies of the folders beside them") if copies else None


def _without(look: Look, kids: Sequence[str], why: str) -> Sides:
    """Read what is there beside some folders, which are left alone."""
    names = [name for name in look.tree.names if not name.startswith(tuple(kids))]
    found = arrange(look.root, names, valid=look.valid)
    return replace(found, aside={**found.aside, **dict.fromkeys(kids, why)})


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
    if share_kinds(_in_train(look)):
        return None  # `fold_1/train/cats` beside `fold_2/train/cats`
    if all("" not in sides and TRAIN in sides and len(sides) > 1 for sides in called):
        return look.sides({look.top: TRAIN}, inner=not look.by_fraction)
    return None


def _in_train(look: Look) -> dict[str, set[str]]:
    """Return the names of the class folders in each folder's own sides."""
    found = {}
    for kid in look.kids:
        within = look.tree.kids(look.tree.entered(kid))
        sides = {side_of(base(inner)): look.tree.kinds(inner) for inner in within}
        if len(sides) > 1 and TRAIN in sides and any(sides.values()):
            found[kid] = set().union(*sides.values())
    return found


def _beside_sides(look: Look) -> Sides | None:
    """Read a folder that holds a whole data set, beside others: its own sides, or `test` alone."""
    whole = list(_in_train(look))
    others = [kid for kid in look.kids if kid not in whole]
    if not whole and len(look.kids) > 1:
        whole = [kid for kid in look.kids if look.tree.kinds(kid)]
        others = [kid for kid in look.kids if kid not in whole]
        if len(whole) != 1:
            return None
        holds = fold(base(whole[0])) in IMAGES | {"data", "dataset"}
        if not holds and not all(side_of(base(kid)) == TEST for kid in others):
            return None
    if not whole or (len(whole) < len(look.kids) and any(map(look.tree.kinds, others))):
        return None
    first, *more = whole
    if more and all(same_pictures(look, first, kid) for kid in more):
        return _without(look, more, f"the same pictures as in {base(first)} once more")
    if more:
        raise DataError(
            f"expected one data set in {look.root / look.top}, got {look.names(whole)}, each with"
            f" sides of its own; take one of them: {look.call(first)}; or, if they are the classes:"
            f" {look.classes_call()}"
        )
    found = _without(look, others, f"beside {base(first)}, which holds the data set")
    third = {look.tree.entered(kid): TEST for kid in others if side_of(base(kid)) == TEST}
    aside = {kid: why for kid, why in found.aside.items() if side_of(base(kid)) != TEST}
    return replace(found, sides={**found.sides, **third}, aside=aside)


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
            return _without(look, [kid], f"the same pictures as in {look.names(again)} once more")
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
        raise asked(look, [*trains, *alike], known, "one is called like a side")
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
            raise no_train(look, side)
        return None
    known = set().union(*held.values())
    if trains := look.called(TRAIN):
        raise DataError(
            f"expected two class folders or more in {look.root / trains[0]}, got"
            f" {look.names(look.tree.kids(trains[0])) or 'none'}, where {look.names(held)} has"
            f" {some(sorted(known))}; {look.train_on(next(iter(held)))}"
        )
    others = [kid for kid in look.kids if kid not in look.called(VALID, TEST)]
    others = [kid for kid in others if not set(words(base(kid))) & BESIDE]
    alike = [kid for kid in others if content(look, kid, known)[1]]
    if not others:
        raise no_train(look, look.names(look.kids))
    if len(alike) == 1:
        found = {kid: content(look, kid, look.tree.kinds(alike[0])) for kid in held}
        flat = {kid: content(look, kid, known) for kid in look.called(TEST) if kid not in held}
        return _sides(look, alike, {**found, **flat}, [k for k in others if k not in alike])
    if alike:
        raise asked(look, [*alike, *held], known, "some are called like sides")
    return None


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
                " say in a table what the pictures are: qv.from_csv(table, label_col=...,"
                f" groups=...); or, if they are classes: {look.classes_call()}"
            )
        if len(tops) > 1 and (are_sets(tops) or are_letters(seen)):
            raise DataError(
                f"expected class folders in {look.root / look.top}, got {look.names(tops)}, which"
                " are called like data sets, or parts, and have folders in them; if those are the"
                f" classes: {look.inner_call()}; if these are: {look.classes_call()}"
            )
        return None
    numbered = all(is_id(kind) or kind.isdecimal() for kind in common)
    few = len(tops) < 3  # `0` and `1` are classes
    number = r"\d{3,}|[sSpP]\d{2,4}" if numbered or few else r"\d+|[sSpP]\d{2,4}"
    who = [is_id(base(kid)) or re.fullmatch(number, base(kid)) for kid in tops]
    if numbered and not any(who) and not any(side_of(b) or b.isdecimal() for b in map(base, tops)):
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
        raise asked(look, tops, common, "they look like versions of the same pictures")
    if all(who):
        raise DataError(
            f"expected class folders in {look.root / look.top}, got {look.names(tops)}, which look"
            " like people, things or parts, each with folders of the same names:"
            f" {some(sorted(common))}; if those are the classes: {look.inner_call(groups=True)};"
            f" if the others are: {look.classes_call()}"
        )
    if len(common) > max(2, len(tops)):
        raise asked(look, tops, common, "they look like sides or versions of one data set")
    return None
