from __future__ import annotations

import io
import struct
import threading
import zlib
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from quickvision.data.view import View
from quickvision.ship.bundle import Bundle, Network
from quickvision.ship.engine import opened
from quickvision.web.limits import Limits, Refused
from quickvision.web.photo import open_photo, scans

BUNDLE = Bundle(
    vocab=("a", "b"),
    view=View((32, 32)),
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    network=Network("timm", "test_resnet"),
)
LIMITS = Limits()


def noise(mode="RGB", size=(640, 480)):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (size[1] // 16, size[0] // 16, 4), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size).convert(mode)


def saved(image, kind, **options):
    into = io.BytesIO()
    image.save(into, kind, **options)
    return into.getvalue()


def turned(image, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    return {"exif": exif}


def files():
    colour = noise()
    yield "jpeg", saved(colour, "JPEG")
    yield "progressive", saved(colour, "JPEG", progressive=True)
    yield "cmyk", saved(noise("CMYK"), "JPEG")
    yield "grey", saved(noise("L"), "JPEG")
    for turn in (3, 6, 8):
        yield f"jpeg turned {turn}", saved(colour, "JPEG", **turned(colour, turn))
        yield f"png turned {turn}", saved(colour, "PNG", **turned(colour, turn))
        yield f"webp turned {turn}", saved(colour, "WEBP", **turned(colour, turn))
        yield f"tiff turned {turn}", saved(colour, "TIFF", **turned(colour, turn))
    yield "png", saved(colour, "PNG")
    yield "transparent", saved(noise("RGBA"), "PNG")
    yield "one colour transparent", saved(colour, "PNG", transparency=colour.getpixel((3, 3)))
    yield "palette", saved(colour.quantize(), "PNG")
    yield "bits", saved(noise("1"), "PNG")
    deep = Image.fromarray(np.asarray(noise("L")).astype(np.uint16) * 200)
    yield "16 bits", saved(deep, "PNG")
    yield "floats", saved(Image.fromarray(np.asarray(noise("L")) / np.float32(255)), "TIFF")
    yield "webp", saved(colour, "WEBP")
    yield "gif", saved(colour.quantize(), "GIF", save_all=True, append_images=[noise("L")])
    yield "bmp", saved(colour, "BMP")
    yield "tiff", saved(colour, "TIFF", compression="tiff_lzw")
    yield "mpo", saved(colour, "MPO", save_all=True, append_images=[colour.rotate(9)])


@pytest.mark.parametrize("at_least", [None, 64])
@pytest.mark.parametrize(
    ("name", "data"), [*files()], ids=lambda value: value if isinstance(value, str) else ""
)
def test_it_is_the_same_picture_as_predict_opens(name, data, at_least):
    bundle = replace(BUNDLE, at_least=at_least, levels=(0.0, 65535.0) if "16" in name else None)
    ours = open_photo(data, bundle, LIMITS)
    # `Predictor.predict` is handed ours, and opens it once more
    for image in (ours, opened(ours, bundle)):
        np.testing.assert_array_equal(np.asarray(image), np.asarray(opened(data, bundle)))


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png_of(width, height, content=b""):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(content))
        + chunk(b"IEND", b"")
    )


