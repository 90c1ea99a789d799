"""What a run was asked for, and which pictures it has: `config.json`, written and read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from fastai.data.core import DataLoaders

import quickvision
from quickvision.base.errors import RunError
from quickvision.base.files import write_whole
from quickvision.base.versions import versions
from quickvision.data.holdout import split_hash
from quickvision.data.mended import fixes_of
from quickvision.models.weights import is_on_hub
from quickvision.runs.options import RunConfig

NAME = "config.json"
# What options were before they had the default of today: a run goes on as it began.
WAS = {"bs": 64, "levels": "file"}
MODEL_WAS = {"head": "fastai", "batch_norm": "train"}


@dataclass(frozen=True)
class Spec:
    """What a run was asked for: all that is needed to do it again."""

    data: Any  # a folder or CSV file; or the `DataLoaders` or `Learner` that was given
    arch: Any = "resnet34"  # as in `cnn_learner`
    weights: Any = "default"  # as in `cnn_learner`
    model: Mapping[str, Any] = field(default_factory=dict)  # the other options of `cnn_learner`
    pictures: Mapping[str, Any] = field(default_factory=dict)  # the options of `load_data`
    train: RunConfig = field(default_factory=RunConfig)  # how it trains
    has_cbs: bool = False  # it was given callbacks, which no file can hold

    def with_pictures(self, **options: Any) -> Spec:
        """Return it with other options of `load_data`."""
        return replace(self, pictures={**self.pictures, **options})

    def plain(self, dls: DataLoaders) -> tuple[dict[str, Any], list[str]]:
        """Return the options that a file can hold, as plain values, and the names of the others."""
        named = isinstance(self.weights, str) and self.weights != "default"
        named = named and not is_on_hub(self.weights)
        written, lacking = _plain(
            {
                "data": Path(self.data) if isinstance(self.data, str) else self.data,
                "arch": self.arch,
                "weights": Path(self.weights) if named else self.weights,
            }
        )
        parts = {"model": self.model, "pictures": _located(self.pictures, dls)}
        for name, options in parts.items():
            written[name], lost = _plain(options)
            lacking += [f"{name}.{key}" for key in lost]
        return written, [*lacking, *(["cbs"] if self.has_cbs else [])]


@dataclass(frozen=True)
class Sides:
    """Which pictures there are, and who is on which side, in so far as it can be said."""

    n_train: int  # pictures in an epoch
    n_valid: int
    vocab: tuple[str, ...]
    split_sha256: str | None  # of who is held out; None for data that our doors did not make

    @classmethod
    def of(cls, dls: DataLoaders) -> Sides:
        """Look at the data."""
        vocab = tuple(str(name) for name in dls.vocab)
        return cls(len(dls.train_ds), len(dls.valid_ds), vocab, split_hash(dls))


@dataclass(frozen=True)
class Written:
    """What a run's `config.json` says."""

    spec: Spec  # what no file can hold is None in it, or missing
    lacking: tuple[str, ...]  # the names of these, as "model.loss"
    sides: Sides

    @property
    def files(self) -> dict[str, Path]:
        """Where files and folders were that the run was given, by the option's name."""
        named = {"data": self.spec.data, "weights": self.spec.weights, **self.spec.pictures}
        texts = {name: named.get(name) for name in ("data", "weights", "valid", "class_names")}
        found = {name: Path(text) for name, text in texts.items() if isinstance(text, str)}
        return {name: path for name, path in found.items() if path.is_absolute()}  # as written


def write_config(path: Path, spec: Spec, sides: Sides, dls: DataLoaders) -> None:
    """Write a run's `config.json`.

    What no file can hold (functions, losses, transforms, `DataLoaders`) is named in `lacking`.

    Args:
        path: The run's folder.
        spec: What was asked for.
        sides: Which pictures there are.
        dls: The data.
    """
    written, lacking = spec.plain(dls)
    text = json.dumps(
        {
            "quickvision": quickvision.__version__,
            "versions": versions(),
            "threads": torch.get_num_threads(),
            "device": str(dls.device or "cpu"),
            **written,
            "train": {name: _written(value) for name, value in asdict(spec.train).items()},
            "lacking": lacking,
            **asdict(sides),
        },
        indent=2,
        ensure_ascii=False,
    )
    whole = text.encode("utf-8", "surrogateescape")  # names of files and classes are bytes
    write_whole(path / NAME, partial(Path.write_bytes, data=whole))


