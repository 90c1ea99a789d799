"""What a finished run keeps beside its tables, to tell of itself later without its pictures."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastai.data.core import DataLoaders
from fastai.learner import Learner

from quickvision.base.errors import ModelError, RunError
from quickvision.base.figures import is_uneven
from quickvision.base.files import names_from_bytes, names_to_bytes, write_whole
from quickvision.data.check import check
from quickvision.data.holdout import skipped_of, split_of
from quickvision.data.leaks import Finding
from quickvision.data.mended import COLUMNS, KEEP
from quickvision.data.paths import below
from quickvision.data.pictures import levels_in
from quickvision.data.transforms import Look
from quickvision.data.understood import understood_of
from quickvision.data.view import View
from quickvision.report.outcome import Data, Heat, rivals, shown_worst
from quickvision.results.embeddings import Embeddings, save_embeddings
from quickvision.results.heatmap import heatmaps
from quickvision.results.predictions import Predictions, paths_of
from quickvision.results.suspects import suspects
from quickvision.runs.checkpoints import plain
from quickvision.runs.progress import Progress
from quickvision.training.features import Features

NAME, PREDS, FEATURES, HEAT = "run.json", "predictions.npz", "features.npz", "heatmaps.npz"
LEAST = 9  # places of a picture, below which a heat map shows nothing
_DAMAGED = (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile)


@dataclass(frozen=True)
class Kept:
    """What `run.json` says.

    Attributes:
        arch: Name of the architecture.
        root: Folder of the pictures, below which tables name them.
        progress: Stages, rates, epochs.
        data: The pictures; what was left out stands in `skipped.csv`.
        versions: Of the packages that it ended with.
        code: The plain fastai script that does the same.
    """

    arch: str
    root: Path
    progress: Progress
    data: Data
    versions: Mapping[str, str]
    code: str


def look_at_data(learn: Learner, *, checked: bool) -> Data:
    """Say what there is to say of a learner's pictures.

    Args:
        learn: The learner.
        checked: Look for what is wrong with them, as `quickvision.check` does.
    """
    dls, findings = learn.dls, None
    if checked and split_of(dls) is not None:
        rows = check(dls).findings.to_numpy(dtype=object)
        findings = tuple(Finding(*row) for row in rows)
    looks = [tfm for tfm in dls.valid.after_item.fs if isinstance(tfm, Look)]
    return Data(
        n_train=len(dls.train_ds),
        uneven=is_uneven(dls),
        understood=dict(understood_of(dls)),
        findings=findings,
        skipped=skipped_of(dls),
        fixed=_fixed(dls),
        view=looks[0].view if looks else None,
        levels=levels_in(dls),
    )


def keep_features(path: Path, learn: Learner, seen: Features, held: Features) -> None:
    """Write what the pretrained body said of the pictures, each once.

    Args:
        path: The run's folder.
        learn: The learner, for the pictures' names.
        seen: Of the training pictures.
        held: Of the validation pictures.

    Raises:
        RunError: It cannot be written.
    """
    root, dls = Path(learn.dls.path), learn.dls
    sides = (dls.train, seen), (dls.valid, held)
    names = [below(name, root) for dl, _ in sides for name in paths_of(dl)]
    x = np.concatenate([np.asarray(side.x[0]).reshape(len(side), -1) for _, side in sides])
    y = np.concatenate([np.asarray(side.y) for _, side in sides])
    once: dict[str, int] = {}  # with balance="oversample" a picture is there several times
    for i, name in enumerate(names):
        once.setdefault(name, i)
    first = np.array([*once.values()], dtype=np.int64)
    valid = np.arange(len(names)) >= len(seen)
    kept = Embeddings(
        x=x[first],
        labels=y[first].astype(np.int64),
        vocab=tuple(map(str, dls.vocab)),
        paths=tuple(once),
        valid=valid[first],
    )
    save_embeddings(kept, path / FEATURES)


def doubtful(known: Embeddings, data: Data) -> pd.DataFrame:
    """List the labels that look wrong, without those that somebody has said to keep."""
    found = suspects(known)
    kept = [path for path, action, _ in data.fixed if action == KEEP]
    return found[~found["path"].isin(kept)].reset_index(drop=True)


def keep_heat(path: Path, learn: Learner, preds: Predictions) -> None:
    """Write heat maps of the pictures that a report shows, where the model has any.

    Raises:
        RunError: They cannot be written.
    """
    (path / HEAT).unlink(missing_ok=True)
    index = shown_worst(preds)
    if not len(index):
        return
    try:
        both = heatmaps(learn, [preds.paths[i] for i in index], rivals(preds, index))
    except ModelError:  # its layers are not such that a map can be made
        return
    maps = both[:, 0] - both[:, 1]
    if maps[0].size < LEAST:  # a picture of 32 pixels is one place to a ResNet
        return
    write_whole(path / HEAT, partial(_save, index=index, maps=maps))


def read_heat(path: Path) -> Heat | None:
    """Read what `keep_heat` wrote; None where there is none, or it is damaged."""
    try:
        with np.load(path / HEAT, allow_pickle=False) as file:
            return Heat(file["index"], file["maps"])
    except _DAMAGED:
        return None


def keep_preds(path: Path, preds: Predictions) -> None:
    """Write all that predictions are made of.

    Raises:
        RunError: They cannot be written.
    """
    root = preds.root
    names = [p.as_posix() if root is None else below(p, root) for p in preds.paths]
    arrays: dict[str, Any] = {name: getattr(preds, name) for name in ("probs", "targs", "losses")}
    text = np.frombuffer(names_to_bytes(names), dtype=np.uint8)
    write_whole(path / PREDS, partial(_save, **arrays, paths=text))


def read_preds(path: Path, vocab: tuple[str, ...], root: Path) -> Predictions:
    """Read what `keep_preds` wrote.

    Args:
        path: The run's folder.
        vocab: The run's classes.
        root: Where the pictures are now.

    Raises:
        RunError: It is not there, or damaged.
    """
    try:
        with np.load(path / PREDS, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        names = names_from_bytes(found.pop("paths").tobytes())
        return Predictions(**found, vocab=vocab, paths=tuple(root / p for p in names), root=root)
    except _DAMAGED as error:
        raise RunError(f"expected a run's predictions in {path / PREDS}, got: {error}") from error


def keep(path: Path, kept: Kept) -> None:
    """Write `run.json`: from then on the run can be opened without its pictures.

    Raises:
        RunError: It cannot be written.
    """
    data = kept.data
    text = json.dumps(
        {
            "arch": kept.arch,
            "root": str(kept.root.resolve()),
            "progress": plain(kept.progress.to_plain()),
            "n_train": data.n_train,
            "uneven": data.uneven,
            "understood": dict(data.understood),
            "findings": None
            if data.findings is None
            else [[*map(plain, f)] for f in data.findings],
            "fixed": [*map(list, data.fixed)],
            "view": None if data.view is None else asdict(data.view),
            "levels": data.levels,
            "versions": dict(kept.versions),
            "code": kept.code,
        },
        indent=1,
        ensure_ascii=False,
    )
    whole = text.encode("utf-8", "surrogateescape")
    write_whole(path / NAME, partial(Path.write_bytes, data=whole))


def read_kept(path: Path) -> Kept | None:
    """Read `run.json`; None of a run that has none: it is of an older version, or was stopped.

    Raises:
        RunError: It is damaged.
    """
    file = path / NAME
    if not file.is_file():
        return None
    try:
        found = json.loads(file.read_text("utf-8", "surrogateescape"))
        findings, levels = found["findings"], found["levels"]
        return Kept(
            arch=str(found["arch"]),
            root=Path(found["root"]),
            progress=Progress.from_plain(found["progress"]),
            data=Data(
                n_train=int(found["n_train"]),
                uneven=bool(found["uneven"]),
                understood=dict(found["understood"]),
                findings=None if findings is None else tuple(map(_finding, findings)),
                fixed=tuple((path, action, label) for path, action, label in found["fixed"]),
                view=None if found["view"] is None else _view(found["view"]),
                levels=None if levels is None else tuple(levels),
            ),
            versions=dict(found["versions"]),
            code=str(found["code"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"expected what a run kept of itself in {file}, got: {error!r}") from error


def _fixed(dls: DataLoaders) -> tuple[tuple[str, str, str], ...]:
    table = getattr(dls, "fixed", None)
    if not isinstance(table, pd.DataFrame):
        return ()
    return tuple(zip(*(table[name] for name in COLUMNS), strict=True))


def _view(found: dict[str, Any]) -> View:
    size, fill = (tuple(found.pop(name)) for name in ("size", "fill"))
    return View(size=size, fill=fill, **found)


def _finding(found: Sequence[Any]) -> Finding:
    severity, finding, n, advice, examples = found
    return Finding(severity, finding, n, advice, tuple(examples))


def _save(part: Path, **arrays: Any) -> None:
    np.savez_compressed(part, **arrays)
