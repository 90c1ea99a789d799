"""The plain fastai script that does what a run did, with its real numbers.

`script.py.jinja` reads as the script reads. What another room makes, that room says as code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.vision.learner import model_meta
from jinja2 import Template

from quickvision.base.errors import DataError
from quickvision.base.figures import is_uneven
from quickvision.base.processes import world_size
from quickvision.base.templates import environment
from quickvision.data import pictures as opened
from quickvision.data.transforms import LIGHT, Look
from quickvision.data.view import TO_TIMM
from quickvision.models import body, compute, head, losses, optimisers, zoo
from quickvision.models.body import is_cut
from quickvision.models.norms import KeepNorms
from quickvision.runs.config import Spec
from quickvision.runs.options import RunConfig
from quickvision.runs.progress import Stage, stage_seed
from quickvision.training import adapt, features, fit, logistic, schedules, solve

_HEAD = ("head", "hidden", "dropout", "activation")
_LOSS = ("loss", "loss_func", "label_smoothing", "class_weights")
_OPT = ("opt", "opt_func", "momentum")
_SAID = {*_HEAD, *_LOSS, *_OPT, "metrics", "layer_groups", "splitter", "precision", "compile"}
_SAID |= {"batch_norm"}
_PLAIN = (str, int, float, bool, type(None))


class Code(str):
    """Text of a program, which a notebook and a prompt show as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def write_script(learn: Learner, spec: Spec, stages: Sequence[Stage], split: Path) -> Code:
    """Write the program.

    What cannot be written down (transforms, losses, functions of your own) is a name with `...`, to
    be filled in.

    Args:
        learn: The learner, trained.
        spec: What was asked for.
        stages: The run's stages, with their rates.
        split: The run's `split.csv`.
    """
    own_learner = isinstance(spec.data, Learner)
    text = _template().render(
        {"learn": learn, "dls": learn.dls, "config": spec.train, "stages": stages, "split": split},
        own_learner=own_learner,
        own_loaders=isinstance(spec.data, DataLoaders),
        has_cbs=spec.has_cbs,
        cbs=_callbacks(spec.train, spec.has_cbs),
        arch=None if own_learner else zoo.find_arch(spec.arch),
        weights=spec.weights,
        model=spec.model,
        pictures=spec.pictures,
        on_gpu=compute.device_of(learn).type != "cpu",
        n_processes=world_size(),
        lossy=sorted(opened.LOSSY),
        quality=opened.QUALITY,
        subsampling=opened.SUBSAMPLING,
    )
    return Code(text)


@cache
def _template() -> Template:
    """Read the template, and tell it whom it may ask."""
    jinja = environment("runs")
    jinja.filters["repr"] = repr
    rooms = (body, compute, adapt, features, fit, logistic, schedules, solve)
    jinja.globals |= {room.__name__.rpartition(".")[2]: room for room in rooms}
    ours: list[Any] = [opener_of, item_code, batch_code, category_code, in_one_call, new_head]
    ours += [looks, opened.decoded]
    ours += [learner_code, fold_code, has_activation, keeps_norms, model_code, stage_seed]
    jinja.globals |= {function.__name__: function for function in ours}
    return jinja.get_template("script.py.jinja")


def _callbacks(config: RunConfig, has_cbs: bool) -> list[str]:
    """Write the callbacks of each fit."""
    known = {
        "*cbs": has_cbs,
        f"MixUp({config.mixup!r})": config.mixup,
        f"CutMix({config.cutmix!r})": config.cutmix,
        f"EarlyStoppingCallback(patience={config.patience})": config.patience,
    }
    return [code for code, given in known.items() if given]


def fold_code(learn: Learner) -> str:
    """Write how the body is folded that the features come from."""
    x, device = None, compute.device_of(learn)
    with suppress(DataError):  # the pictures may be gone since
        x = compute.one_picture(learn.dls.valid).to(device)
    return compute.fold_code(features.cut_head(learn.model)[0], x)


def opener_of(dls: DataLoaders) -> opened.Opener:
    """Find the door's own opener of pictures."""
    return next(tfm for tfm in dls.train.dataset.tls[0].tfms.fs if isinstance(tfm, opened.Opener))


def keeps_norms(learn: Learner) -> bool:
    """Say whether the body's batch norms keep their statistics."""
    return any(isinstance(cb, KeepNorms) for cb in learn.cbs)


def model_code(learn: Learner, arch: zoo.Arch, weights: Any, model: Mapping[str, Any]) -> str:
    """Write how the body is built."""
    own = not arch.settings.library  # a function, of which a sentence is all that can be said
    wanted = model.get("head", "native") == "native"
    native = wanted and (own or not is_cut(learn.model[0]))
    return body.body_code(arch, weights, learn.model[0], native=native)


def has_activation(learn: Learner) -> bool:
    """Say whether a loss tells, as fastai's do, how the model's outputs become probabilities."""
    return hasattr(learn.loss_func, "activation")


