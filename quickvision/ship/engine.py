"""What answers: from a picture to pixels, from pixels to probabilities. Needs no torch."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from quickvision.base.errors import DataError, ModelError
from quickvision.data.arrays import check_kind, check_there, from_array, is_array
from quickvision.data.rgb import BROKEN, open_rgb, to_rgb
from quickvision.ship.bundle import Bundle


class Engine(Protocol):
    """A model that answers, whatever it computes with.

    Attributes:
        vocab: The c class names.
        mirrored: Training saw mirrored pictures, too.
    """

    vocab: tuple[str, ...]
    mirrored: bool

    @property
    def has_maps(self) -> bool:
        """It can say which places of a picture speak for a class."""

    def open(self, picture: Any) -> Any:
        """Open one picture, and bring it to its size; several threads may ask at once.

        Raises:
            DataError: It cannot be read.
            TypeError: It is no picture.
            ValueError: An array of another shape.
        """

    def mirror(self, opened: Any) -> Any:
        """Mirror what `open` has returned."""

    def probs(self, opened: Sequence[Any]) -> np.ndarray:
        """Answer for opened pictures: float32 [n, c], rows sum to 1."""

    def maps(self, opened: Sequence[Any], classes: np.ndarray | None) -> np.ndarray:
        """Make heat maps of opened pictures for classes, int [n, k]: float32 [n, k, h, w].

        Raises:
            ModelError: It cannot.
        """


class Viewer:
    """What all engines of exported models have: the same pixels of the same picture.

    Args:
        bundle: What the model says of itself.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.vocab, self.mirrored = bundle.vocab, bundle.mirrored

    @property
    def has_maps(self) -> bool:
        """It gives answers alone."""
        return False

    def open(self, picture: Any) -> np.ndarray:
        """Open one picture: uint8 [height, width, 3]; raises as `Engine.open`."""
        image = opened(picture, self.bundle)
        if self.bundle.network.channels == 1:
            image = image.convert("L")
        pixels = np.asarray(self.bundle.view(image))
        return pixels if pixels.ndim == 3 else pixels[..., None]

    def mirror(self, opened: np.ndarray) -> np.ndarray:
        """Mirror it."""
        return opened[:, ::-1]

    def maps(self, opened: Sequence[np.ndarray], classes: np.ndarray | None) -> np.ndarray:
        """Refuse; raises as `Engine.maps`."""
        raise ModelError(
            "expected a network whose places can be asked what they speak for, got"
            f" {type(self).__name__}, which gives answers alone; load_model(..., engine='torch')"
            " opens the network itself"
        )


def opened(picture: Any, bundle: Bundle) -> Image.Image:
    """Open a path, bytes, an open file, a Pillow image or an array as upright RGB."""
    check_kind(picture)
    at_least, levels = bundle.at_least, bundle.levels
    if isinstance(picture, str | Path):
        check_there(picture)
        return open_rgb(picture, at_least=at_least, levels=levels)
    if isinstance(picture, bytes | bytearray | memoryview):
        return open_rgb(io.BytesIO(picture), at_least=at_least, levels=levels)
    if hasattr(picture, "read"):
        return open_rgb(picture, at_least=at_least, levels=levels)
    if is_array(picture):
        return to_rgb(from_array(picture), levels)
    try:
        return to_rgb(picture.copy(), levels)
    except BROKEN as error:
        raise DataError(f"expected a picture that can be read, got {error}") from error
