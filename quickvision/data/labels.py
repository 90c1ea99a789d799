"""What paths say of the labels: folders, patterns, tables; and names for classes that are numbers.

Classes, and not closures, and with a `__name__`, without which fastai wraps them in a closure of
its own: loader processes pickle them. fastai reads their annotations, which it cannot do as text:
no `from __future__ import annotations` here.
"""

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from quickvision.base.errors import DataError, as_path, expect, some, warn
from quickvision.base.files import read_rows, read_text
from quickvision.data.paths import relative


def composed(name: str) -> str:
    """Return one spelling of a name: macOS writes `é` in two characters, others in one."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def raw(pat: str) -> str:
    r"""Write a pattern as people do.

    >>> print(raw(r"^(.+)_\d+"))
    r'^(.+)_\d+'
    """
    return repr(pat) if "'" in pat else f"r'{pat}'"


class FolderLabel:
    """Label a picture by the first folder below one of the roots: `train/ants/x/1.jpg` is `ants`.

    A path outside the roots (a new picture to predict) is labelled by the folder it is in, as
    fastai's `parent_label` does.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = roots
        self.__name__ = "FolderLabel"

    def __call__(self, path: str | Path) -> str:
        """Return the label."""
        for root in self.roots:
            if below := relative(path, root):
                return composed(below.partition("/")[0])
        return composed(Path(path).parent.name)


class NameLabel:
    r"""Label a picture by a pattern's group, searched in its name, or in its path if it has a `/`.

    >>> NameLabel(r"^(.+)_\d+\.jpg$")("images/great_pyrenees_12.jpg")
    'great_pyrenees'
    >>> NameLabel(r"/([^/]+)_\d+.jpg$")("images/great_pyrenees_12.jpg")
    'great_pyrenees'
    >>> NameLabel(r"(\d+)\.jpg$")("pug.jpg")
    ''
    """

    def __init__(self, pat: str | re.Pattern[str]) -> None:
        self.__name__ = "NameLabel"
        expect(pat, (str, re.Pattern), "pat")
        try:
            self.regex = re.compile(pat)
        except re.error as error:
            raise ValueError(
                f"expected a regular expression, got {raw(str(pat))}: {error}"
            ) from error
        if self.regex.groups != 1:
            raise ValueError(
                f"expected a pattern with one group, the label, got {self.regex.groups} groups in"
                f" {raw(self.pat)}; put the part that is the label, and only that, in (...)"
            )

    @property
    def pat(self) -> str:
        """The pattern as text."""
        return self.regex.pattern

    def __call__(self, path: str | Path) -> str:
        """Return the label, or an empty string where the pattern finds none."""
        path = Path(path)
        return self.each([path.name], path.parent)[0]

    def each(self, names: Sequence[str], root: Path) -> list[str]:
        """Return the labels of many names below a root."""
        if "/" in self.pat:
            top = root.absolute().as_posix().rstrip("/")
            return [self._label(f"{top}/{name}") for name in names]
        return [self._label(name.rpartition("/")[2]) for name in names]

    def _label(self, text: str) -> str:
        match = self.regex.search(text)
        return (match[1] or "").strip() if match else ""


class TableLabel:
    """Label a picture by its row in a table, where it goes by its name below a root."""

    def __init__(self, root: Path, labels: Mapping[str, str]) -> None:
        self.root, self.labels = root, labels
        self.__name__ = "TableLabel"

    def __call__(self, path: str | Path) -> str:
        """Return the label.

        Raises:
            DataError: The picture is not in the table.
        """
        whole, root = os.path.abspath(path), self.root.absolute()
        for name in (relative(path, self.root), relative(whole, root), Path(whole).as_posix()):
            if name in self.labels:
                return self.labels[name]
        raise DataError(f"expected a picture of the table, got {path}")


class NamedLabel:
    """Give the labels of another labeller their names: `Audi TT 2011` for `17`."""

    def __init__(self, label: Callable[[Path], str], names: Mapping[str, str]) -> None:
        self.label, self.names = label, names
        self.__name__ = "NamedLabel"

    def __call__(self, path: str | Path) -> str:
        """Return the name."""
        label = self.label(Path(path))
        return self.names.get(label, label)


HEADERS = frozenset({"name", "names", "class", "classes", "class_name", "class_names", "label"})


