"""Read a CSV file as people have it: any usual separator, with or without a byte-order mark."""

from __future__ import annotations

import csv
from pathlib import Path

from quickvision.base.errors import DataError, did_you_mean


def read_rows(path: Path, *, errors: str = "strict") -> list[list[str]]:
    """Read a CSV file as rows of stripped text, empty rows left out.

    The separator is the one of `, ; tab |` that is most frequent in the first line; a line such as
    `sep=;`, which Excel understands, is none of the data.

    Raises:
        DataError: It does not exist, is empty or is no text in UTF-8.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig", errors=errors) as file:
            first = file.readline()
            file.seek(0)
            rows = list(csv.reader(file, delimiter=max(",;\t|", key=first.count)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = "; Excel saves it as 'CSV UTF-8'"
        hint = hint if path.exists() else did_you_mean(path.name, beside)
        raise DataError(f"expected a CSV file in UTF-8, got {path}: {error}{hint}") from error
    rows = [row for row in ([cell.strip() for cell in row] for row in rows) if any(row)]
    if rows and rows[0][0].casefold() == "sep=":
        del rows[0]
    if not rows:
        raise DataError(f"expected rows in {path}, got an empty file")
    return rows
