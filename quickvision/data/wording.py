"""A table in messages: its columns and rows by name, and calls that can be pasted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from quickvision.base.errors import some

Column = str | int


@dataclass(frozen=True)
class Call:
    """A door with what it was given, to be written into messages as a call that can be pasted."""

    door: str
    options: Mapping[str, object] = field(default_factory=dict)

    def __call__(self, **more: object) -> str:
        """Return the call, with these options too.

        >>> Call("qv.from_csv('t.csv'", {"suffix": None})(label_col="dx")
        "qv.from_csv('t.csv', label_col='dx')"
        """
        asked = {**self.options, **more}
        said = "".join(f", {name}={value!r}" for name, value in asked.items() if value is not None)
        return f"{self.door}{said})"


@dataclass(frozen=True)
class Table:
    """A table of text, and how to speak of it.

    Attributes:
        frame: The cells, as text.
        numbers: The number of each row as people see it: its line in the file, or its index.
        name: What it is called in messages: its path, or "the table".
        call: The door that it came through.
        folder: Where its pictures are, for calls of `from_df`.
        separator: What is between its cells, for pandas.
    """

    frame: pd.DataFrame
    numbers: Sequence[object]
    name: str
    call: Call
    folder: str = "."
    separator: str = ","

    def column(self, column: object) -> str:
        """Name a column in words."""
        text = repr(column) if isinstance(column, str) else f"number {column}"
        return f"column {text} of {self.name}"

    def rows(self, marked: Sequence[bool]) -> str:
        """Name rows: `rows 3, 7, 9 and 4 more`."""
        numbers = [number for number, is_one in zip(self.numbers, marked, strict=True) if is_one]
        return f"row{'s' if len(numbers) > 1 else ''} {some(numbers, limit=5)}"

    def as_frame(self) -> str:
        """Return the line that reads it with pandas, as text, as it is here."""
        if not self.call.door.startswith("qv.from_csv("):
            return "df = df.copy()"
        named = isinstance(self.frame.columns[0], str)
        skip = int(str(self.numbers[0])) - 1 - named if len(self.numbers) else 0
        more = "" if named else ", header=None"
        more += f", skiprows={skip}" if skip > 0 else ""
        more += "" if self.separator == "," else f", sep={self.separator!r}"
        return (
            f"import pandas as pd; df = pd.read_csv({self.name!r}, dtype=str,"
            f" keep_default_na=False, skipinitialspace=True, on_bad_lines='skip'{more})"
        )
