from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from quickvision.data import scan as room
from quickvision.data.scan import Facts, probe, scan, unfit


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QUICKVISION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_probe_gives_reasons_and_raises_nothing(tmp_path, picture):
    good = picture(tmp_path / "good.jpg")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:-300])
    (tmp_path / "phone.heic").write_bytes(b"x")
    (tmp_path / "folder.jpg").mkdir()
    assert probe(good).error == ""
    assert "0 bytes" in probe(tmp_path / "empty.jpg").error
    assert probe(tmp_path / "text.jpg").error.startswith("not a picture: no format")
    assert probe(tmp_path / "cut.jpg").error.startswith("truncated: ")
    assert "save it as JPEG or PNG" in probe(tmp_path / "phone.heic").error
    assert probe(tmp_path / "gone.jpg").error.startswith("damaged: ")
    assert probe(tmp_path / "folder.jpg").error.startswith("damaged: ")


def test_a_garbled_file_is_damaged(tmp_path, picture):
    good = picture(tmp_path / "x.png", side=200)
    data = bytearray(good.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = os.urandom(400)
    good.write_bytes(bytes(data))
    assert probe(good).error.startswith("damaged: ")


def test_a_decompression_bomb_is_not_opened(tmp_path, picture, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    assert probe(picture(tmp_path / "x.png")).error.startswith("too large: ")


def test_probe_says_what_a_file_is(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("CMYK", (90, 60)).save(tmp_path / "a.jpg", exif=exif)
    Image.new("RGBA", (9, 6), (0, 0, 0, 0)).save(tmp_path / "b.png")
    frames = [Image.new("RGB", (9, 6), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "c.gif", save_all=True, append_images=frames[1:])
    turned, clear, moving = (probe(tmp_path / name) for name in ("a.jpg", "b.png", "c.gif"))
    assert (turned.mode, turned.width, turned.height, turned.turn) == ("CMYK", 90, 60, 6)
    assert (clear.alpha, clear.format) == (True, "PNG")
    assert np.frombuffer(clear.thumb, np.uint8).min() == 255
    assert (moving.frames, moving.colours) == (3, 1)


def test_a_reduced_jpeg_is_reported_at_its_full_size(tmp_path):
    Image.new("RGB", (1600, 1200)).save(tmp_path / "x.jpg")
    assert probe(tmp_path / "x.jpg")[3:5] == (1600, 1200)


class TestKnown:
    def test_what_is_known_is_not_read_again(self, tmp_path, picture, own_cache, monkeypatch):
        files = [picture(tmp_path / f"{i}.png", seed=i) for i in range(5)]
        first = scan(files)
        monkeypatch.setattr(room, "probe", lambda path: pytest.fail(f"{path} was read again"))
        assert scan(files) == first
        assert scan(files[::-1]) == first[::-1]

    def test_a_changed_file_is_read_again(self, tmp_path, picture, own_cache):
        file = picture(tmp_path / "x.png", side=40)
        before = scan([file])[0]
        picture(file, side=50)
        assert (before.height, scan([file])[0].height) == (40, 50)

    def test_a_bad_file_is_read_again(self, tmp_path, own_cache, monkeypatch):
        (tmp_path / "x.jpg").write_text("x")
        assert scan([tmp_path / "x.jpg"])[0].error
        monkeypatch.setattr(room, "probe", lambda path: Facts(format="NEW"))
        assert scan([tmp_path / "x.jpg"])[0].format == "NEW"

    def test_a_damaged_or_forbidden_cache_stops_nothing(self, tmp_path, picture, monkeypatch):
        file = picture(tmp_path / "x.png")
        cache = tmp_path / "broken"
        cache.mkdir()
        (cache / "scan.sqlite").write_text("no database, but long enough to be looked at" * 9)
        monkeypatch.setenv("QUICKVISION_CACHE", str(cache))
        assert scan([file])[0].format == "PNG"
        monkeypatch.setenv("QUICKVISION_CACHE", str(file / "below-a-file"))
        assert scan([file])[0].format == "PNG"

    def test_ctrl_c_keeps_what_was_seen(self, tmp_path, picture, own_cache, monkeypatch):
        files = [picture(tmp_path / f"{i}.png", seed=i) for i in range(5)]

        def cut(path):
            if path == files[3]:
                raise KeyboardInterrupt
            return probe(path)

        monkeypatch.setattr(room, "probe", cut)
        with pytest.raises(KeyboardInterrupt):
            scan(files)
        read = []
        monkeypatch.setattr(room, "probe", lambda path: (read.append(path), probe(path))[1])
        assert [facts.format for facts in scan(files)] == ["PNG"] * 5
        assert sorted(read) == files[3:]

    def test_a_name_that_is_no_text_is_kept(self, tmp_path, picture, own_cache):
        odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
        shutil.copy(picture(tmp_path / "x.png"), odd)
        assert scan([odd, odd])[1].format == "PNG"


def test_nothing_to_scan():
    assert scan([]) == []


def test_a_lone_drawing_among_photos_is_unfit():
    facts = {f"{i}.jpg": Facts(format="JPEG", mode="RGB") for i in range(30)}
    drawing = {"x.gif": Facts(format="GIF", mode="P", colours=33)}
    assert list(unfit(facts | drawing)) == ["x.gif"]
    assert not unfit(facts | {"x.gif": Facts(format="GIF", mode="P", colours=250)})
    assert not unfit(drawing)
