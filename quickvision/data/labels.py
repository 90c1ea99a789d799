"""What paths say of the labels: folders, patterns, tables, names for numbers.

Classes, and not closures, and with a `__name__`, without which fastai wraps them in a closure of
its own: loader processes pickle them. fastai reads their annotations, which it cannot do as text.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from quickvision.base.errors import DataError, expect
from quickvision.data.paths import relative


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
        self.__name__ = "NameLabel"
        expect(pat, (str, re.Pattern), "pat")
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
        for name in (relative(path, self.root), relative(whole, root), os.fspath(path)):
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
