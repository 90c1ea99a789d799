"""The model card: `README.md` of an exported folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Template

from quickvision.base.figures import Accuracy
from quickvision.base.templates import environment
from quickvision.results.predictions import Predictions, most_confused
from quickvision.ship.bundle import ONNX, Bundle

SHOWN = 10  # pairs of classes, and classes, that are listed


def write_card(
    bundle: Bundle, preds: Predictions, *, why_not: str, licence: str | None, pretrained: bool
) -> str:
    """Write what a model tells apart, how well, and how to ask it.

    Args:
        bundle: What the folder says of itself.
        preds: What the model said of its validation pictures.
        why_not: Why timm and transformers cannot open it; empty where they can.
        licence: Of the pretrained weights, as far as their library says.
        pretrained: There were some.

    Returns:
        Markdown, with Hugging Face's front matter; whatever class names say is shown as text.
    """
    pairs: list[Mapping[str, Any]] = most_confused(preds).head(SHOWN).to_dict("records")
    return _template().render(
        bundle=bundle,
        accuracy=preds.accuracy,
        pairs=pairs,
        shown=SHOWN,
        why_not=why_not,
        licence=licence,
        pretrained=pretrained,
        onnx=ONNX in bundle.sha256,
        timm_folder=not why_not,
    )


def plain(text: object) -> str:
    r"""Escape what Markdown and HTML would read as something else; a name stays in its line.

    >>> print(plain("a|b <i> [x](y)"))
    a\|b \<i\> \[x\]\(y\)
    """
    return re.sub(r"([\\`*_{}\[\]()#+!|<>~&])", r"\\\1", " ".join(str(text).split()))


@cache
def _template() -> Template:
    jinja = environment("ship")
    jinja.filters["plain"] = plain
    return jinja.get_template("card.md.jinja")


def figures_of(accuracy: Accuracy) -> dict[str, Any]:
    """Return an accuracy as numbers that a file can hold."""
    low, high = accuracy.interval
    return {"accuracy": accuracy.value, "low": low, "high": high, "n": accuracy.n}
