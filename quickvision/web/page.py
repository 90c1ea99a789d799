"""The page, and what it shows of a model: its card, example pictures that lie beside it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from quickvision.base.errors import printable
from quickvision.ship.bundle import CARD, EXAMPLES, Bundle
from quickvision.web.guards import headers_for
from quickvision.web.limits import Limits, Refused
from quickvision.web.photo import FORMATS, open_photo

MOST_EXAMPLES = 3
_KINDS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp", ".gif": "gif"}
_MOST_CARD = 200_000  # bytes


@cache
def page() -> str:
    """Return the page: it is the same for all models, and asks for what differs."""
    return files("quickvision.web").joinpath("page.html").read_text(encoding="utf-8")


@cache
def headers() -> dict[str, str]:
    """Return the headers that go with the page, and all else: its own script runs, no other."""
    return headers_for(_hash("script"), _hash("style"))


def _hash(tag: str) -> str:
    (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page(), re.DOTALL)
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@dataclass(frozen=True)
class Example:
    """A picture to try.

    Attributes:
        data: Its file.
        kind: Its media type.
    """

    data: bytes
    kind: str


def find_examples(folder: Path, bundle: Bundle, limits: Limits) -> list[Example]:
    """Return the first pictures, by name, in the folder `examples` of a model.

    Links are not followed, and files that the server would refuse, or no browser shows, are left
    out: the folder may be a stranger's.
    """
    inside = folder / EXAMPLES
    if inside.is_symlink() or not inside.is_dir():
        return []
    found: list[Example] = []
    for file in sorted(inside.iterdir()):
        kind = _KINDS.get(file.suffix.lower())
        if kind is None or file.is_symlink() or not file.is_file():
            continue
        if file.stat().st_size > limits.bytes:
            continue
        data = file.read_bytes()
        try:
            open_photo(data, bundle, limits)
        except Refused:
            continue
        found.append(Example(data, f"image/{kind}"))
        if len(found) == MOST_EXAMPLES:
            break
    return found


def card(
    folder: Path,
    bundle: Bundle,
    *,
    engine: str,
    limits: Limits,
    unsure_below: float,
    examples: int,
    heatmap: bool,
) -> dict[str, Any]:
    """Return what is known of a model, as JSON can hold it."""
    view, file = bundle.view, folder / CARD
    text = ""
    if file.is_file() and not file.is_symlink() and file.stat().st_size <= _MOST_CARD:
        text = file.read_text(encoding="utf-8", errors="replace")
    return {
        "classes": [printable(name) for name in bundle.vocab],
        "arch": bundle.network.arch,
        "engine": engine,
        "size": list(view.size),
        "unsure_below": unsure_below,
        "heatmap": heatmap,
        "figures": _plain(bundle.figures),
        "versions": _plain(bundle.versions),
        "limits": {
            "bytes": limits.bytes,
            "pixels": limits.pixels,
            "formats": [name for name in FORMATS if name != "MPO"],
        },
        "examples": [f"{EXAMPLES}/{i}" for i in range(examples)],
        "card": text,
    }


def _plain(said: Any) -> dict[str, Any]:
    """Leave out what is neither text nor a finite number: a stranger has written it."""
    return {
        str(name): value
        for name, value in said.items()
        if isinstance(value, str)
        or (isinstance(value, int | float) and abs(value) < 1e15)  # which nan is not
    }
