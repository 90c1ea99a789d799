"""What a picture becomes before a model looks at it: one definition for all who look."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image, ImageOps

from quickvision.base.choices import INTERPOLATIONS, RESIZES, fraction, one_of

MOST = 100_000_000  # pixels that a picture is resized to, before its middle is taken
GREY = (124, 116, 104)  # ImageNet's mean: what `pad` puts beside a picture
TO_TIMM = {"crop": "center", "squish": "squash", "pad": "border"}


@dataclass(frozen=True)
class View:
    """The standard view: resize with antialias, then take the middle, on the Pillow image.

    Validation, `Predictor`, exported models, timm and transformers all look through it, at the same
    pixels.

    Args:
        size: Height and width of what comes out, in pixels.
        resize: "crop" brings the shorter side to its size and cuts the middle out, "squish" both
            sides, whatever becomes of the proportions, "pad" the longer one, with `fill` beside it.
        interpolation: "bilinear", "bicubic", "lanczos" or "nearest".
        crop_pct: Share of the resized picture's sides that is looked at, in (0, 1].
        fill: What "pad" puts beside a picture, of 255.

    Raises:
        ValueError: No such word, or numbers out of range.

    Source: timm's `transforms_imagenet_eval` and torchvision's `Resize` and `CenterCrop`, whose
    arithmetic it is to the pixel, with timm's "center", "squash" and "border".
    """

    size: tuple[int, int]
    resize: str = "crop"
    interpolation: str = "bilinear"
    crop_pct: float = 1.0
    fill: tuple[int, int, int] = GREY

    def __post_init__(self) -> None:
        one_of("resize", self.resize, RESIZES)
        one_of("interpolation", self.interpolation, INTERPOLATIONS)
        fraction("crop_pct", self.crop_pct, 0.875, zero=False, one=True)

    @property
    def resized(self) -> tuple[int, int]:
        """Height and width before the middle is taken; of "crop" and "pad", of a square picture."""
        height, width = (math.floor(side / self.crop_pct) for side in self.size)
        return height, width

    def __call__(self, image: Image.Image) -> Image.Image:
        """Bring an upright RGB picture of any size to `size`."""
        height, width = self._scaled(image.height, image.width)
        if height * width > MOST:  # a picture of 1 x 60,000 pixels: what is cut off is not needed
            image = self._shorter(image)
            height, width = self._scaled(image.height, image.width)
        if (width, height) != image.size:
            by = Image.Resampling[self.interpolation.upper()]
            image = image.resize((width, height), by)
        return self._middle(image)

    def _scaled(self, height: int, width: int) -> tuple[int, int]:
        """Say what a picture of this height and width is resized to."""
        tall, wide = self.resized
        if self.resize == "squish":
            return tall, wide
        if self.resize == "crop" and tall == wide:
            short = min(height, width)
            longer = max(1, int(tall * max(height, width) / short))
            return (tall, longer) if height <= width else (longer, tall)
        pick = max if self.resize == "pad" else min
        ratio = pick(height / tall, width / wide)
        return max(1, round(height / ratio)), max(1, round(width / ratio))

    def _shorter(self, image: Image.Image) -> Image.Image:
        """Cut the ends of a very long picture off, with some to spare beside the middle."""
        most = 4 * max(self.size) * min(image.size) // min(self.size) + 8
        width, height = (min(side, max(most, 8)) for side in image.size)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height))

    def _middle(self, image: Image.Image) -> Image.Image:
        """Cut the middle out, or fill up to it."""
        height, width = self.size
        lacking = (max(0, width - image.width), max(0, height - image.height))
        if any(lacking):
            sides = (*(side // 2 for side in lacking), *((side + 1) // 2 for side in lacking))
            image = ImageOps.expand(image, sides, fill=self.fill)
        left, top = round((image.width - width) / 2), round((image.height - height) / 2)
        return image.crop((left, top, left + width, top + height))
