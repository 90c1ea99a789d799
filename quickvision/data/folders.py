"""The folders of a data set as they are looked at, and the calls that load them."""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

from quickvision.base.errors import DataError, some
from quickvision.data.tree import (
    IMAGES,
    TEST,
    TRAIN,
    VALID,
    Tree,
    base,
    fold,
    parent,
    pictures_beside,
    side_of,
)


@dataclass(frozen=True)
class Sides:
    """What the folders of a data set are.

    Attributes:
        top: The folder that holds the sides or the class folders, wrappers entered.
        sides: The side ("train", "valid" or "test") by the folder that holds its class folders, or,
            where there are none, its pictures.
        labelled: Class folders lie in the sides.
        inner: The sides lie in each class folder, `cats/train` beside `dogs/train`.
        aside: Folders of pictures that are no data, with the reason.
        unused: Folders of pictures that belong to no side.
        deeper: Names of the folders in most class folders, which are taken for no classes.
    """

    top: str
    sides: Mapping[str, str]
    labelled: bool = True
    inner: bool = False
    aside: Mapping[str, str] = field(default_factory=dict)
    unused: Sequence[str] = ()
    deeper: Sequence[str] = ()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield folder and side; a folder in another one comes first."""
        return iter(sorted(self.sides.items(), key=lambda item: -len(item[0])))

    @property
    def one_class(self) -> str:
        """The name of the only class folder, where there is just one; or an empty text."""
        kinds = {base(top) for top in self.sides}
        only = kinds.pop() if len(kinds) == 1 else ""
        return "" if side_of(only) or fold(only) in IMAGES else only

    def of(self, side: str) -> list[str]:
        """Return the folders of a side."""
        return [folder for folder, its in self.sides.items() if its == side]


@dataclass(frozen=True)
class Look:
    """A data set's folders, and what was asked for."""

    root: Path
    tree: Tree
    top: str
    valid: Any = None

    @property
    def by_fraction(self) -> bool:
        """No folder is to be held out."""
        return isinstance(self.valid, Real)

    @property
    def kids(self) -> list[str]:
        """The folders in `top` that hold pictures."""
        return self.tree.kids(self.top)

    def called(self, *sides: str) -> list[str]:
        """Return the folders that are called like one of these sides."""
        return [kid for kid in self.kids if side_of(base(kid)) in sides]

    def kinds(self, folders: Iterable[str]) -> dict[str, set[str]]:
        """Return the names of the folders in each that has some."""
        seen = {folder: self.tree.kinds(folder) for folder in folders}
        return {folder: kinds for folder, kinds in seen.items() if kinds}

    def sides(self, sides: Mapping[str, str], **more: Any) -> Sides:
        """Return these sides; what lies beside the wrappers that were entered is left alone."""
        aside = {}
        for folder in sides:
            while folder:
                above = parent(folder)
                for kid in self.tree.kids(above) if above != self.top else ():
                    if kid != folder and not any(side.startswith(kid) for side in sides):
                        aside[kid] = f"beside {base(folder)}, which holds the pictures"
                folder = above
        for kid in (kid for top in sides for kid in self.tree.kids(top) if kid not in sides):
            inside = self.tree.kids(kid)  # masks of one class: `cats/images` beside `cats/masks`
            if photos := pictures_beside(inside):
                why = f"beside {base(photos)}, which holds the pictures"
                aside |= {mask: why for mask in inside if mask != photos}
        return Sides(self.top, sides, aside=aside, deeper=self._deeper(sides), **more)

    def _deeper(self, sides: Mapping[str, str]) -> list[str]:
        """Name the folders in class folders, where most of these hold several."""
        inside = [
            self.tree.kids(kid)
            for top, side in sides.items()
            for kid in self.tree.kids(top)
            if side == TRAIN and kid not in sides
        ]
        several = [kids for kids in inside if len(kids) > 1]
        found = several if 2 * len(several) > len(inside) else []
        return list(dict.fromkeys(base(kid) for kids in found for kid in kids))

    def call(self, folder: str = "", **options: str) -> str:
        """Write the call that loads a folder."""
        said = "".join(f", {name}={value!r}" for name, value in options.items())
        return f"qv.from_folder({str(self.root / folder)!r}{said})"

    def classes_call(self, without: Sequence[str] = ()) -> str:
        """Write the call that takes the folders in `top` for classes, whatever their names.

        Args:
            without: Folders in `top` that are none.
        """
        pattern = self._first_folder()
        if without:
            none = "|".join(re.escape(base(folder)) for folder in without)
            pattern = pattern.replace("([^/]+)/", f"(?!(?:{none})/)([^/]+)/")
        return f"qv.from_name_re({str(self.root / self.top)!r}, r'{pattern}')"

    def inner_call(self, groups: bool = False) -> str:
        """Write the call that takes the innermost folders for classes."""
        kept = f", groups=r'{self._first_folder()}'" if groups else ""
        return f"qv.from_name_re({str(self.root / self.top)!r}, r'/([^/]+)/[^/]+$'{kept})"

    def train_on(self, folder: str) -> str:
        """Say how to train on a part of a folder that is not for it."""
        return f"to train on a part of it all the same: {self.call(self.tree.entered(folder))}"

    def _first_folder(self) -> str:
        """Write the pattern of the first folder below `top`, in whole paths.

        It starts with as many names as it takes to find that folder, and none above it.
        """
        place = (self.root / self.top).absolute()
        kid = next(iter(self.kids), "x/")
        path = f"{self.root.absolute().as_posix()}/{kid}"
        pattern = ""
        for k in range(1, len(place.parts)):
            pattern = f"/{re.escape('/'.join(place.parts[-k:]))}/([^/]+)/"
            found = re.search(pattern, path)
            if found and found.end() == len(path):
                break
        return pattern

    def names(self, folders: Iterable[str]) -> str:
        """Name some folders."""
        return some([base(folder) for folder in folders], limit=5)


