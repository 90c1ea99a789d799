"""The plain fastai script that does what a run did, with its real numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from fastai.torch_core import even_mults
from torch import nn

from quickvision.runs.config import Spec
from quickvision.runs.options import RunConfig
from quickvision.runs.script_model import model_lines
from quickvision.training.features import cut_head
from quickvision.training.fit import count_groups, gradual_steps
from quickvision.training.schedules import DROPS

_HEAD = [
    "# What the run did, in plain fastai.",
    "import pandas as pd",
    "import timm",
    "import torchvision",
    "from fastai.vision.all import *",
    "from safetensors.torch import load_file",
    "",
]


class Code(str):
    """Text of a program, which a notebook and a prompt show as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def write_script(learn: Learner, spec: Spec, stages: Sequence[Any], split: Path) -> Code:
    """Write the program.

    What cannot be written down (transforms, losses, functions of your own) is a name with `...`, to
    be filled in.

    Args:
        learn: The learner, trained.
        spec: What was asked for.
        stages: The run's stages, with their rates.
        split: The run's `split.csv`.
    """
    config, data = spec.train, spec.data
    made = {name: getattr(spec, name) for name in ("data", "arch", "weights", "model", "pictures")}
    made["cbs"] = spec.has_cbs
    parts = [_HEAD, [f"set_seed({config.seed})"]]
    if made.get("cbs"):
        parts.append(["cbs = ...  # your own callbacks, in a list"])
    if isinstance(data, Learner) or not made:
        parts.append(["learn = ...  # your own Learner, as you gave it to quickvision"])
    else:
        opaque = isinstance(data, DataLoaders)
        parts.append(
            ["dls = ...  # your own DataLoaders, normalised as the weights expect"]
            if opaque
            else _data(learn, made["pictures"], split)
        )
        parts.append(["", f"set_seed({config.seed})", *model_lines(learn, made)])
    for stage in stages:
        parts.append(["", *_stage(learn, config, stage, bool(made.get("cbs")))])
    n = config.tta
    looks = f"learn.tta(n={n})  # a quarter of it is the plain look" if n else "learn.get_preds()"
    parts.append(
        [
            "",
            f"probs, targs = {looks}",
            'print("error", (probs.argmax(dim=1) != targs).float().mean().item())',
        ]
    )
    return Code("\n".join(line for part in parts for line in part) + "\n")


def _data(learn: Learner, pictures: Mapping[str, Any], split: Path) -> list[str]:
    """Write the data block: the split that was used, the transforms as they are."""
    dls = learn.dls
    lines = [
        f"root = Path({str(dls.path)!r})",
        "# One row a picture: its path below root, its label, whether it is held out.",
        f"split = pd.read_csv({str(split)!r}, dtype={{'label': str}}, keep_default_na=False)",
    ]
    if pictures.get("balance") == "oversample":
        lines += [
            "train = split[~split['valid']]  # smaller classes repeat their pictures",
            "most = train['label'].value_counts().max()",
            "groups = [g for _, g in train.groupby('label', sort=False)]",
            "train = pd.concat([g.iloc[np.arange(most) % len(g)] for g in groups])",
            "split = pd.concat([train, split[split['valid']]], ignore_index=True)",
        ]
    crop, size = pictures.get("crop_pct", 1.0), pictures.get("size", 224)
    if pictures.get("batch_tfms") is None and crop < 1:
        lines += [
            "",
            "",
            "class CentreCrop(Transform):  # validation looks at the middle",
            "    order, split_idx = 1, 1",
            "",
            "    def encodes(self, x: TensorImage):",
            f"        h, w = (round(side * {crop!r}) for side in x.shape[-2:])",
            "        top, left = (x.shape[-2] - h) // 2, (x.shape[-1] - w) // 2",
            "        return x[..., top : top + h, left : left + w]",
            "",
            "",
        ]
    stats = [
        f"Normalize.from_stats({tfm.mean.flatten().tolist()}, {tfm.std.flatten().tolist()})"
        for tfm in dls.after_batch.fs
        if type(tfm).__name__ == "Normalize"
    ]
    resize = next((t for t in dls.after_item.fs if type(t).__name__ == "Resize"), None)
    if pictures.get("item_tfms") is None and resize is not None:
        how = [f"method={resize.method!r}", f"pad_mode={resize.pad_mode!r}"]
        how.append(f"resamples=({int(resize.resamples[0])}, {int(resize.resamples[1])})")
        item = f"Resize({tuple(resize.size)}, {', '.join(how)})"
    else:
        item = "..."
    own = pictures.get("batch_tfms") is not None
    middle = ["CentreCrop()"] if crop < 1 else []
    tfms = "*..." if own else f"*aug_transforms(size={size!r})"
    batch = f"[{', '.join([*([] if own else middle), tfms, *stats])}]"
    return [
        *lines,
        "# quickvision lets the JPEG decoder shrink very large photos, and turns them as their",
        "# EXIF tag says: of such pictures a few pixels differ here. What is ... is yours.",
        "block = DataBlock(",
        "    blocks=(ImageBlock, CategoryBlock),",
        "    get_x=lambda row: root / row['path'],",
        "    get_y=lambda row: row['label'],",
        "    splitter=ColSplitter('valid'),",
        f"    item_tfms={item},",
        f"    batch_tfms={batch},",
        ")",
        f"dls = block.dataloaders(split, bs={dls.bs}, num_workers={dls.train.fake_l.num_workers})",
    ]


