"""A table as people keep it: its text, its rows and their numbers, and files that are no text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from quickvision.base.errors import DataError, some, warn
from quickvision.base.files import csv_rows, read_text
from quickvision.data.options import too_many
from quickvision.data.paths import SUFFIXES
from quickvision.data.wording import Call

# What reads other kinds of tables; each line can be pasted.
READERS = {
    **dict.fromkeys(
        (".xlsx", ".xls", ".xlsm", ".ods"), "pd.read_excel({}, dtype=str, keep_default_na=False)"
    ),
    ".json": "pd.read_json({}, dtype=False)",
    ".jsonl": "pd.read_json({}, lines=True, dtype=False)",
    ".parquet": "pd.read_parquet({})",
    ".feather": "pd.read_feather({})",
    **dict.fromkeys((".pkl", ".pickle"), "pd.read_pickle({})"),
    ".xml": "pd.read_xml({}, dtype=str)",
}
ENDS = "|".join(sorted(suffix[1:] for suffix in SUFFIXES))
# A picture's name, which may hold blanks, and what comes after it.
NAME = re.compile(rf"(.*?\.(?:{ENDS})[\"']?)(?:\s+(.*))?$", re.IGNORECASE)
SEPARATORS = ",;\t|"


@dataclass(frozen=True)
class Rows:
    """The rows of a file, and the line that each starts in, from 1."""

    cells: list[list[str]]
    numbers: list[int]
    separator: str = ","

    def without(self, bad: Sequence[int]) -> Rows:
        """Return the others."""
        gone = set(bad)
        keep = [i for i in range(len(self.cells)) if i not in gone]
        return Rows([self.cells[i] for i in keep], [self.numbers[i] for i in keep], self.separator)


def read_table(path: Path) -> Rows:
    """Read a table: separated by `, ; tab |`, or a list separated by blanks.

    Lines that start with `#` before the rows are comments, but for one that names the columns.

    Raises:
        DataError: It is not there, is no text, or is empty.
    """
    _refuse(path)
    try:
        text = read_text(path)
    except DataError as error:
        if path.is_file():
            between = _separator(path.read_bytes().decode("cp1252", "replace").splitlines())
            sep = "" if between == "," else f" sep={between!r},"
            reader = f"pd.read_csv({str(path)!r},{sep} encoding='cp1252', dtype=str,"
            reader += " keep_default_na=False)"
            raise DataError(
                f"{error}, or read it as Windows writes: import pandas as pd; qv.from_df({reader},"
                f" images={str(path.parent)!r})"
            ) from error
        raise
    head = _comments(text)
    lines = text.splitlines()
    title = lines[head - 1].lstrip("# \t") if head and head <= len(lines) else ""
    body = "\n".join(lines[head:]) if head else text
    first = next((line for line in lines[head:] if line.strip()), "")
    if "sep=" not in first.casefold() and not any(map(first.count, SEPARATORS)):
        blank = re.search(r"\S\s+\S", first)
        rows = _blanks(lines[head:]) if blank else Rows(*csv_rows(body, path))
    else:
        separator = _separator(lines[head : head + 50])
        rows = Rows(*csv_rows(body, path, separator=separator), separator)
    if body.count('"') % 2 and rows.cells and any("\n" in cell for cell in rows.cells[-1]):
        raise DataError(
            f"expected each quote in {path} to be closed, got one that is not, in row"
            f" {rows.numbers[-1] + head}, which takes in all after it; close it, or take it out"
        )
    if head:
        rows = _titled(rows, title, head)
    if not rows.cells:
        raise DataError(f"expected rows in {path}, got an empty file")
    return _evened(rows)


def _refuse(path: Path) -> None:
    """Say how to read what is no CSV file."""
    shown = str(path)
    if path.is_dir():
        tables = sorted(p for p in path.iterdir() if p.suffix.lower() in (".csv", ".tsv", ".txt"))
        calls = [f"qv.from_csv({str(table)!r})" for table in tables] or [f"qv.load_data({shown!r})"]
        raise DataError(f"expected a CSV file, got the folder {path}; try {some(calls)}")
    kind = path.suffix.lower()
    if not path.exists() or (kind != ".mat" and kind not in READERS):
        return
    top = str(path.parent)
    if kind == ".mat":
        raise DataError(
            f"expected a CSV file, got {path}, which is MATLAB's; with Stanford Cars' names:"
            f" import pandas as pd, scipy.io; t = scipy.io.loadmat({shown!r}, squeeze_me=True)"
            "['annotations']; qv.from_df(pd.DataFrame({'file': t['fname'], 'label': t['class']}),"
            f" images={top!r})"
        )
    raise DataError(
        f"expected a CSV file, got {path}; save it as CSV, or: import pandas as pd;"
        f" qv.from_df({READERS[kind].format(repr(shown))}, images={top!r})"
    )


def _comments(text: str) -> int:
    """Count the lines before the rows that are comments, or empty."""
    head = 0
    for line in text.splitlines() if text.lstrip()[:1] == "#" else ():
        shown = line.strip()
        picture = any(Path(word).suffix.lower() in SUFFIXES for word in re.split(r"[,;\s|]", shown))
        if shown and (shown[0] != "#" or picture):
            break
        head += 1
    return head


def _titled(rows: Rows, title: str, head: int) -> Rows:
    """Count lines from the file's start; a last comment with as many words as columns is a header.

    Args:
        rows: What comes after the comments.
        title: The last comment.
        head: How many lines were comments.
    """
    numbers = [number + head for number in rows.numbers]
    words = [word.strip() for word in re.split(r"[,;\t|]", title) if word.strip()]
    words = words if len(words) > 1 else title.split()
    if rows.cells and len(words) == len(rows.cells[0]) > 1:
        return replace(rows, cells=[words, *rows.cells], numbers=[head, *numbers])
    return replace(rows, numbers=numbers)


def _separator(lines: Sequence[str]) -> str:
    """Return what is in the first line and cuts most lines into as many cells as it.

    Decimal commas, and text with commas in it, are more frequent than semicolons in some files.
    """
    full = [line for line in lines if line.strip()]
    if full and (sep := full[0].strip().casefold()).startswith("sep=") and len(sep) == 5:
        return sep[-1]
    bare = [re.sub(r'"[^"]*"', '""', line) for line in full]
    there = [sep for sep in SEPARATORS if sep in bare[0]]

    def fits(separator: str) -> tuple[float, int]:
        n = bare[0].count(separator)
        return sum(line.count(separator) == n for line in bare) / len(bare), n

    return max(there, key=fits, default=",")


def _blanks(lines: Sequence[str]) -> Rows:
    """Split a list such as `images/a 1.jpg 0`, whose names may hold blanks themselves."""
    numbers = [i for i, line in enumerate(lines, 1) if line.strip()]
    texts = [lines[i - 1].strip() for i in numbers]
    found = [NAME.match(text) for text in texts]
    body = found[1:] if len(found) > 1 and not found[0] else found
    if 2 * sum(map(bool, body)) < len(body):  # names without suffix
        widths = Counter(len(text.split()) for text in texts)
        width, n = widths.most_common(1)[0]
        even = 20 * n >= 19 * len(texts)
        cut = [text.split(None, 1) for text in texts]
        ids, said = {each[0] for each in cut}, {each[-1] for each in cut}
        if not even and len(ids) == len(cut) > 2 * len(said) and all(len(c) == 2 for c in cut):
            return Rows(cut, numbers, r"\s+")  # `0034309 Cessna 172`
        cells = [text.split() if even else text.rsplit(None, 1) for text in texts]
        return Rows(cells, numbers, r"\s+")
    names = [match[1] for match in body if match]
    rests = [(match[2] or "").split() for match in body if match]
    leads = [name.split(None, 1) for name in names]
    before = all(len(lead) == 2 and "/" not in lead[0] for lead in leads) and (
        not any(rests) or all(lead[0].isdecimal() for lead in leads)
    )
    widths = Counter(map(len, rests))
    width = widths.most_common(1)[0][0]
    columns = [{rest[k].casefold() for rest in rests if len(rest) == width} for k in range(width)]
    words = {"train", "valid", "val", "test"}
    parted = width > 1 and any(c <= words or all(x.isdecimal() for x in c) for c in columns)
    cells = []
    for text, match in zip(texts, found, strict=True):
        if not match:
            cells.append(text.split())
            continue
        rest = (match[2] or "").split() if parted else [match[2]] if match[2] else []
        lead = match[1].split(None, 1) if before else [match[1]]
        cells.append([cell.strip("\"'") for cell in (*lead, *rest)])
    return Rows(cells, numbers, r"\s+")


def _evened(rows: Rows) -> Rows:
    """Mend what is uneven by habit: separators at the end, several tabs, R's unnamed index."""
    widths = Counter(map(len, rows.cells))
    if len(widths) == 1:
        return rows
    most = widths.most_common(1)[0][0]
    full = [[cell for cell in row if cell] for row in rows.cells]
    if len(set(map(len, full))) == 1 and len(full[0]) > 1:
        return replace(rows, cells=full)
    cells = []
    for row in rows.cells:
        while len(row) > most and not row[-1]:
            row = row[:-1]
        cells.append(row)
    if len(cells) > 2 and len(cells[0]) == most - 1 and all(len(r) == most for r in cells[1:]):
        if any(row[-1] for row in cells[1:]):
            cells[0] = ["", *cells[0]]
        else:
            cells = [cells[0], *(row[:-1] for row in cells[1:])]
    return replace(rows, cells=cells)


