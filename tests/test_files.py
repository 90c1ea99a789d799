from __future__ import annotations

import os
import stat

import pytest

from quickvision.base.errors import RunError
from quickvision.base.files import write_whole


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
