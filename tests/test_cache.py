from __future__ import annotations

from pathlib import Path

from quickvision.base.files import cache_folder


def test_the_folder_can_be_named(monkeypatch):
    monkeypatch.setenv("QUICKVISION_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"
    monkeypatch.delenv("QUICKVISION_CACHE")
    assert cache_folder().name == "quickvision"
    assert cache_folder().is_absolute()