def same_pictures(look: Look, one: str, other: str) -> bool:
    """Say whether two folders hold the same files: names and sizes of all, bytes of some."""
    names = sorted(look.tree.below(one))
    if names != sorted(look.tree.below(other)):
        return False
    pairs = [(look.root / f"{one}{name}", look.root / f"{other}{name}") for name in names]
    try:
        if any(os.path.getsize(a) != os.path.getsize(b) for a, b in pairs):
            return False
        return all(filecmp.cmp(a, b, shallow=False) for a, b in pairs[:: len(pairs) // 20 + 1])
    except OSError:
        return False


_COPY = re.compile(r"( - copy|[ _-]copy)?( ?\(\d+\))?$", re.IGNORECASE)


def copies_of(look: Look) -> list[str]:
    """Return the folders that are called like copies of one beside them, and are: `cats (1)`."""
    spelt = {base(kid): kid for kid in look.kids}
    plain = {name: _COPY.sub("", name) for name in spelt}
    return [
        spelt[name]
        for name, its in plain.items()
        if its != name and its in spelt and same_pictures(look, spelt[its], spelt[name])
    ]


def content(look: Look, folder: str, known: set[str]) -> tuple[str, set[str]]:
    """Return where a side's class folders lie, and their names; none where it has no labels.

    A single folder in a side is a wrapper (`test/test`), unless it is called like a class.
    """
    inner = look.tree.entered(folder)
    kinds = look.tree.kinds(folder)
    if kinds:
        return inner, kinds if 2 * len(kinds & known) >= len(kinds) else set()
    if inner != folder and fold(base(inner)) in known:
        return parent(inner), {fold(base(inner))}
    return inner, set()


def asked(look: Look, tops: Sequence[str], common: set[str], why: str) -> DataError:
    """Ask which reading is right, with a call for each."""
    return DataError(
        f"expected class folders in {look.root / look.top}, got {look.names(tops)} with folders of"
        f" the same names in each ({some(sorted(common))}): {why}; take one of them:"
        f" {look.call(tops[0])}; or all of them: {look.inner_call()}; or one to train on and one to"
        f" validate with: {look.call(look.top, valid=base(tops[-1]))}; or, if they are the"
        f" classes: {look.classes_call()}"
    )


def no_train(look: Look, got: str) -> DataError:
    """Say that nothing is there to train on, and how to train on a part of what is."""
    inner = look.kids[0] if len(look.called(VALID, TEST)) == len(look.kids) else look.top
    return DataError(
        f"expected a folder 'train' beside {got} in {look.root}, got none; {look.train_on(inner)}"
    )