def read_class_names(
    source: str | Path | Sequence[str] | Mapping[object, str], labels: Collection[str]
) -> dict[str, str]:
    """Give each label its name.

    A file (or a list) with one name a row counts the classes from 0 or from 1, with or without a
    header: whichever makes the rows and the labels fit exactly; where some classes have no
    pictures, a first row such as `name` is a header, and counting starts at 1 unless there is a 0.
    A file with more columns, lines such as `n01440764 tench, Tinca tinca`, a dict, or a JSON file
    that holds one (either way round) say which name belongs to which number or code.

    Args:
        source: A CSV or JSON file, a list or a dict.
        labels: The labels in use, such as `17` or `n01440764`.

    Returns:
        Label to name, for each of `labels`.

    Raises:
        DataError: A label has no name, labels are no numbers, or two classes have one name.
    """
    labels = sorted(set(labels))
    used = {_plain(label) for label in labels}
    shown = f" in {source}" if isinstance(source, str | Path) else ""
    rows: list[list[str]] = []
    if isinstance(source, str | Path):
        path = as_path(source, "class_names")
        if path.suffix.lower() == ".json":
            source = _from_json(path)
        else:
            rows = read_rows(path)
    if isinstance(source, pd.Series):
        source = source.to_dict()
    if isinstance(source, Mapping):
        names = _turned({_plain(str(key)): name for key, name in source.items()}, used)
    else:
        if not isinstance(source, Path):
            rows = rows or [[str(name)] for name in source]
        names = _keyed(rows, used) or _worded(rows, used)
        names = names or _counted([", ".join(row) for row in rows], labels, shown)
    names = {_plain(key): str(name).strip() for key, name in names.items()}
    if absent := [label for label in labels if not names.get(_plain(label))]:
        known = f" names for {some(list(names))}, and" if names else ""
        raise DataError(
            f"expected a name for each class{shown}, got{known} none for {some(absent)}; add"
            f" {'them' if len(absent) > 1 else 'it'}, as class_names={{{absent[0]!r}: 'its name',"
            " ...}"
        )
    found = {label: names[_plain(label)] for label in labels}
    if len(set(found.values())) < len(found):
        twice = Counter(found.values()).most_common(1)[0][0]
        codes = [label for label, name in found.items() if name == twice]
        whole = {k: f"{name} ({k})" if name == twice else name for k, name in found.items()}
        way = f", as class_names={whole}" if len(whole) <= 4 else ""
        raise DataError(
            f"expected a name of its own for each class{shown}, got {twice!r} twice, for"
            f" {' and '.join(codes)}; call one of them another name{way}, or put their pictures"
            " together first where they are one class"
        )
    return found


def _from_json(path: Path) -> Sequence[str] | Mapping[object, str]:
    """Read a list of names, or a dict of codes and names.

    Raises:
        DataError: It is not there, is no JSON, or holds something else.
    """
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        raise DataError(f"expected names of classes in JSON in {path}, got: {error}") from error
    if isinstance(content, Mapping):
        # ImageNet's class index, {"0": ["n01440764", "tench"]}, comes as it is written
        pairs = {k: v[-1] if isinstance(v, list) and v else v for k, v in content.items()}
        if all(isinstance(name, str | int) for name in pairs.values()):
            codes = {v[0]: v[-1] for v in content.values() if isinstance(v, list) and len(v) == 2}
            return {**pairs, **codes}
    elif isinstance(content, list) and all(isinstance(name, str) for name in content):
        return content
    raise DataError(
        f"expected a list of names, or a dict of codes and names, in {path}, got"
        f" {type(content).__name__} of other things; read it with json and give"
        " class_names={'code': 'name', ...}"
    )


def _turned(names: Mapping[str, object], used: set[str]) -> dict[str, Any]:
    """Turn a dict from name to number round where its values are the labels, and its keys not."""
    values = {_plain(str(name)) for name in names.values()}
    if used & set(names) or not used <= values:
        return dict(names)
    return {_plain(str(name)): key for key, name in names.items()}


def _worded(rows: Sequence[Sequence[str]], used: set[str]) -> dict[str, str]:
    """Return the names of lines such as `n01440764 tench, Tinca tinca`, or `0: cat`."""
    found = {}
    for row in rows:
        code, _, name = re.sub(r"^([^\s:=]+)\s*[:=]\s*", r"\1 ", ", ".join(row)).partition(" ")
        found[_plain(code)] = name.strip()
    return found if used <= {code for code, name in found.items() if name} else {}


def _keyed(rows: Sequence[Sequence[str]], labels: set[str]) -> dict[str, str]:
    """Return the names where one column holds the labels; empty where none does.

    The labels' column is the first that has them all, or, where it is the first column, some of
    them; the names' is the first other one.
    """
    width = min(map(len, rows))
    for column in range(width if width > 1 else 0):
        keys = [_plain(row[column]) for row in rows]
        if labels <= set(keys) or (column == 0 and labels & set(keys)):
            other = 1 if column == 0 else 0
            return {key: row[other] for key, row in zip(keys, rows, strict=True)}
    return {}


def _plain(label: str) -> str:
    """Return `7` for `007` and `7.0`: numbers are compared as numbers."""
    whole = re.sub(r"^(\d+)\.0+$", r"\1", label.strip())
    return str(int(whole)) if whole.isdecimal() else whole


def _counted(rows: list[str], labels: Sequence[str], shown: str) -> dict[str, str]:
    """Number the rows as the labels are numbered."""
    if strange := [label for label in labels if not label.isdecimal()]:
        raise DataError(
            f"expected labels that are numbers for {len(rows)} names without numbers{shown}, got"
            f" {some(strange)}; give a file with two columns, label and name, or"
            f" class_names={{{strange[0]!r}: {rows[0]!r}, ...}}"
        )
    numbers = {int(label) for label in labels}
    for names in (rows, rows[1:]):  # without a header, and with one
        for start in (0, 1):
            if numbers == set(range(start, start + len(names))):
                return {str(i): name for i, name in enumerate(names, start)}
    names = rows[1:] if rows[0].casefold() in HEADERS else rows
    start = 0 if 0 in numbers else 1
    if max(numbers) >= start + len(names):
        raise DataError(
            f"expected names for the classes {min(numbers)} to {max(numbers)}, got {len(names)}"
            f"{shown}; add the others, or give class_names={{{labels[0]!r}: {names[0]!r}, ...}}"
        )
    text = f"{len(numbers)} of {len(names)} named classes have pictures; counted from {start}:"
    text += f" {min(numbers)} is {names[min(numbers) - start]!r}"
    warn(text)
    return {str(i): name for i, name in enumerate(names, start)}
