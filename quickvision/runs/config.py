"""What a run was asked for, checked before anything is read, and written to `config.json`."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from operator import index
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np
import pandas as pd
import torch
import torchvision
from fastai.data.core import DataLoaders

import quickvision
from quickvision.base.errors import RunError
from quickvision.base.figures import to_seconds
from quickvision.base.files import write_whole
from quickvision.training.fit import check_patience
from quickvision.training.records import check_log
from quickvision.training.schedules import check_schedule

MAX_SEED = 2**63 - 1  # of torch
Rate = float | slice | str


@dataclass(frozen=True)
class RunConfig:
    """How a run trains: the options of `quickvision.train`, which explains them.

    Raises:
        TypeError: Options that do not go together.
        ValueError: One of them is out of range.
    """

    frozen_epochs: int = 4
    unfrozen_epochs: int = 2
    lr: Rate = "find"
    lr_unfrozen: Rate | None = None
    schedule: str = "one_cycle"
    gradual: bool = False
    patience: int | None = None
    mixup: float = 0.0
    cutmix: float = 0.0
    tta: int = 0
    budget: str | float | None = None
    cache_features: bool = True
    views: int = 0
    log: str | None = None
    deterministic: bool = False
    seed: int = 42

    def __post_init__(self) -> None:
        for name in ("gradual", "cache_features", "deterministic"):
            flag = getattr(self, name)
            if not isinstance(flag, bool):
                raise ValueError(f"{name}: expected True or False, got {flag!r}")
        whole = {"frozen_epochs": self.frozen_epochs, "unfrozen_epochs": self.unfrozen_epochs}
        more = {"views": self.views, "tta": self.tta, "seed": self.seed}
        for name, value in {**whole, **more}.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"{name}: expected a whole number from 0, got {value!r}")
        if not any(whole.values()):
            raise ValueError("expected epochs to train, got 0 frozen and 0 unfrozen ones")
        if self.seed > MAX_SEED:
            raise ValueError(f"seed: expected at most {MAX_SEED:,}, got {self.seed:,}")
        for name, rate in (("lr", self.lr), ("lr_unfrozen", self.lr_unfrozen)):
            if isinstance(rate, SupportsFloat):  # what find_lr found is a number too
                with suppress(TypeError):  # but an array is none
                    object.__setattr__(self, name, rate := float(rate))
            good = _is_rate(rate) or (rate is None and name == "lr_unfrozen")
            if isinstance(rate, str):
                good = rate == "find"
            if isinstance(rate, slice):
                good = _is_rate(rate.stop) and (rate.start is None or _is_rate(rate.start))
            if not good:
                raise ValueError(
                    f"{name}: expected 'find', a rate such as 1e-3 or a slice of two, got {rate!r}"
                )
        for name, alpha in (("mixup", self.mixup), ("cutmix", self.cutmix)):
            if not isinstance(alpha, int | float) or not (alpha == 0 or 1e-3 <= alpha <= 1e3):
                raise ValueError(f"{name}: expected a strength such as 0.4, or 0, got {alpha!r}")
        if self.mixup and self.cutmix:
            raise TypeError("mixup and cutmix: expected one of them, got both")
        if self.gradual and not self.unfrozen_epochs:
            raise TypeError("gradual: goes with unfrozen epochs, got none")
        if self.views and not self.cache_features:
            raise TypeError("views: goes with cached features, and cache_features=False is given")
        check_schedule(self.schedule)
        check_patience(self.patience)
        check_log(self.log)
        if self.budget is not None:
            to_seconds(self.budget)

    @property
    def second_lr(self) -> Rate:
        """Rate of the unfrozen stage: as given, or as `lr` is, or half of it."""
        if self.lr_unfrozen is not None:
            return self.lr_unfrozen
        return self.lr if isinstance(self.lr, str | slice) else self.lr / 2

    def from_scratch(self) -> RunConfig:
        """Turn it into what is done without weights: all epochs with all layers, at one rate."""
        epochs = self.frozen_epochs + self.unfrozen_epochs
        lr = self.lr if self.lr_unfrozen is None else self.lr_unfrozen
        return replace(self, frozen_epochs=0, unfrozen_epochs=epochs, lr_unfrozen=lr)


def _is_rate(rate: Any) -> bool:
    return isinstance(rate, int | float) and 0 < rate < math.inf


NAME = "config.json"
_PACKAGES = ("torch", "torchvision", "fastai", "timm", "numpy", "pillow")


def write_config(path: Path, config: RunConfig, made: Mapping[str, Any], dls: DataLoaders) -> None:
    """Write a run's `config.json`.

    What no file can hold (functions, losses, transforms, `DataLoaders`) is named in `lacking`.

    Args:
        path: The run's folder.
        config: How it is trained.
        made: The options that data and model are made with.
        dls: The data.
    """
    written, lacking = plain_options(made, dls)
    text = json.dumps(
        {
            "quickvision": quickvision.__version__,
            "versions": {
                "python": platform.python_version(),
                **{package: version(package) for package in _PACKAGES},
            },
            "threads": torch.get_num_threads(),
            "device": str(dls.device or "cpu"),
            **written,
            "train": {key: _jsonable(part, key, []) for key, part in asdict(config).items()},
            "lacking": lacking,
            **sides(dls),
        },
        indent=2,
        ensure_ascii=False,
    )
    whole = text.encode("utf-8", "surrogateescape")  # names of files and classes are bytes
    write_whole(path / NAME, partial(Path.write_bytes, data=whole))


def plain_options(made: Mapping[str, Any], dls: DataLoaders) -> tuple[dict[str, Any], list[str]]:
    """Return the options that a file can hold, as plain values, and the names of the others."""
    lacking: list[str] = []
    written: dict[str, Any] = {}
    for name, value in _located(made, dls).items():
        if name in ("model", "pictures"):
            parts = {key: _jsonable(part, f"{name}.{key}", lacking) for key, part in value.items()}
            written[name] = {key: part for key, part in parts.items() if part is not _NOTHING}
        elif name != "cbs" and (part := _jsonable(value, name, lacking)) is not _NOTHING:
            written[name] = part
    return written, lacking + ["cbs"] * bool(made.get("cbs"))


def sides(dls: DataLoaders) -> dict[str, Any]:
    """Say which pictures there are, and who is on which side, in so far as it can be said."""
    return {
        "n_train": len(dls.train_ds),
        "n_valid": len(dls.valid_ds),
        "vocab": [str(name) for name in dls.vocab],
        "split_sha256": split_hash(dls),
    }


def read_config(path: Path) -> dict[str, Any]:
    """Read a run's `config.json`; its `train` is a `RunConfig` then.

    Raises:
        RunError: It is not there, or not as it was written.
    """
    file = path / NAME
    try:
        found = json.loads(file.read_text("utf-8", "surrogateescape"), object_hook=_back)
        found["train"] = RunConfig(**found["train"])
        for name in ("model", "pictures"):
            found[name] = dict(found[name])
        found["lacking"] = [str(name) for name in found["lacking"]]
        found["vocab"], found["n_train"] = list(found["vocab"]), index(found["n_train"])
    except FileNotFoundError as error:
        runs = sorted(path.glob(f"*/{NAME}"), key=lambda p: p.stat().st_mtime)
        newest = f"; the newest run in it is {runs[-1].parent}" if runs else ""
        raise RunError(f"expected the folder of a run, got {path}{newest}") from error
    except (OSError, ValueError) as error:
        raise RunError(f"expected a run's settings in {file}, got: {error}") from error
    except (TypeError, KeyError, AttributeError, OverflowError, RecursionError, re.error) as error:
        raise RunError(
            f"expected a run's settings in {file}, as they were written, got something else"
        ) from error
    return found


def split_hash(dls: DataLoaders) -> str | None:
    """Hash who is on which side; None for data that our doors did not make."""
    split = getattr(dls, "split", None)
    if not isinstance(split, pd.DataFrame):
        return None
    text = split.to_csv(index=False, lineterminator="\n")
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _located(made: Mapping[str, Any], dls: DataLoaders) -> dict[str, Any]:
    """Make paths absolute, and held-out files names below the root: a run may be moved."""
    pictures, weights = dict(made["pictures"]), made["weights"]
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
    data = Path(made["data"]) if isinstance(made["data"], str) else made["data"]
    weights = Path(weights) if isinstance(weights, str) and weights != "default" else weights
    return {**made, "data": data, "weights": weights, "pictures": pictures}


_NOTHING = object()


def _jsonable(value: Any, name: str, lacking: list[str]) -> Any:
    """Turn a value into what JSON holds; where that cannot be, note the name."""
    try:
        return _written(value)
    except TypeError:
        lacking.append(name)
        return _NOTHING


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
