"""Pictures in rows that line up, what was said of each above it, and what spoke for it upon it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from fastai.learner import Learner
from fastai.torch_core import no_random
from matplotlib.axes import Axes
from PIL import Image

from quickvision.base.tables import shorten, width_of
from quickvision.data.looking import Looking
from quickvision.data.pictures import Picture
from quickvision.results.curves import COLOURS
from quickvision.results.fonts import lettering
from quickvision.results.heatmap import AGAINST, FOR, heatmaps
from quickvision.results.predictions import Predictions, top_losses, worth_seeing

WIDE, SIDE = 2.9, 2.7  # inches of a tile, and of the picture in it
POINTS, LINE = 8.5, 1.25  # of the text, and a line's height in its letters'
LETTER = 0.56  # width of a letter, in heights
PIXELS = 360  # of a picture as it is drawn
ARROW = "\N{RIGHTWARDS ARROW}"


@dataclass(frozen=True)
class Grid:
    """Tiles in rows and columns.

    Attributes:
        n: Tiles.
        columns: In a row.
        lines: Of text above each picture.
    """

    n: int
    columns: int
    lines: int

    @property
    def rows(self) -> int:
        """Rows of tiles, one at least."""
        return max(1, -(-self.n // self.columns))

    @property
    def figure(self) -> tuple[float, float]:
        """Width and height in inches of a figure that has room for it and a title."""
        return WIDE * self.columns, (SIDE + self.text + 0.1) * self.rows + 0.5

    @property
    def text(self) -> float:
        """Inches of the text above a picture."""
        return (self.lines + 0.6) * LINE * POINTS / 72


@dataclass(frozen=True)
class Tile:
    """A picture of the validation side, and what is written above it."""

    index: int
    lines: tuple[str, ...]
    right: bool


def worst(preds: Predictions, k: int) -> pd.DataFrame:
    """Choose the pictures that are worth a look: the wrong ones, then those nearly so.

    Right ones with a loss that is written as 0.00 are not among them, so there may be fewer than
    `k`; where all are right, it is those of the largest loss.

    Args:
        preds: One inference pass over labelled pictures.
        k: Rows at most.

    Returns:
        Columns and index as `top_losses`: the wrong ones first, each part by its loss.
    """
    table = top_losses(preds, None)
    return table.head(k) if preds.right.all() else table.loc[worth_seeing(preds, k)]


def tiles(preds: Predictions, rows: pd.DataFrame, width: float = WIDE) -> list[Tile]:
    """Write what stands above each picture: file, actual and predicted class, probability, loss.

    Two names share a line where they fit in all tiles; else they have one each in all of them.

    Args:
        preds: One inference pass over labelled pictures.
        rows: Of `worst`.
        width: Inches of a tile.
    """
    letters = max(12, int(0.95 * width * 72 / (POINTS * LETTER)))
    records = list(zip(rows.index, rows.to_dict("records"), strict=True))
    pairs = [
        (r["actual"], "" if preds.right[i] else f"{ARROW} {r['predicted']}") for i, r in records
    ]
    apart = any(width_of(a) + width_of(b) + 1 > letters for a, b in pairs)
    found = []
    for (index, row), (actual, other) in zip(records, pairs, strict=True):
        names = (actual, other) if apart else (f"{actual} {other}".strip(),)
        last = f"{row['prob']:.0%}, loss {row['loss']:.2f}"
        lines = [preds.paths[index].name, *names, last]
        found.append(
            Tile(index, tuple(shorten(line, letters) for line in lines), bool(preds.right[index]))
        )
    return found


def grid(found: Sequence[Tile]) -> Grid:
    """Choose rows and columns: three beside each other, five where there are more than nine."""
    columns = 2 if len(found) == 4 else max(1, min(3 if len(found) <= 9 else 5, len(found)))
    return Grid(len(found), columns, max((len(tile.lines) for tile in found), default=3))


def draw_tiles(
    ax: Axes, preds: Predictions, found: Sequence[Tile], laid: Grid, learn: Learner | None
) -> None:
    """Draw pictures into `ax`, each on a square of its own, all of one size.

    Args:
        ax: Axes that the tiles are laid into.
        preds: One inference pass, whose files are still there.
        found: The tiles.
        laid: Their rows and columns.
        learn: With it, a picture is what the model looked at, and upon it are the places that spoke
            for the predicted class (orange) and against it (purple), all pictures on one scale.
    """
    font = lettering([*(line for tile in found for line in tile.lines), ARROW])
    height = ax.get_window_extent().height / ax.figure.dpi / laid.rows
    share = max(0.4, 1 - laid.text / height)  # of a row, for the picture
    paths = [preds.paths[tile.index] for tile in found]
    images = [_whole(path) for path in paths] if learn is None else _looked_at(learn, paths)
    axes = []
    for place, (tile, image) in enumerate(zip(found, images, strict=True)):
        down, across = divmod(place, laid.columns)
        left, below = (across + 0.03) / laid.columns, 1 - (down + 0.99) / laid.rows
        own = ax.inset_axes((left, below, 0.94 / laid.columns, share / laid.rows))
        axes.append(own)
        own.imshow(image)
        own.set_anchor("N")
        own.set_axis_off()
        own.set(xticks=[], yticks=[])  # matplotlib places those that are not shown, too
        own.set_in_layout(False)
        own.set_title(
            "\n".join(map(font.text, tile.lines)),
            fontsize=POINTS,
            color=COLOURS[0] if tile.right else COLOURS[1],
            fontfamily=list(font.families),
            parse_math=False,
        )
    if learn is not None and found:
        classes = preds.predicted[[tile.index for tile in found]][:, None]
        _draw_maps(axes, heatmaps(learn, paths, classes)[:, 0])


def _draw_maps(axes: Sequence[Axes], maps: np.ndarray) -> None:
    """Lay cells [n, h, w] over pictures, as they are: more detail the model does not have."""
    scale = float(np.quantile(np.abs(maps), 0.98)) or 1.0  # of all, so that little looks like it
    for own, cells in zip(axes, maps, strict=True):
        colours = np.where((cells > 0)[..., None], np.divide(FOR, 255), np.divide(AGAINST, 255))
        alpha = 0.7 * (np.abs(cells) / scale).clip(0, 1)
        own.imshow(
            np.dstack([colours, alpha]),
            extent=own.images[0].get_extent(),
            interpolation="nearest",
        )


def _whole(path: Path) -> np.ndarray:
    """Open a picture and put it on a white square, so that all tiles are of one size.

    Raises:
        DataError: The file cannot be read any more.
    """
    image = Picture.create(path)
    image.thumbnail((PIXELS, PIXELS))
    side = max(image.size)
    square = Image.new("RGB", (side, side), "white")
    square.paste(image, ((side - image.width) // 2, 0))  # below its text, which is in line
    return np.asarray(square)


def _looked_at(learn: Learner, paths: Sequence[Path]) -> list[np.ndarray]:
    """Open pictures as the model sees them in validation, before they are normalised; faded."""
    look = Looking(learn.dls)
    with no_random(reproducible=False):
        return [_faded(_pixels(look.open(path).numpy())) for path in paths]


def _faded(image: np.ndarray) -> np.ndarray:
    """Take most of the colour out, so that the colours of cells can be told from the picture's."""
    grey = image.mean(axis=2, keepdims=True)
    return (0.8 * grey + 0.2 * image).astype(np.uint8)


def _pixels(item: np.ndarray) -> np.ndarray:
    """Turn what comes out of item transforms, [3, h, w] or [h, w, 3], into pixels of 255."""
    image = item.transpose(1, 2, 0) if item.ndim == 3 and item.shape[0] in (1, 3) else item
    if image.dtype != np.uint8:
        top = float(image.max()) if image.size and math.isfinite(float(image.max())) else 1.0
        image = (image.clip(0) * (255 if top <= 1 else 1)).clip(0, 255).astype(np.uint8)
    return image.repeat(3, axis=2) if image.ndim == 3 and image.shape[2] == 1 else image
