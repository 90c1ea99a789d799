from __future__ import annotations

from quickvision.paths import Paths, find_files


def test_hidden_files_and_odd_names(tmp_path, picture):
    shown = [picture(tmp_path / name) for name in ("a b.png", "ü%#.JPG", "line\nbreak.png")]
    for hidden in (".hidden.png", "._x.png", ".ipynb_checkpoints/y.png", "__MACOSX/z.png"):
        picture(tmp_path / hidden)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert sorted(Paths(tmp_path, find_files(tmp_path)[0])) == sorted(shown)
