"""What a pretrained body says of the pictures of a run, before it has learned their labels."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quickvision.base.errors import RunError
from quickvision.base.files import names_from_bytes, names_to_bytes, write_whole

LARGEST = 2**30  # bytes of a file of embeddings; a run that would have more writes none
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True, eq=False, repr=False)
class Embeddings:
    """Features of n pictures, of both sides, by a body that has not seen their labels.

    A body that was fine-tuned has learned the labels, wrong ones among them: what it says of the
    pictures it was trained on hides them.

    Attributes:
        x: float32 [n, f].
        labels: int64 [n], index of each picture's label in `vocab`.
        vocab: The class names.
        paths: The n files below the run's root, with `/`, each once.
        valid: bool [n], True for pictures that were held out.

    Raises:
        ValueError: The lengths do not fit together.
    """

    x: np.ndarray
    labels: np.ndarray
    vocab: tuple[str, ...]
    paths: tuple[str, ...]
    valid: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.paths)
        got = (self.x.shape[:1], self.labels.shape, self.valid.shape)
        if got != ((n,),) * 3 or self.x.ndim != 2:
            raise ValueError(
                f"expected features [n, f], labels and sides of {n} pictures, got {self.x.shape},"
                f" {self.labels.shape} and {self.valid.shape}"
            )

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return f"<Embeddings: {len(self):,} pictures, {self.x.shape[1]:,} features>"

    def rows(self, paths: Sequence[str]) -> np.ndarray:
        """Return where these pictures are, int64 [len(paths)]; -1 for one that is not there."""
        place = {path: i for i, path in enumerate(self.paths)}
        return np.array([place.get(path, -1) for path in paths], dtype=np.int64)


def save_embeddings(embeddings: Embeddings, path: Path) -> Path | None:
    """Write them, features as float16.

    Returns:
        The path; None, and nothing is written, where the file would be above a gigabyte, or a
        feature is no finite number.

    Raises:
        RunError: They cannot be written.
    """
    if 2 * embeddings.x.size > LARGEST or not np.isfinite(embeddings.x).all():
        return None
    most = float(np.finfo(np.float16).max)
    kept: dict[str, Any] = {
        "x": embeddings.x.clip(-most, most).astype(np.float16),
        "labels": embeddings.labels,
        "vocab": _array(embeddings.vocab),
        "paths": _array(embeddings.paths),
        "valid": embeddings.valid,
    }
    return write_whole(path, lambda part: np.savez(part, **kept))


def read_embeddings(path: Path) -> Embeddings:
    """Read what `save_embeddings` wrote; no code in it is run.

    Raises:
        RunError: It is not there, or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            kept = {name: file[name] for name in file.files}
        return Embeddings(
            x=kept["x"].astype(np.float32),
            labels=kept["labels"],
            vocab=names_from_bytes(kept["vocab"].tobytes()),
            paths=names_from_bytes(kept["paths"].tobytes()),
            valid=kept["valid"],
        )
    except _DAMAGED as error:
        raise RunError(f"expected the features of a run's pictures in {path}, got: {error}") from (
            error
        )


def _array(names: Sequence[str]) -> np.ndarray:
    return np.frombuffer(names_to_bytes(names), dtype=np.uint8)