def looks(dls: DataLoaders, pictures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Say what our own views of a picture are, as timm's functions make them."""
    if pictures.get("item_tfms") is not None:
        return []
    who = {
        "all": (None, "all look at this"),
        "valid": (1, "validation looks at this"),
        "train": (0, "training begins with this"),
    }
    found = [tfm for tfm in dls.after_item.fs if isinstance(tfm, Look)]
    return [
        {
            "name": "Begin" if tfm.side == "train" else "Look",
            "split_idx": who[tfm.side][0],
            "who": who[tfm.side][1],
            "how": f"{tfm.view.size}, {tfm.view.crop_pct!r}, {TO_TIMM[tfm.view.resize]!r},"
            f" interpolation={tfm.view.interpolation!r}",
        }
        for tfm in found
    ]


def item_code(dls: DataLoaders, pictures: Mapping[str, Any]) -> str:
    """Write the transforms of each picture, if they are the door's own."""
    own = [f"{look['name']}()" for look in looks(dls, pictures)]
    if not own:
        return "..."
    for tfm in (tfm for tfm in dls.after_item.fs if type(tfm).__name__ == "Resize"):
        by, nearest = map(int, tfm.resamples)
        how = f"method={tfm.method!r}, resamples=({by}, {nearest}), split_idx=0"
        own.append(f"Resize({tuple(tfm.size)}, {how})")
    return f"[{', '.join(own)}]"


def batch_code(dls: DataLoaders, pictures: Mapping[str, Any]) -> list[str]:
    """Write the transforms of a batch: the door's own or yours, and the weights' statistics."""
    options = [] if pictures.get("flip", True) else ["do_flip=False"]
    if pictures.get("augment") == "light":
        options += [f"{name}={value!r}" for name, value in LIGHT.items()]
    changed = ", ".join([*options, f"size={pictures.get('size', 224)!r}"])
    tfms = [] if pictures.get("augment") == "none" else [f"*aug_transforms({changed})"]
    if pictures.get("batch_tfms") is not None:
        tfms = ["*..."]
    return tfms + [
        f"Normalize.from_stats({tfm.mean.flatten().tolist()}, {tfm.std.flatten().tolist()})"
        for tfm in dls.after_batch.fs
        if type(tfm).__name__ == "Normalize"
    ]


def category_code(dls: DataLoaders) -> str:
    """Write the block of the labels, with the classes where fastai would sort them otherwise."""
    vocab = [str(label) for label in dls.vocab]
    return "CategoryBlock" if vocab == sorted(vocab) else f"CategoryBlock({vocab!r}, sort=False)"


def in_one_call(arch: zoo.Arch, weights: Any, model: Mapping[str, Any]) -> bool:
    """Say whether fastai's `vision_learner` builds the same, which cuts few models as we do."""
    if isinstance(arch.source, str) or not (arch.settings.library and model_meta.get(arch.source)):
        return False
    usual = model.get("head") == "fastai" and model.get("activation") is None
    return usual and weights in ("default", None)


def new_head(learn: Learner, arch: zoo.Arch, model: Mapping[str, Any]) -> str:
    """Write the head."""
    countable = arch.settings.library == "torchvision" and not arch.settings.fixed_size
    options = {name: model[name] for name in _HEAD if name in model}
    return head.head_code(learn.model[1], countable=countable, **options)


def learner_code(
    learn: Learner, arch: zoo.Arch, weights: Any, model: Mapping[str, Any], weighed: bool
) -> str:
    """Write the call that makes the learner; `weighed`: the door has put weights on classes."""
    start, options = "learn = Learner(dls, model", _options(learn, model, weighed)
    whole = in_one_call(arch, weights, model)
    if whole:
        start = f"learn = vision_learner(dls, models.{arch.name}"
        sizes = head.size_code(model.get("hidden"), model.get("dropout"))
        options = [f"pretrained={weights is not None}", *options, *sizes]
    # fastai knows three groups of its own
    if not whole or model.get("layer_groups", 3) != 3 or model.get("splitter") is not None:
        options.append("splitter=splitter")
    one = f"{start}, {', '.join(options)})"
    return one if len(one) <= 100 else f"{start},\n    " + ",\n    ".join(options) + ",\n)"


def _options(learn: Learner, model: Mapping[str, Any], weighed: bool) -> list[str]:
    """Write what a learner is asked for beside its body and head."""
    options, momentum = [], model.get("momentum")
    if "loss_func" in model or callable(model.get("loss")):
        options.append("loss_func=...")
    elif weighed or any(name in model for name in _LOSS):
        options.append(f"loss_func={losses.loss_code(learn.loss_func)}")
    if any(model.get(name) is not None for name in _OPT):
        opt = model.get("opt") or model.get("opt_func")
        options.append(f"opt_func={optimisers.opt_code(opt, momentum)}")
    if momentum is not None:
        options.append(f"moms=({momentum!r},) * 3")
    own, macro_f1 = model.get("metrics") is not None, is_uneven(learn.dls)
    shown = ["error_rate", "accuracy", *(["F1Score(average='macro')"] if macro_f1 else [])]
    options.append("metrics=..." if own else f"metrics=[{', '.join(shown)}]")
    for name in (name for name in model if name not in _SAID):
        value = model[name]
        options.append(f"{name}={value!r}" if isinstance(value, _PLAIN) else f"{name}=...")
    return options
