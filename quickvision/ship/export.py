"""`export`: a trained model as a folder that anyone can open, checked before it is there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
from fastai.learner import Learner
from fastai.torch_core import no_random
from torch import nn

import quickvision
from quickvision.base.errors import BundleError, ModelError, as_path, expect, some
from quickvision.base.files import whole_folder
from quickvision.base.progress import line, say
from quickvision.base.versions import versions
from quickvision.data.holdout import split_hash
from quickvision.data.transforms import mirrors
from quickvision.data.view import TO_TIMM
from quickvision.models.zoo import arch_name, find_arch
from quickvision.results.calibration import Calibration, calibration
from quickvision.results.predictions import Predictions, get_preds
from quickvision.ship.bundle import (
    CARD,
    CONFIG,
    EXAMPLE,
    EXAMPLES,
    FILES,
    ONNX,
    WEIGHTS,
    Bundle,
    Network,
    sha256_of,
)
from quickvision.ship.card import figures_of, write_card
from quickvision.ship.graph import Divided, write_onnx
from quickvision.ship.network import calibrated, whole_network
from quickvision.ship.preprocessing import Preprocessing, preprocessing
from quickvision.ship.verify import checks


@dataclass(frozen=True)
class _Shipped:
    """What is written: the network, what is known of it, and why timm cannot open it."""

    bundle: Bundle
    model: nn.Module
    why_not: str


def export(
    learn: Learner,
    path: str | Path,
    *,
    onnx: bool = False,
    calibrate: bool = True,
    preds: Predictions | None = None,
    verbose: bool = True,
) -> Path:
    """Write a trained model as a folder that needs neither this program's data nor its code.

    It has `model.safetensors`, `config.json` and `README.md` (a model card); with `onnx`,
    `model.onnx` and `predict_onnx.py`, too. Where the network is one of timm's, last layer
    included, timm and transformers open the folder as it is: `timm.create_model("local-dir:model",
    pretrained=True)`, `pipeline("image-classification", model="model")`. The folder is opened and
    asked about 64 validation pictures before it is moved into place.

    Args:
        learn: A trained learner, which stays as it is.
        path: The folder to write; an earlier export is replaced, anything else is left alone.
        onnx: Write an ONNX file, too; needs `pip install 'quickvision[onnx]'`.
        calibrate: Divide the logits by the temperature that makes the validation pictures'
            probabilities true (`calibration`); it goes into the last layer, so that all who read
            the file get it. The most probable class stays the same.
        preds: What the learner says of its validation pictures, where that is known.
        verbose: Say what was checked.

    Returns:
        The folder.

    Raises:
        BundleError: There is something else at `path`; what `onnx` needs is not installed; or the
            exported model answers otherwise.
        DataError: Pictures come to their size in a way that cannot be written down.
        ModelError: No library can build the model, and `onnx` is not asked for.
        RunError: It cannot be written.
    """
    expect(learn, Learner, "learn")
    target = as_path(path, "path")
    _check_free(target)
    with no_random(reproducible=False):  # building a network draws
        how = preprocessing(learn)
        preds = get_preds(learn) if preds is None else preds
        found = calibration(preds) if calibrate else None
        shipped = _shipped(learn, how, preds, found, onnx=onnx)
        with _replacing(target) as folder:
            bundle = _write(folder, shipped, learn, preds, onnx=onnx)
            lines = checks(folder, bundle, preds, shipped.why_not, exact=how.exact)
    for text in ("exported", str(target)), *lines, *_calibrated(found):
        say(line(*text), verbose=verbose)
    return target


def _check_free(target: Path) -> None:
    """See that nothing of the user's is in the way."""
    if not target.exists():
        return
    if not target.is_dir():
        raise BundleError(f"expected a new folder, got a file at {target}")
    others = [p.name for p in target.iterdir() if p.name not in (*FILES, EXAMPLES)]
    ours = (target / CONFIG).is_file() or not any(target.iterdir())
    if others or not ours:
        raise BundleError(
            f"expected a new folder, or an earlier export, got {target} with"
            f" {some(others or [p.name for p in target.iterdir()])}; give another path"
        )


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Write a new folder, and put it in the place of the old one when it is whole."""
    new = target.with_name(f".new-{target.name}")
    old = target.with_name(f".old-{target.name}")
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    try:
        with whole_folder(new) as folder:
            yield folder
        if (target / EXAMPLES).is_dir():  # the user's, for the page
            shutil.copytree(target / EXAMPLES, new / EXAMPLES, symlinks=True)
        if target.exists():
            target.rename(old)
        new.rename(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _shipped(
    learn: Learner,
    how: Preprocessing,
    preds: Predictions,
    found: Calibration | None,
    *,
    onnx: bool,
) -> _Shipped:
    """Say what the model is, with its temperature in it."""
    c, shape = len(preds.vocab), (len(how.mean), *how.view.size)
    temperature = found.temperature if found else 1.0
    try:
        network, model, why_not = whole_network(
            learn.model, getattr(learn, "arch", None), c=c, shape=shape
        )
        why_not = why_not or _why_not_pictures(how)
        model = calibrated(model, temperature)
    except (ModelError, TypeError):
        if not onnx:
            raise
        network, why_not = Network("", arch_name(learn), channels=shape[0]), "it is in no library"
        model = Divided(learn.model, temperature)
    figures = figures_of(preds.accuracy) | {"n_train": len(learn.dls.train_ds)}
    figures["split_sha256"] = split_hash(learn.dls)
    if found is not None:
        figures |= {"ece": found.ece, "ece_after": found.ece_after, "ece_chance": found.ece_chance}
    bundle = Bundle(
        vocab=preds.vocab,
        view=how.view,
        mean=how.mean,
        std=how.std,
        network=network,
        at_least=how.at_least,
        levels=how.levels,
        mirrored=mirrors(learn.dls),
        temperature=temperature,
        figures=figures,
        versions={"quickvision": quickvision.__version__} | versions(),
    )
    return _Shipped(bundle, model, why_not)


def _why_not_pictures(how: Preprocessing) -> str:
    """Say why timm would look at other pixels; empty where it looks at the same."""
    view = how.view
    if view.resize == "pad" and tuple(round(255 * m) for m in how.mean) != tuple(view.fill):
        return f"it pads with {view.fill}, and timm with the mean of its statistics"
    if len(how.mean) != 3:
        return f"its pictures have {len(how.mean)} channels"
    return ""


def _write(
    folder: Path, shipped: _Shipped, learn: Learner, preds: Predictions, *, onnx: bool
) -> Bundle:
    """Write all files; the hashes of the weights come last, into `config.json`."""
    bundle, model = shipped.bundle, shipped.model
    hashes = {}
    if bundle.network.library:
        state = {name: part.contiguous() for name, part in model.state_dict().items()}
        safetensors.torch.save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
        (folder / WEIGHTS).chmod(0o666 & ~_umask())  # safetensors lets nobody else read it
        hashes[WEIGHTS] = sha256_of(folder / WEIGHTS)
    if onnx:
        write_onnx(model, bundle, folder / ONNX)
        hashes[ONNX] = sha256_of(folder / ONNX)
        shutil.copyfile(Path(__file__).with_name(f"{EXAMPLE}.txt"), folder / EXAMPLE)
    bundle = replace(bundle, sha256=hashes)
    pretrained = bool(getattr(learn, "pretrained", False))
    arch = getattr(learn, "arch", None)
    licence = find_arch(arch).settings.licence if pretrained and arch is not None else None
    said = {"quickvision": bundle.to_plain()}
    if not shipped.why_not:
        said = _for_timm(bundle, licence) | said
    text = json.dumps(said, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / CONFIG).write_text(text, encoding="utf-8")
    card = write_card(
        bundle, preds, why_not=shipped.why_not, licence=licence, pretrained=pretrained
    )
    (folder / CARD).write_text(card, encoding="utf-8")
    return bundle


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _for_timm(bundle: Bundle, licence: str | None) -> dict[str, Any]:
    """Write what timm and transformers read. `pretrained_cfg` takes timm's own fields alone.

    Not `num_classes` in `model_args`, as timm's `save_for_hf` has it: transformers hands it over
    twice.
    """
    view, c, name = bundle.view, len(bundle.vocab), bundle.network.arch
    own = timm.create_model(name, num_classes=c, **bundle.network.args)
    known: Mapping[str, Any] = own.pretrained_cfg
    kept = ("pool_size", "first_conv", "classifier", "fixed_input_size")
    cfg = {
        "architecture": name,
        "tag": "quickvision",
        "custom_load": False,
        "input_size": [bundle.network.channels, *view.size],
        "interpolation": view.interpolation,
        "crop_pct": view.crop_pct,
        "crop_mode": TO_TIMM[view.resize],
        "mean": list(bundle.mean),
        "std": list(bundle.std),
        "num_classes": c,
        **{key: known[key] for key in kept if known.get(key) is not None},
    }
    return {
        "architecture": name,
        "num_classes": c,
        "num_features": own.num_features,
        "label_names": list(bundle.vocab),
        "model_args": dict(bundle.network.args),
        "pretrained_cfg": cfg | ({"license": licence} if licence else {}),
    }


def _calibrated(found: Calibration | None) -> list[tuple[str, str]]:
    if found is None:
        return []
    if found.temperature == 1:
        return [("not changed", f"no temperature is better than these probabilities: {found}")]
    return [("calibrated", f"was {found}")]