def refused(data, limits=LIMITS):
    with pytest.raises(Refused) as caught:
        open_photo(data, BUNDLE, limits)
    return caught.value


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [7000, 10_000, 50_000, 2**31 - 1])
def test_a_bomb_is_refused_by_its_header_alone(side, monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    error = refused(png_of(side, side))
    assert error.status == 413
    assert "at most 40 million pixels" in error.why


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_refused_where_pillow_warns():
    assert refused(png_of(10_000, 10_000)).status == 413


def test_a_line_of_pixels_would_be_resized_to_gigabytes():
    error = refused(saved(Image.new("RGB", (30_000, 2)), "PNG"))
    assert error.status == 422
    assert "100 times as long as wide" in error.why


def test_a_jpeg_of_a_thousand_scans_is_refused_before_it_is_decoded(monkeypatch):
    data = saved(noise(), "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    many = data[:at] + data[at:-2] * 1000 + b"\xff\xd9"
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    assert refused(many).status == 422


def test_scans_are_counted_up_to_the_end_of_the_picture():
    plain, stepwise = saved(noise(), "JPEG"), saved(noise(), "JPEG", progressive=True)
    assert scans(plain, 100) == 1
    assert 1 < scans(stepwise, 100) < 20
    assert scans(plain + b"\xff\xda\x00\x02" * 500, 100) == 1  # a film behind a phone's photo
    inside = saved(noise(), "JPEG", comment=b"\xff\xda\x00\x02" * 500)
    assert scans(inside, 100) == 1
    assert scans(b"", 100) == scans(b"\xff\xd8\xff", 100) == 0


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"])
def test_what_is_cut_off_is_damaged(kind):
    data = saved(noise(), kind)
    for end in (len(data) // 2, len(data) * 9 // 10):
        error = refused(data[:end])
        assert error.status == 422
        assert "damaged" in error.why
    assert refused(data[:14]).status in (415, 422)


@pytest.mark.parametrize("kind", ["ICO", "PPM", "TGA", "PDF", "EPS", "DDS", "PCX", "SGI", "ICNS"])
def test_other_formats_are_never_parsed(kind):
    image = noise(size=(64, 64))
    error = refused(saved(image, kind))
    assert error.status == 415
    assert "expected a picture (JPEG, PNG, WEBP, GIF, BMP or TIFF), got something else" in error.why


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\0" * 1000,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<!doctype html><script>alert(1)</script>",
        b"PK\3\4",
        b"RIFF\0\0\0\0WAVE",
        b"/etc/passwd",
        b"8BPS\0\1",
        b"SIMPLE  =                    T",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ],
)
def test_what_is_no_picture_is_refused(data):
    assert refused(data).status == 415


def test_a_file_of_two_formats_is_read_as_the_one_that_was_checked():
    tiff = saved(noise(size=(64, 48)), "TIFF")
    assert len(tiff) > 2060
    both = bytearray(tiff)
    both[2048:2052] = b"PCD_"
    with Image.open(io.BytesIO(both), formats=["PCD"]) as image:  # whichever reader comes first
        assert image.size == (768, 512)
    assert open_photo(bytes(both), BUNDLE, LIMITS).size == (64, 48)


@pytest.mark.parametrize("behind", [b"<script>alert(1)</script>", b"PK\3\4" * 100, b"%PDF-1.7"])
def test_what_is_behind_a_picture_is_not_looked_at(behind):
    data = saved(noise(), "PNG")
    ours = open_photo(data + behind, BUNDLE, LIMITS)
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(opened(data, BUNDLE)))


def test_pngs_cannot_unpack_gigabytes_beside_their_pixels():
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 100_000_000))
    whole = png_of(8, 8, (b"\0" + bytes(24)) * 8)
    at = whole.index(b"IDAT") - 4
    assert refused(whole[:at] + text + whole[at:]).status == 422


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "MPO"])
def test_whatever_is_changed_in_a_file_it_is_a_picture_or_refused(kind):
    data = saved(noise(size=(64, 48)), kind, **turned(None, 6) if kind in ("JPEG", "TIFF") else {})
    rng = np.random.default_rng(1)
    for _ in range(150):
        changed = bytearray(data)
        for at in rng.integers(0, min(len(data), 400), rng.integers(1, 6)):
            changed[at] = rng.integers(0, 256)
        with suppress(Refused):
            assert open_photo(bytes(changed), BUNDLE, LIMITS).mode == "RGB"


def test_large_pictures_are_decoded_one_at_a_time(monkeypatch):
    from PIL import ImageFile

    real, inside, most = ImageFile.ImageFile.load, [], []

    def load(self):
        inside.append(1)
        most.append(len(inside))
        threading.Event().wait(0.05)
        inside.pop()
        return real(self)

    monkeypatch.setattr("PIL.BmpImagePlugin.BmpImageFile.load", load)
    data = saved(noise(), "BMP")
    for large, expected in ((100, 1), (10**7, 3)):
        most.clear()
        limits = replace(LIMITS, large=large)
        threads = [
            threading.Thread(target=open_photo, args=(data, BUNDLE, limits)) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert max(most) == expected
