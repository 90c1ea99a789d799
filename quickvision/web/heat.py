"""What the page is told of a heat map: its cells, and which part of the picture they lie on."""

from __future__ import annotations

import time
from typing import Any

from PIL import Image

from quickvision.base.errors import printable
from quickvision.data.view import View
from quickvision.ship.predictor import Predictor
from quickvision.web.limits import Refused


def check_maps(ask: Predictor) -> None:
    """See that the model has heat maps, before a picture is taken in for one.

    Raises:
        Refused: It has none (501).
    """
    if not ask.engine.has_maps:
        raise Refused(
            501,
            "expected a network that can be asked which places speak for its answer, got a model"
            " that gives answers alone; start the server with --engine torch",
        )


def heat(ask: Predictor, view: View, image: Image.Image) -> dict[str, Any]:
    """Say which places of a picture speak for the top answer, as JSON can hold it.

    Args:
        ask: The model.
        view: What it sees of a picture.
        image: The picture, upright.
    """
    begun = time.perf_counter()
    label = ask.predict(image).label
    rows = ask.heatmap(image, label).tolist()
    return {
        "label": printable(label),
        "map": [[float(f"{value:.4g}") for value in row] for row in rows],
        "covers": [round(share, 5) for share in covered(view, image.width, image.height)],
        "ms": round(1000 * (time.perf_counter() - begun), 1),
    }


def covered(view: View, width: int, height: int) -> tuple[float, float]:
    """Return which shares of a picture's width and height a view takes, from its middle.

    Below 1 what is beside them is cut off; above 1 there is something beside the picture ("pad").
    """
    tall, wide = view.resized
    by = (width / wide, height / tall)
    if view.resize != "squish":
        by = ((max if view.resize == "pad" else min)(by),) * 2
    return view.size[1] * by[0] / width, view.size[0] * by[1] / height
