from __future__ import annotations

from quickvision.data.labels import NameLabel


def test_optional_group_that_matches_nothing_is_no_label():
    assert NameLabel(r"^(cat)?\d+\.jpg$")("12.jpg") == ""
