"""Tables that people read: whole at the terminal's width, rounded, long texts cut in the middle.

It loads pandas: what the command line reads at its start does not ask for it.
"""

from __future__ import annotations

import math
import shutil
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

DOTS = "..."
GAP = 2  # columns of the terminal between two of the table's
LEAST = 12  # that a text keeps, however narrow the terminal
SENTENCE = 40  # columns, above which words are no name
IN_A_PAGE = 60  # that a text has in a notebook
MOST_COLUMNS = 20  # of a table, above which the last ones are not shown
JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # belong to words of several scripts


class Table(pd.DataFrame):
    """A `DataFrame` that is readable where it is printed, with all its values as they are.

    Printed, and in notebooks, texts are cut in their middle where they do not fit, figures are
    rounded to what is read, and no column is left out but of more than twenty. All else is pandas:
    `to_string()` shows full values, selecting and sorting give a `Table` again, and a pickled one
    comes back as a plain `DataFrame`, for which quickvision need not be there.
    """

    @property
    def _constructor(self) -> Any:
        return Table

    def __repr__(self) -> str:
        if _is_pandas_own(self):
            return repr(pd.DataFrame(self))
        shown = _shown(self, MOST_COLUMNS)
        return "\n".join([*_lines(shown, _terminal()), *_foot(self, shown)])

    def _repr_html_(self) -> str | None:
        if not pd.get_option("display.notebook_repr_html"):
            return None
        if _is_pandas_own(self):
            return str(pd.DataFrame(self)._repr_html_())
        shown = _shown(self, MOST_COLUMNS)
        index, *rest = ([_fitted(one, cell, IN_A_PAGE) for cell in one.cells] for one in shown)
        frame = pd.DataFrame(dict(enumerate(rest)), index=index).rename_axis(shown[0].name or None)
        frame.columns = [one.name for one in shown[1:]]
        with pd.option_context("display.html.use_mathjax", False, "display.max_colwidth", None):
            page = str(frame.to_html(notebook=True, max_rows=None, max_cols=None))
        return page + "".join(f"\n<p>{line}</p>" for line in _foot(self, shown) if line)

    def __reduce__(self) -> Any:
        plain = pd.DataFrame(self)
        plain.attrs = dict(self.attrs)
        return pd.DataFrame, (), plain.__getstate__()


def width_of(text: str) -> int:
    """Count the columns of a terminal that a text takes: Chinese letters take two each.

    >>> width_of("cat"), width_of("止血钳")
    (3, 6)
    """
    return len(text) if text.isascii() else sum(map(_wide, text))


def shorten(text: str, width: int, *, tail: int | None = None) -> str:
    """Cut a text in its middle, so that both ends are kept: what tells names apart is at either.

    Args:
        text: Any text.
        width: Columns of a terminal that it may take, at least 5.
        tail: Columns of its end that are kept; by default half of what there is.

    >>> shorten("Ram C/V Cargo Van Minivan 2012", 18)
    'Ram C/V...an 2012'
    """
    if width_of(text) <= width:
        return text
    room = max(width - len(DOTS), 2)
    last = room // 2 if tail is None else min(tail, room - 1)
    end = _taken(text[::-1], last)[::-1]
    while end and unicodedata.category(end[0]).startswith("M"):  # a mark of the letter cut off
        end = end[1:]
    return f"{_taken(text, room - last).rstrip()}{DOTS}{end.lstrip()}"


def shorten_all(texts: Sequence[str], width: int) -> list[str]:
    """Cut texts in their middles, none so short that two which differ look alike.

    Args:
        texts: The names of classes, for example.
        width: As in `shorten`; it grows where that is needed to tell them apart.
    """
    longest, apart = max(map(width_of, texts), default=0), len(set(texts))
    while width < longest:
        short = [shorten(text, width) for text in texts]
        if len(set(short)) == apart:
            return short
        width += 4
    return list(texts)


@dataclass(frozen=True)
class _Column:
    """A column as it is printed: its name, a text for each row, and what kind they are."""

    name: str
    cells: list[str]
    is_text: bool

    @property
    def width(self) -> int:
        return max(map(width_of, [self.name, *self.cells]))

    @property
    def is_sentence(self) -> bool:
        """Whether it is longer than names are."""
        return self.width > SENTENCE and any(" " in cell for cell in self.cells)

    @property
    def least(self) -> int:
        """Columns of the terminal that it needs at least."""
        least = max(LEAST, width_of(self.name))
        return min(self.width, least) if self.is_text else self.width


def _is_pandas_own(table: pd.DataFrame) -> bool:
    """Whether it is of a shape that pandas shows better: nothing, or names in several levels."""
    several = table.index.nlevels > 1 or table.columns.nlevels > 1
    return bool(several or not len(table) or not len(table.columns))


