"""The folder of an exported model: what `config.json` says, written and read without trust.

Needs neither torch nor fastai, and runs nothing that is in the folder.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from quickvision.base.errors import BundleError, as_path, some
from quickvision.data.rgb import Levels
from quickvision.data.view import View

FORMAT = 1
CONFIG, WEIGHTS, ONNX, CARD = "config.json", "model.safetensors", "model.onnx", "README.md"
EXAMPLE = "predict_onnx.py"
FILES = (CONFIG, WEIGHTS, ONNX, CARD, EXAMPLE)  # all that is ever written
EXAMPLES = "examples"  # a folder of pictures to try, which is the user's
MOST_JSON = 1_000_000  # bytes of config.json
MOST_CLASSES = 100_000


@dataclass(frozen=True)
class Network:
    """Which network the weights belong to, by names that its library knows.

    Attributes:
        library: "timm" or "torchvision"; empty where no library can build it, and only the ONNX
            file holds it.
        arch: The library's name.
        args: Further arguments of timm's `create_model`.
        head: "whole" where the weights have the library's own names for all of the network, its
            last layer with it; else "native", "linear" or "fastai", and they are those of a body
            and a head.
        hidden: Sizes of the hidden layers of fastai's head.
        activation: Between them.
        channels: Of a picture.
    """

    library: str
    arch: str
    args: Mapping[str, Any] = field(default_factory=dict)
    head: str = "whole"
    hidden: tuple[int, ...] | None = None
    activation: str = "relu"
    channels: int = 3


@dataclass(frozen=True)
class Bundle:
    """What an exported model is, without its weights.

    Attributes:
        vocab: The c class names, in the order of the model's outputs.
        view: What a picture becomes before the model looks at it.
        mean: Of each channel, of 1, taken off.
        std: Of each channel, divided by.
        network: What the weights belong to.
        at_least: Pixels that neither side of a decoded JPEG may go below; None decodes in full.
        levels: What is black and white in pictures of more than 8 bits, as in `to_rgb`.
        mirrored: Training saw mirrored pictures, too.
        temperature: What the logits were divided by to be calibrated: it is in the last layer.
        figures: What was measured: accuracy, its interval, pictures.
        sha256: Of each file of weights, by its name.
        versions: Of what made it.
    """

    vocab: tuple[str, ...]
    view: View
    mean: tuple[float, ...]
    std: tuple[float, ...]
    network: Network
    at_least: int | None = None
    levels: Levels | None = None
    mirrored: bool = False
    temperature: float = 1.0
    figures: Mapping[str, Any] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """Return what `config.json` has under "quickvision"."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_plain(cls, said: Mapping[str, Any]) -> Bundle:
        """Read what `to_plain` has made, and check each part.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        view, network = dict(said["view"]), dict(said["network"])
        view |= {"size": _sizes(view["size"], 2), "fill": _sizes(view["fill"], 3, low=0)}
        hidden = network["hidden"]
        network["hidden"] = None if hidden is None else _sizes(hidden, len(hidden))
        network["channels"] = _whole(network["channels"], 1, 4)
        network["args"] = {_text(name): value for name, value in network["args"].items()}
        for name in ("library", "arch", "head", "activation"):
            network[name] = _text(network[name])
        vocab = tuple(_text(name) for name in said["vocab"])
        if not 0 < len(vocab) <= MOST_CLASSES or len({*vocab}) < len(vocab):
            raise ValueError(f"{len(vocab)} class names, {len({*vocab})} of them different")
        n = network["channels"]
        levels, at_least = said["levels"], said["at_least"]
        return cls(
            vocab=vocab,
            view=View(**view),
            mean=_numbers(said["mean"], n),
            std=_numbers(said["std"], n, above=0),
            network=Network(**network),
            at_least=None if at_least is None else _whole(at_least, 1, 2 * 16_384),
            levels=None if levels is None else _pair(levels),
            mirrored=bool(said["mirrored"]),
            temperature=_numbers([said["temperature"]], 1, above=0)[0],
            figures=dict(said["figures"]),
            sha256={_text(name): _text(text) for name, text in said["sha256"].items()},
            versions=dict(said["versions"]),
        )


def read_bundle(path: str | Path) -> Bundle:
    """Read what an exported folder says of itself.

    Raises:
        BundleError: No such folder, or not as it was written.
    """
    folder = as_path(path, "path")
    if not folder.is_dir():
        raise BundleError(
            f"expected the folder of an exported model, got {'a file' if folder.exists() else ''}"
            f"{'' if folder.exists() else 'nothing'} at {folder}; run.export({str(folder)!r})"
            " writes one"
        )
    file = plain_file(folder, CONFIG)
    if file.stat().st_size > MOST_JSON:
        raise BundleError(f"expected at most {MOST_JSON:,} bytes in {file}, got more")
    try:
        said = json.loads(file.read_text(encoding="utf-8"))["quickvision"]
        if isinstance(said, str):  # its version, in the folder of a run
            raise BundleError(
                f"expected the folder of an exported model, got a run's, {folder}; load_run("
                f"{str(folder)!r}).export('model') writes one (quickvision export {folder} model)"
            )
        made_by = _whole(said["format"], 1, 10**6)
        if made_by > FORMAT:
            raise BundleError(
                f"expected a model of format {FORMAT}, got {made_by} in {file}, which a newer"
                " quickvision has written: pip install --upgrade quickvision"
            )
        return Bundle.from_plain(said)
    except KeyError as error:
        of_ours = (
            "" if error.args != ("quickvision",) else "; quickvision's export has written none"
        )
        raise BundleError(f"expected {error} in {file}, got none{of_ours}") from error
    except (TypeError, ValueError, AttributeError, RecursionError, OSError) as error:
        why = "too many brackets" if isinstance(error, RecursionError) else error
        raise BundleError(f"expected an exported model's settings in {file}, got: {why}") from error


def plain_file(folder: Path, name: str) -> Path:
    """Return a file of the folder, which is neither a link nor anything else.

    Raises:
        BundleError: It is.
    """
    file = folder / name
    if file.is_symlink():
        raise BundleError(f"expected a file at {file}, got a link, which may lead anywhere")
    if not file.is_file():
        there = sorted(p.name for p in folder.iterdir())
        raise BundleError(f"expected {name} in {folder}, got {some(there) or 'an empty folder'}")
    return file


def checked(folder: Path, name: str, bundle: Bundle) -> Path:
    """Return a file of weights, which has the hash that `config.json` says.

    That says that it is whole, and nothing of where it comes from.

    Raises:
        BundleError: It is another file, or none.
    """
    file = plain_file(folder, name)
    if (wanted := bundle.sha256.get(name, "none")) != (got := sha256_of(file)):
        raise BundleError(
            f"expected {file} as it was exported, got another: its SHA-256 is {got[:12]}..., and"
            f" {CONFIG} says {wanted[:12]}; copy or download the folder again"
        )
    return file


def sha256_of(file: Path) -> str:
    """Compute a file's SHA-256, in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise TypeError(f"{value!r:.60} where a short text is meant")
    return value


def _whole(value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{value!r:.60} where a whole number from {low} to {high:,} is meant")
    return value


def _sizes(values: Any, n: int, low: int = 1) -> tuple[Any, ...]:
    if not isinstance(values, list) or len(values) != n:
        raise ValueError(f"{values!r:.60} where {n} whole numbers are meant")
    return tuple(_whole(value, low, 16_384) for value in values)


def _numbers(values: Any, n: int, above: float = -math.inf) -> tuple[float, ...]:
    ok = isinstance(values, list) and all(type(v) in (int, float) for v in values)
    if not ok or len(values) != n or not all(above < v < math.inf for v in values):
        raise ValueError(f"{values!r:.60} where {n} numbers are meant")
    return tuple(float(value) for value in values)


def _pair(levels: Any) -> Levels:
    black, white = _numbers(levels, 2)
    return black, white
