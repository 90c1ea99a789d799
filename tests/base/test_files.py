from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from quickvision.base.errors import DataError, RunError
from quickvision.base.files import cache_folder, csv_rows, read_rows, whole_folder, write_whole


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("old")

    def half(part):
        part.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match=r"expected to write .*log\.csv, got: .*No space left"):
        write_whole(path, half)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["log.csv"]


def test_torchs_way_of_saying_disk_full_is_a_run_error_too(tmp_path):
    def broken(part):
        part.write_text("ne")
        raise RuntimeError("unexpected pos")

    with pytest.raises(RunError, match="unexpected pos"):
        write_whole(tmp_path / "x.pth", broken)
    assert os.listdir(tmp_path) == []


def test_a_write_replaces_the_old_file(tmp_path):
    path = tmp_path / "deep" / "log.csv"
    assert write_whole(path, lambda part: part.write_text("new")) == path
    assert path.read_text() == "new"
    assert stat.S_ISREG(path.stat().st_mode)


@pytest.mark.parametrize("sep", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_rows_are_stripped_text(tmp_path, sep, encoding):
    text = f'name{sep}"a {sep} b" \r\n\r\n ü {sep}"two\nlines"\r\n'
    (tmp_path / "x.csv").write_bytes(text.encode(encoding))
    rows = read_rows(tmp_path / "x.csv")
    assert rows == [["name", f"a {sep} b"], ["ü", "two\nlines"]]


def test_lines_are_counted_from_one(tmp_path):
    rows, lines = csv_rows('a,b\n\n1,"x\ny"\n2,z\n', tmp_path)
    assert (rows[1], lines) == (["1", "x\ny"], [1, 3, 5])


def test_text_in_utf_16(tmp_path):
    (tmp_path / "x.csv").write_bytes("a;ü\n".encode("utf-16"))
    assert read_rows(tmp_path / "x.csv") == [["a", "ü"]]


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


def test_the_folder_can_be_named(monkeypatch):
    monkeypatch.setenv("QUICKVISION_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"
    monkeypatch.delenv("QUICKVISION_CACHE")
    assert cache_folder().name == "quickvision"
    assert cache_folder().is_absolute()


@pytest.mark.parametrize("error", [ValueError("no picture"), KeyboardInterrupt()])
def test_a_folder_is_there_whole_or_not_at_all(tmp_path, error):
    target = tmp_path / "deep" / "birds"

    def half():
        with whole_folder(target) as part:
            (part / "wren.txt").write_text("half")
            raise error

    with pytest.raises(type(error)):
        half()
    assert list(target.parent.iterdir()) == []
    with whole_folder(target) as part:
        (part / "wren.txt").write_text("whole")
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["birds"]
    assert (target / "wren.txt").read_text() == "whole"


def test_the_process_that_was_first_with_a_folder_wins(tmp_path):
    target = tmp_path / "birds"
    with whole_folder(target) as part:
        (part / "wren.txt").write_text("mine")
        target.mkdir()
        (target / "wren.txt").write_text("theirs")
    assert (target / "wren.txt").read_text() == "theirs"
    assert os.listdir(tmp_path) == ["birds"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    for target in (tmp_path / "file", tmp_path / "file" / "birds"):
        text = "expected to write pictures to .*, got: "
        with pytest.raises(RunError, match=text), whole_folder(target):
            pass
    assert os.listdir(tmp_path) == ["file"]