def _stage(learn: Learner, config: RunConfig, stage: Any, cbs: bool) -> list[str]:
    """Write one stage."""
    order = f"random.Random({config.seed})  # the order of the pictures"
    lines = [f"# The {stage.name} stage."]
    if stage.cached:
        lines += _on_features(learn, config, order)
    lines += [f"set_seed({config.seed})"]
    if stage.cached:
        return [*lines, _fit("top", learn, config, stage.epochs, stage.lr, cbs, groups=1)]
    lines.append(f"learn.dls.train.rng = {order}")
    n = count_groups(learn)
    steps = gradual_steps(learn, stage.epochs) if stage.gradual else [(n, stage.epochs)]
    for opened, epochs in steps:
        whole = "unfreeze()" if opened == n else f"freeze_to(-{opened})"
        lines.append(f"learn.{'freeze()' if stage.name == 'frozen' else whole}")
        lines.append(_fit("learn", learn, config, epochs, stage.lr, cbs, groups=n))
    return lines


def _on_features(learn: Learner, config: RunConfig, order: str) -> list[str]:
    """Write how the body looks at each picture once, and a learner of the head alone."""
    fixed, head, dls = cut_head(learn.model)[0], learn.model[1], learn.dls
    k = len(fixed) - 1
    chain = type(head) is nn.Sequential
    views = [
        f"# With {config.views} augmented passes besides, of which each epoch draws one a picture;",
        "# here only the plain one.",
    ]
    return [
        "# The frozen body says the same of a picture each time: it is asked once, and the head",
        "# trains on what it says.",
        *(views if config.views else []),
        f"body = nn.Sequential(learn.model[0], *learn.model[1][:{k}])"
        if chain
        else "body = learn.model[0]",
        f"head = learn.model[1]{f'[{k}:]' if chain else ''}",
        "",
        "",
        "def features(dl):",
        "    learn.model.eval()",
        "    with torch.no_grad(), dl.dataset.set_split_idx(1):",
        "        seen = [",
        "            (body(x.as_subclass(Tensor)), y)",
        "            for x, y in dl.new(shuffle=False, drop_last=False)",
        "        ]",
        "    xs, ys = zip(*seen)",
        "    return list(zip(torch.cat(xs), torch.cat(ys)))",
        "",
        "",
        f"train = DataLoader(features(dls.train), bs={dls.train.bs}, shuffle=True, drop_last=True)",
        f"valid = DataLoader(features(dls.valid), bs={dls.train.bs})",
        f"train.rng = {order}",
        "top = Learner(",
        "    DataLoaders(train, valid),",
        "    head,",
        "    loss_func=learn.loss_func,",
        "    opt_func=learn.opt_func,",
        "    metrics=learn.metrics,",
        "    wd=learn.wd,",
        "    moms=learn.moms,",
        ")",
    ]


def _fit(
    name: str, learn: Learner, config: RunConfig, epochs: int, lr: Any, cbs: bool, groups: int
) -> str:
    """Write the fit, as `schedules.fit_scheduled` does it."""
    given = ["*cbs"] if cbs else []
    given += [f"MixUp({config.mixup!r})"] if config.mixup else []
    given += [f"CutMix({config.cutmix!r})"] if config.cutmix else []
    if config.patience:
        given.append(f"EarlyStoppingCallback(patience={config.patience})")
    rate, rates = _rate(lr), _rates(lr, groups)
    schedule = config.schedule
    torchs = isinstance(learn.opt, OptimWrapper) and "mom" not in learn.opt.hypers[0]
    moving = {
        "one_cycle": f"combined_cos(0.25, {rates} / 25, {rates}, {rates} / 1e5)",
        "cosine": f"SchedCos({rates}, {rates} / 1e5)",
        "step": f"lambda pos: {rates} * 0.1 ** (int(pos * {epochs} + 1e-6) // "
        f"{-(-epochs // DROPS)})",
    }
    if schedule in ("one_cycle", "flat_cos") and not (schedule == "one_cycle" and torchs):
        verb = f"fit_{schedule}({epochs}, {rate}"
    elif schedule in moving:
        given.insert(0, f"ParamScheduler({{'lr': {moving[schedule]}}})")
        verb = f"fit({epochs}"
    else:
        if schedule == "plateau":
            given.insert(0, "ReduceLROnPlateau()")
        verb = f"fit({epochs}, {rate}"
    return f"{name}.{verb}{f', cbs=[{chr(44).join(given)}]' if given else ''})"


def _rate(lr: Any) -> str:
    if not isinstance(lr, slice):
        return repr(float(lr))
    return f"slice({lr.start!r}, {lr.stop!r})"


def _rates(lr: Any, groups: int) -> str:
    """Write one rate for each layer group, as fastai spreads a slice."""
    if not isinstance(lr, slice):
        return f"np.full({groups}, {float(lr)!r})"
    if lr.start is None:
        spread = [lr.stop / 10] * (groups - 1) + [lr.stop]
    else:
        spread = list(np.atleast_1d(even_mults(lr.start, lr.stop, groups)))
    return f"np.array({[float(rate) for rate in spread]})"
