"""Pictures as a page can hold them, as `data:` addresses: thumbnails, heat maps, the matrix."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from quickvision.base.errors import DataError
from quickvision.base.progress import mapped
from quickvision.data.rgb import Levels, open_rgb
from quickvision.data.view import View
from quickvision.results.heatmap import AGAINST, FOR

LARGE, SMALL = 160, 96  # pixels of a side
QUALITY = 75
STRONGEST = 0.75  # opacity of a heat map where it is strongest
RIGHT, WRONG = (38, 130, 108), (211, 94, 15)  # of the matrix, on light and on dark paper


@dataclass(frozen=True)
class Thumbnails:
    """Makes thumbnails of what the model looks at: the middle of a picture, say.

    Attributes:
        view: What validation looks at; None shows the whole picture.
        levels: What is black and white in pictures of more than 8 bits.
    """

    view: View | None = None
    levels: Levels | None = None

    def __call__(self, paths: Iterable[Path], side: int = LARGE) -> dict[Path, str]:
        """Make one of each picture that can be read, in several threads.

        Args:
            paths: The files; those that have gone are left out.
            side: Pixels of the longer side.

        Returns:
            `data:` addresses of WebP pictures, by path.
        """
        files = list(dict.fromkeys(paths))
        made = mapped(lambda path: self._one(path, side), files, "thumbnails")
        return {path: said for path, said in zip(files, made, strict=True) if said}

    def _one(self, path: Path, side: int) -> str:
        try:
            image = open_rgb(path, at_least=2 * side, levels=self.levels)
        except (DataError, OSError):  # moved, or no file at all
            return ""
        if self.view is None:
            small = ImageOps.contain(image, (side, side))
        else:
            most = max(self.view.size)
            height, width = (max(1, round(side * part / most)) for part in self.view.size)
            small = replace(self.view, size=(height, width))(image)
        return _address(small, "WEBP", quality=QUALITY)


def heat(values: np.ndarray, most: float) -> str:
    """Paint a heat map, a pixel a cell: orange where it speaks for a class, purple against.

    Args:
        values: float [h, w].
        most: The value that is painted strongest; maps that are compared have the same.

    Returns:
        A `data:` address of a PNG picture that is laid over another.
    """
    strength = np.clip(np.abs(values) / max(most, 1e-12), 0, 1)
    pixels = np.empty((*values.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where(values[..., None] > 0, FOR, AGAINST)
    pixels[..., 3] = np.round(255 * STRONGEST * strength)
    return _address(Image.fromarray(pixels), "PNG")


def cells(share: np.ndarray) -> str:
    """Paint a matrix of shares in [0, 1], a pixel a cell, on whatever the page's paper is.

    The diagonal has a colour of its own. Small shares are lifted: one picture of fifty is to be
    seen.
    """
    pixels = np.empty((*share.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where(np.eye(len(share), dtype=bool)[..., None], RIGHT, WRONG)
    pixels[..., 3] = np.round(255 * np.sqrt(share.clip(0, 1)))
    return _address(Image.fromarray(pixels), "PNG")


def _address(image: Image.Image, kind: str, **options: int) -> str:
    file = io.BytesIO()
    image.save(file, kind, **options)
    text = base64.b64encode(file.getvalue()).decode()
    return f"data:image/{kind.lower()};base64,{text}"
