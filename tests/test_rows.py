from __future__ import annotations

import pytest

from quickvision.base.errors import DataError
from quickvision.base.files import read_rows


@pytest.mark.parametrize("sep", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_rows_are_stripped_text(tmp_path, sep, encoding):
    text = f'name{sep}"a {sep} b" \r\n\r\n ü {sep}"two\nlines"\r\n'
    (tmp_path / "x.csv").write_bytes(text.encode(encoding))
    rows = read_rows(tmp_path / "x.csv")
    assert rows == [["name", f"a {sep} b"], ["ü", "two\nlines"]]


def test_one_column(tmp_path):
    (tmp_path / "x.csv").write_text("Audi TT\nBMW X5\n")
    assert read_rows(tmp_path / "x.csv") == [["Audi TT"], ["BMW X5"]]


@pytest.mark.parametrize("content", [b"", b"\n\n,,\n"])
def test_nothing_in_it(tmp_path, content):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(DataError, match="got an empty file"):
        read_rows(tmp_path / "x.csv")


def test_what_is_no_text(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(DataError, match="expected a CSV file in UTF-8"):
        read_rows(tmp_path / "x.csv")
