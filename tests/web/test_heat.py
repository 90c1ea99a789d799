from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import quickvision as qv
from quickvision.data.view import View
from quickvision.web.heat import check_maps, covered, heat
from quickvision.web.limits import Refused


class Engine:
    """It takes what is red for class "b", place by place, in cells of 8 pixels."""

    vocab, mirrored, has_maps = ("a", "b"), False, True

    def __init__(self, view):
        self.view = view

    def open(self, picture):
        return np.asarray(self.view(picture), dtype=np.float32)[..., 0] / 255

    def probs(self, opened):
        return np.tile(np.float32([0.25, 0.75]), (len(opened), 1))

    def maps(self, opened, classes):
        (one,), ((c,),) = opened, classes
        h, w = (side // 8 for side in one.shape)
        cells = one[: 8 * h, : 8 * w].reshape(h, 8, w, 8).mean((1, 3))
        return (cells if c == 1 else -cells)[None, None]


VIEWS = [
    View((64, 64)),
    View((64, 64), crop_pct=0.8),
    View((64, 96)),
    View((96, 64), crop_pct=0.75),
    View((64, 64), "squish"),
    View((64, 96), "squish", crop_pct=0.8),
    View((64, 64), "pad", fill=(0, 0, 0)),
    View((64, 96), "pad", fill=(0, 0, 0)),
]


@pytest.mark.parametrize("size", [(400, 400), (400, 250), (250, 400), (900, 130)])
@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_what_lies_on_the_picture_is_where_the_model_saw_it(view, size):
    """A patch in the middle ninth, off its centre, is found again by what the page is told."""
    image = Image.new("RGB", size)
    spot = [side // 2 + off * min(size) // 10 for side, off in zip(size, (-1, 1), strict=True)]
    half = min(size) // 16
    image.paste((255, 0, 0), (*(s - half for s in spot), *(s + half for s in spot)))
    said = heat(qv.Predictor(Engine(view)), view, image)
    assert list(said) == ["label", "map", "covers", "ms"]
    cells = np.array(said["map"])
    assert (said["label"], cells.min()) == ("b", 0)
    for axis, (share, side, where) in enumerate(zip(said["covers"], size, spot, strict=True)):
        sums = cells.sum(axis)  # along x first
        centre = (sums * (np.arange(len(sums)) + 0.5)).sum() / sums.sum() / len(sums)
        cell = share * side / len(sums)
        assert abs(side * (0.5 + (centre - 0.5) * share) - where) < 0.6 * cell


def test_what_is_covered_of_a_picture():
    for view, size, expected in (
        (View((224, 224)), (448, 224), (0.5, 1)),
        (View((224, 224)), (224, 448), (1, 0.5)),
        (View((224, 224), crop_pct=0.5), (300, 300), (0.5, 0.5)),
        (View((224, 224), "squish"), (900, 30), (1, 1)),
        (View((224, 224), "pad"), (448, 224), (1, 2)),
    ):
        assert covered(view, *size) == pytest.approx(expected)


def test_a_model_without_maps_is_refused(shipped):
    with pytest.raises(Refused, match="gives answers alone; start the server with --engine torch"):
        check_maps(qv.load_model(shipped, engine="onnx"))
    check_maps(qv.load_model(shipped, engine="torch"))
