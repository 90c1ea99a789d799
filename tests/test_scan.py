from __future__ import annotations

from quickvision.scan import probe


def test_probe_gives_reasons_and_raises_nothing(tmp_path, picture):
    good = picture(tmp_path / "good.jpg")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:-300])
    (tmp_path / "phone.heic").write_bytes(b"x")
    assert probe(good).error == ""
    assert probe(good).format == "JPEG"
    assert "0 bytes" in probe(tmp_path / "empty.jpg").error
    assert "not a picture: no format" in probe(tmp_path / "text.jpg").error
    assert "truncated: " in probe(tmp_path / "cut.jpg").error
    assert "save it as JPEG or PNG" in probe(tmp_path / "phone.heic").error
    assert "damaged: " in probe(tmp_path / "gone.jpg").error
