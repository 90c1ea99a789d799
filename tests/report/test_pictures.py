"""Pictures as a page can hold them."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from quickvision.data.view import View
from quickvision.report.pictures import STRONGEST, Thumbnails, cells, heat


def opened(address):
    kind, _, text = address.partition(";base64,")
    return kind, Image.open(io.BytesIO(base64.b64decode(text)))


def test_a_thumbnail_shows_what_the_model_sees(tmp_path):
    file = tmp_path / "wide.png"
    wide = Image.new("RGB", (400, 100), "red")
    wide.paste((0, 0, 255), (150, 0, 250, 100))  # the middle, which is all that a crop keeps
    wide.save(file)
    kind, small = opened(Thumbnails(View((224, 224)))([file], 50)[file])
    assert (kind, small.size) == ("data:image/webp", (50, 50))
    assert np.asarray(small.convert("RGB"), int)[:, :, 2].min() > 200
    _, whole = opened(Thumbnails()([file], 50)[file])
    assert whole.size[0] == 50
    assert whole.size[1] <= 13


def test_pictures_that_are_gone_or_broken_are_left_out(tmp_path, picture):
    there, broken = picture(tmp_path / "a.png"), tmp_path / "b.png"
    broken.write_text("x")
    found = Thumbnails()([there, tmp_path / "none.png", broken, there])
    assert list(found) == [there]


def test_a_view_that_is_no_square_keeps_its_shape(picture, tmp_path):
    file = picture(tmp_path / "a.png")
    _, small = opened(Thumbnails(View((64, 128)))([file], 40)[file])
    assert small.size == (40, 20)


def test_a_heat_map_says_for_and_against_by_colour_and_how_much_by_opacity():
    _, painted = opened(heat(np.array([[1.0, -1.0], [0.5, 0.0]]), 1.0))
    pixels = np.asarray(painted)
    assert pixels.shape == (2, 2, 4)
    assert pixels[0, 0, 3] == pixels[0, 1, 3] == round(255 * STRONGEST)
    assert (pixels[0, 0, :3] != pixels[0, 1, :3]).any()
    assert pixels[1, 0, 3] == round(255 * STRONGEST / 2)
    assert pixels[1, 1, 3] == 0


def test_a_matrix_is_a_pixel_a_cell_and_small_shares_are_seen():
    share = np.eye(5)
    share[1, 2] = 0.02
    _, painted = opened(cells(share))
    alpha = np.asarray(painted)[..., 3]
    assert alpha.shape == (5, 5)
    assert alpha[0, 0] == 255
    assert alpha[1, 2] > 30
    assert alpha[2, 1] == 0