def without_bad(rows: Rows, path: Path, call: Call, max_bad: float) -> Rows:
    """Leave out rows with too many or too few cells, and say which.

    Raises:
        DataError: They are more than `max_bad` allows.
    """
    widths = Counter(map(len, rows.cells))
    width = len(rows.cells[0])
    if len(widths) == 1:
        return rows
    most, n = widths.most_common(1)[0]
    if most != width and n > len(rows.cells) // 2:
        raise DataError(
            f"expected one number of columns in {path}, got {width} in row {rows.numbers[0]}, the"
            f" first, and {most} in most others; put text that holds a separator in quotes, or"
            " name all columns in the first row"
        )
    bad = [i for i, row in enumerate(rows.cells) if len(row) != width]
    where = f"row {some([rows.numbers[i] for i in bad], limit=10)}"
    data = len(rows.cells) - 1
    if too_many(len(bad), data, max_bad) or len(bad) >= data:
        enough = -(-len(bad) * 100 // max(data, 1)) / 100
        way = f", or go on without them: {call(max_bad=enough)}" if len(bad) < data else ""
        raise DataError(
            f"expected {width} columns in each row of {path}, as in the first, got another number"
            f" in {where}; put text that holds a separator in quotes{way}"
        )
    warn(
        f"{len(bad):,} of {data:,} rows of {path} have not {width} cells and are left out: {where}"
    )
    return rows.without(bad)


def named(rows: Rows, path: Path, *, header: bool) -> tuple[Rows, list[str | int]]:
    """Take the names of the columns off the rows.

    Raises:
        DataError: Two columns have one name, or there are no rows under the names.
    """
    if not header:
        return rows, list(range(len(rows.cells[0])))
    names: list[str | int] = list(rows.cells[0])
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(
            f"expected a name of its own for each column of {path}, got two {twice[0]}; rename one"
            f" in row {rows.numbers[0]}, or, where that row is no header, say header=False"
        )
    rest = replace(rows, cells=rows.cells[1:], numbers=rows.numbers[1:])
    if not rest.cells:
        raise DataError(
            f"expected rows under the header of {path}, got none; where its only row is a"
            " picture's, say header=False"
        )
    return rest, names
