"""The middle of validation pictures, as ImageNet's evaluation looks at them."""

from __future__ import annotations

from fastai.data.transforms import Transform
from fastai.vision.core import TensorImage


class CentreCrop(Transform):
    """Cut the middle out of a batch of validation pictures; training pictures stay whole.

    fastai's item transforms resize; the rest of the pipeline brings the middle to its size.

    Args:
        crop_pct: Share of each side that is kept, in (0, 1].
    """

    order, split_idx = 1, 1

    def __init__(self, crop_pct: float) -> None:
        super().__init__()
        self.crop_pct = crop_pct

    def encodes(self, x: TensorImage) -> TensorImage:
        """Cut float or uint8 [n, channels, height, width]."""
        height, width = x.shape[-2:]
        h, w = round(height * self.crop_pct), round(width * self.crop_pct)
        top, left = (height - h) // 2, (width - w) // 2
        return x[..., top : top + h, left : left + w]
