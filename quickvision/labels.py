"""What paths say of the labels: folders, patterns, tables, names for numbers.

Classes, and not closures, because loader processes pickle them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from quickvision.errors import DataError
from quickvision.paths import relative


class FolderLabel:
    """Label a picture by the first folder below one of the roots: `train/ants/x/1.jpg` is `ants`.

    A path outside the roots (a new picture to predict) is labelled by the folder it is in, as
    fastai's `parent_label` does.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = roots

    def __call__(self, path: str | Path) -> str:
        """Return the label."""
        for root in self.roots:
            if below := relative(path, root):
                return below.partition("/")[0]
        return Path(path).parent.name


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
        try:
            self.regex = re.compile(pat)
        except re.error as error:
            raise ValueError(f"expected a regular expression, got {pat!r}: {error}") from error
        if self.regex.groups != 1:
            raise ValueError(
                f"expected a pattern with one group, the label, got {self.regex.groups} groups in"
                f" {self.pat!r}; put the part that is the label, and only that, in (...)"
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
    """Label a picture by its row in a table."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = labels

    def __call__(self, path: str | Path) -> str:
        """Return the label.

        Raises:
            DataError: The picture is not in the table.
        """
        try:
            return self.labels[os.fspath(path)]
        except KeyError:
            raise DataError(f"expected a picture of the table, got {path}") from None


class NamedLabel:
    """Give the labels of another labeller their names: `Audi TT 2011` for `17`."""

    def __init__(self, label: Callable[[Path], str], names: Mapping[str, str]) -> None:
        self.label, self.names = label, names

    def __call__(self, path: str | Path) -> str:
        """Return the name."""
        label = self.label(Path(path))
        return self.names.get(label, label)
