from __future__ import annotations

import pytest

from quickvision.data.findings import depth
from quickvision.data.scan import Facts


def named(n=4, **facts):
    return [(f"{i}.png", Facts(**facts)) for i in range(n)]


def said(found):
    return [finding.finding for finding in found]


def test_pictures_of_hardly_any_contrast_are_a_finding():
    assert said(depth(named(mode="RGB", low=0, top=15), None, False)) == [
        "pictures of hardly any contrast"
    ]
    assert not said(depth(named(mode="RGB", low=0, top=200), None, False))
    # One hot pixel makes 65535 white: half of the pictures are nearly black.
    dark = named(mode="I;16", low=0, top=900) + named(1, mode="I;16", low=0, top=65535)
    assert said(depth(dark, (0, 65535), False)) == ["pictures of hardly any contrast"]
    assert not said(depth(dark, (0, 1023), True))


@pytest.mark.parametrize("levels", [(-1024.0, 4095.0), (0.0, 1e6)])
def test_what_is_black_and_white_is_said_where_no_bits_say_it(levels):
    (found,) = depth(named(mode="F", low=levels[0], top=levels[1]), levels, False)
    assert "levels=(0, 4095)" in found.advice
    assert not said(depth(named(mode="F", low=levels[0], top=levels[1]), levels, True))


def test_pages_are_no_animation():
    assert said(depth(named(format="TIFF", frames=3, top=255), None, False)) == [
        "files of several pages"
    ]
    assert said(depth(named(format="GIF", frames=3, top=255), None, False)) == ["animations"]
