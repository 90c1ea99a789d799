"""What `cnn_learner` takes besides data, architecture and weights: each option declared once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from quickvision.base.choices import (
    BATCH_NORMS,
    HEADS,
    OPTS,
    PRECISIONS,
    check_fields,
    option,
)


@dataclass(frozen=True)
class ModelOptions:
    """The options of `quickvision.cnn_learner`, which explains them.

    Raises:
        ValueError: One of them is out of range. What needs torch to be checked is checked there.
    """

    head: Any = option("native", "A single layer, or fastai's head.", words=HEADS)
    hidden: Sequence[int] | None = None
    dropout: float | None = None
    activation: str | Callable[..., Any] | None = None
    batch_norm: str | None = option(
        None, "Batch norm: kept, adapted to the pictures, trained.", words=BATCH_NORMS
    )
    layer_groups: int | None = 3
    loss: Any = None
    label_smoothing: float = option(
        0.0, "Amount of label smoothing, for example 0.1.", low=0, high=0.99
    )
    class_weights: Any = None
    opt: Any = option(None, "Optimiser; fastai's AdamW by default.", words=OPTS)
    momentum: float | None = None
    precision: str = option("auto", "What the model computes in.", words=PRECISIONS)
    compile: bool = option(False, "Use torch.compile.")

    def __post_init__(self) -> None:
        check_fields(self)
        groups = self.layer_groups
        if groups is not None and not (isinstance(groups, int) and groups > 1):
            raise ValueError(f"layer_groups: expected 2 or more, or None, got {groups!r}")