def read_config(path: Path) -> Written:
    """Read a run's `config.json`.

    Raises:
        RunError: It is not there, or not as it was written.
    """
    file = path / NAME
    try:
        found = json.loads(file.read_text("utf-8", "surrogateescape"), object_hook=_back)
        return Written(
            spec=Spec(
                data=found.get("data"),
                arch=found.get("arch"),
                weights=found.get("weights"),
                model={**(MODEL_WAS if found.get("data") else {}), **found["model"]},
                pictures={**(WAS if found.get("data") else {}), **found["pictures"]},
                train=RunConfig(**found["train"]),
            ),
            lacking=tuple(str(name) for name in found["lacking"]),
            sides=Sides(
                index(found["n_train"]),
                index(found["n_valid"]),
                tuple(str(name) for name in found["vocab"]),
                found["split_sha256"],
            ),
        )
    except FileNotFoundError as error:
        runs = sorted(path.glob(f"*/{NAME}"), key=lambda p: p.stat().st_mtime)
        newest = f"; the newest run in it is {runs[-1].parent}" if runs else ""
        where = (
            "" if path.exists() or path.is_absolute() else f"; the working folder is {Path.cwd()}"
        )
        got = f"{path}, which has no {NAME}" if path.exists() else f"nothing at {path}"
        raise RunError(f"expected the folder of a run, got {got}{newest}{where}") from error
    except (OSError, ValueError) as error:
        raise RunError(f"expected a run's settings in {file}, got: {error}") from error
    except (TypeError, KeyError, AttributeError, OverflowError, RecursionError, re.error) as error:
        raise RunError(
            f"expected a run's settings in {file}, as they were written, got something else"
        ) from error


def _located(pictures: Mapping[str, Any], dls: DataLoaders) -> dict[str, Any]:
    """Make paths absolute, and held-out files names below the root: a run may be moved.

    Of fixes it is written down what they say: the file may be another one tomorrow.
    """
    pictures = dict(pictures)
    if pictures.get("fixes") is not None:
        pictures["fixes"] = fixes_of(dls)
    valid = pictures.get("valid")
    if isinstance(valid, Path) and not valid.expanduser().is_file():
        pictures["valid"] = str(valid)  # the name of a folder below the root
    elif valid is not None and not (isinstance(valid, str | Path | float) or callable(valid)):
        split = dls.split
        pictures["valid"] = split.loc[split["valid"], "path"].tolist()
    for name in ("class_names", "cache", "valid"):
        value = pictures.get(name)
        if isinstance(value, str) and Path(value).expanduser().is_file():
            pictures[name] = Path(value)
    cache = pictures.get("cache")
    if isinstance(cache, str) and cache != "auto":
        pictures["cache"] = Path(cache)
    return pictures


def _plain(options: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what JSON can hold of some options, and the names of the others."""
    written, lacking = {}, []
    for name, value in options.items():
        try:
            written[name] = _written(value)
        except TypeError:
            lacking.append(name)
    return written, lacking


def _written(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Path):
        return str(value.expanduser().resolve())
    if isinstance(value, re.Pattern):
        return {"pattern": value.pattern, "flags": int(value.flags)}
    if isinstance(value, slice):
        return {"slice": [_written(value.start), _written(value.stop)]}
    if isinstance(value, list | tuple):
        return [_written(part) for part in value]
    if isinstance(value, np.ndarray | torch.Tensor):
        return _written(value.tolist())
    if isinstance(value, Mapping):
        return {"items": [[_written(key), _written(part)] for key, part in value.items()]}
    home = getattr(torchvision.models, getattr(value, "__name__", ""), None)
    if home is value and callable(value):
        return f"torchvision/{value.__name__}"
    raise TypeError(f"expected a plain value, got {value!r}")


def _back(found: dict[str, Any]) -> Any:
    if set(found) == {"slice"}:
        return slice(*found["slice"])
    if set(found) == {"pattern", "flags"}:
        return re.compile(found["pattern"], found["flags"])
    if set(found) == {"items"}:
        return dict(found["items"])
    return found