def _shown(table: pd.DataFrame, most: int) -> list[_Column]:
    """Make the texts of the rows and columns that are shown; the index comes first."""
    most_rows, least_rows = (pd.get_option(f"display.{end}_rows") for end in ("max", "min"))
    n, middle = len(table), None
    if most_rows is not None and n > (most_rows or 60):
        middle = min(least_rows or 10, most_rows or 60) // 2 or 1
        table = table.iloc[[*range(middle), *range(n - middle, n)]]
    parts = [(table.index.name, table.index)]
    parts += [(table.columns[i], table.iloc[:, i]) for i in range(min(len(table.columns), most))]
    columns = [_column("" if name is None else name, values) for name, values in parts]
    if len(table.columns) > most:
        columns.append(_Column(DOTS, [DOTS] * len(table), False))
    if middle is not None:
        for column in columns:
            column.cells.insert(middle, DOTS)
    return columns


def _column(name: object, values: Any) -> _Column:
    kind, listed = values.dtype.kind, values.tolist()
    cells = _figures(listed) if kind == "f" else [_plain(one) for one in listed]
    return _Column(_plain(name), cells, kind not in "iufb")


def _figures(values: Iterable[float]) -> list[str]:
    """Round the figures of a column alike: to three places, fewer where they are large."""
    values = list(values)
    largest = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    if 0 < largest < 0.01 or largest >= 1e7:
        return [f"{v:.1e}" if v else "0" for v in values]
    places = 3 if largest < 100 else 1 if largest < 10_000 else 0
    return [_rounded(v, places) for v in values]


def _rounded(value: float, places: int) -> str:
    text = f"{value:.{places}f}"
    if value and math.isfinite(value) and not text.strip("-0."):  # it would look like nothing
        return f"{value:.0e}"
    return text.removeprefix("-") if value == 0 else text


def _plain(value: object) -> str:
    """Turn a value into a text of one line, with nothing that a terminal would obey."""
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in JOINERS else c.encode("unicode_escape").decode() for c in text
    )


def _fitted(column: _Column, cell: str, width: int) -> str:
    """Cut a cell; of a path the file's name is kept, if it can be."""
    is_path = column.name == "path" and "/" in cell
    tail = min(width_of(cell[cell.rindex("/") :]), width - 8) if is_path else None
    return shorten(cell, width, tail=tail)


def _lines(columns: list[_Column], width: int) -> list[str]:
    """Lay columns out: side by side where they fit, else in blocks below each other."""
    widths = _widths(columns, width)
    lines: list[str] = []
    for block in _blocks(widths, width):
        if lines:
            lines.append("")
        cells = [_padded(columns[i], widths[i]) for i in (0, *block)]
        lines += [(" " * GAP).join(row).rstrip() for row in zip(*cells, strict=True)]
    return lines


def _widths(columns: list[_Column], width: int) -> list[int]:
    """Return the columns of the terminal that each gets: the widest texts give way first.

    A sentence that would be cut gets lines of its own, if it is whole there or nearly.
    """
    whole, least = [one.width for one in columns], [one.least for one in columns]
    apart, room = set[int](), width - whole[0] - GAP
    while True:
        widths = [0 if i in apart else wide for i, wide in enumerate(whole)]
        while sum(widths) + GAP * (len(widths) - 1 - len(apart)) > width:
            give = [i for i, wide in enumerate(widths) if wide > least[i]]
            if not give:
                break
            widths[max(give, key=lambda i: widths[i])] -= 1
        cut = {i for i, one in enumerate(columns) if one.is_sentence and widths[i] < whole[i]}
        cut = {i for i in cut - apart - {0} if room >= whole[i] * 9 / 10}
        if not cut:
            return [min(whole[i], room) if i in apart else wide for i, wide in enumerate(widths)]
        apart.add(max(cut, key=lambda i: whole[i]))


def _blocks(widths: list[int], width: int) -> list[list[int]]:
    """Divide columns into blocks that fit; each has the index beside it."""
    blocks: list[list[int]] = [[]]
    taken = widths[0]
    for i, wide in enumerate(widths[1:], start=1):
        if blocks[-1] and taken + GAP + wide > width:
            blocks.append([])
            taken = widths[0]
        blocks[-1].append(i)
        taken += GAP + wide
    return blocks


def _padded(column: _Column, width: int) -> list[str]:
    """Bring the name and the cells to one width: texts to the left, figures to the right."""
    texts = [_fitted(column, text, width) for text in (column.name, *column.cells)]
    spaces = [" " * (width - width_of(text)) for text in texts]
    pairs = zip(texts, spaces, strict=True)
    return [text + room if column.is_text else room + text for text, room in pairs]


def _foot(table: pd.DataFrame, shown: list[_Column]) -> list[str]:
    """Say the table's size where not all of it is shown."""
    rows, columns = table.shape
    if len(shown[0].cells) == rows and columns <= MOST_COLUMNS:
        return []
    return ["", f"[{rows:,} rows x {columns:,} columns]"]


def _terminal() -> int:
    """Return the columns of the terminal; what was set with pandas' `display.width` comes first."""
    wanted = pd.get_option("display.width")
    return wanted if wanted and wanted != 80 else shutil.get_terminal_size().columns


def _wide(letter: str) -> int:
    if unicodedata.combining(letter) or letter in JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _taken(text: str, width: int) -> str:
    """Take letters from the beginning of a text, as many as fit."""
    taken = 0
    for place, letter in enumerate(text):
        taken += _wide(letter)
        if taken > width:
            return text[:place]
    return text
