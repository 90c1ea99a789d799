"""A stranger's picture: looked at before it is decoded, and opened as `Predictor` opens bytes."""

from __future__ import annotations

import io
import threading
from contextlib import nullcontext

from PIL import Image

from quickvision.data.rgb import to_rgb
from quickvision.ship.bundle import Bundle
from quickvision.web.limits import Limits, Refused

# Pillow's parsers of further formats (PostScript, PSD, FITS, ...) are never reached.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "MPO")
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_ONE = threading.Lock()  # who decodes a large picture


def open_photo(data: bytes, bundle: Bundle, limits: Limits) -> Image.Image:
    """Open a picture's file as upright RGB, to the pixel as `Predictor.predict` opens its bytes.

    Size and format are read from its header, and checked, before a pixel is decoded. It is not
    handed on as bytes: a file may be of two formats, and another reader may take it for the second.

    Raises:
        Refused: It is no picture (415), too large (413), or damaged (422).
    """
    image = _begun(data, limits)
    _check_size(image, limits)
    if image.format in ("JPEG", "MPO") and scans(data, limits.scans) > limits.scans:
        raise Refused(422, f"expected a JPEG of at most {limits.scans} scans, got more")
    try:
        if bundle.at_least:
            image.draft(None, (bundle.at_least, bundle.at_least))
        with _ONE if image.width * image.height > limits.large else nullcontext():
            with image:
                image.load()
            return to_rgb(image, bundle.levels)
    except _BOMBS as error:
        raise _too_many_pixels("more", limits) from error
    except Exception as error:  # a damaged file makes Pillow's readers raise anything
        raise _damaged() from error


def _begun(data: bytes, limits: Limits) -> Image.Image:
    """Read the header."""
    if not data:
        raise Refused(415, "expected a picture as the body of the request, got no bytes")
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except _BOMBS as error:
        raise _too_many_pixels("more", limits) from error
    except Exception as error:  # as above
        if data.startswith(_BEGINNINGS) or (data[:4], data[8:12]) == (b"RIFF", b"WEBP"):
            raise _damaged() from error
        known = ", ".join(FORMATS[:-2])
        raise Refused(
            415, f"expected a picture ({known} or TIFF), got something else; send its file as it is"
        ) from error


def _check_size(image: Image.Image, limits: Limits) -> None:
    width, height = image.size
    if width * height > limits.pixels:
        raise _too_many_pixels(f"{width:,} x {height:,}", limits)
    if not width or not height:
        raise _damaged()
    if max(width, height) > limits.ratio * min(width, height):
        raise Refused(
            422,
            f"expected a picture at most {limits.ratio} times as long as wide, got"
            f" {width:,} x {height:,}",
        )


def _too_many_pixels(got: str, limits: Limits) -> Refused:
    return Refused(
        413,
        f"expected a picture of at most {limits.pixels / 1e6:g} million pixels, got {got}; send"
        " a smaller one",
    )


def _damaged() -> Refused:
    return Refused(422, "expected a picture that can be read, got a damaged one; send another")


def scans(data: bytes, most: int) -> int:
    r"""Count the scans of a JPEG, up to one more than `most`.

    A file of 20 MB can have a million of them, and each takes as long as the picture has pixels.

    >>> scans(b"\xff\xd8" + 3 * b"\xff\xda\x00\x02..." + b"\xff\xd9", 10)
    3
    """
    at, found = 2, 0
    while found <= most:
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data):
            return found
        kind = data[at + 1]
        if kind == 0xD9:  # the end: what a phone puts behind it is no picture
            return found
        if kind == 0xFF:
            at += 1
        elif kind in (0x00, 0x01) or 0xD0 <= kind <= 0xD8:  # without a length
            at += 2
        else:
            found += kind == 0xDA
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return found
