from __future__ import annotations

from quickvision.labels import NameLabel, pictures


def test_optional_group_that_matches_nothing_is_no_label():
    assert NameLabel(r"^(cat)?\d+\.jpg$")("12.jpg") == ""


def test_hidden_files_and_odd_names(tmp_path, picture):
    shown = [picture(tmp_path / name) for name in ("a b.png", "ü%#.JPG", "line\nbreak.png")]
    for hidden in (".hidden.png", "._x.png", ".ipynb_checkpoints/y.png", "__MACOSX/z.png"):
        picture(tmp_path / hidden)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert sorted(pictures(tmp_path)) == sorted(shown)
