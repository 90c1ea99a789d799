"""Put a pretrained body and a new head together: `DataLoaders` in, a plain fastai `Learner` out.

With the calls of fastai's `vision_learner`, in their order, so that both draw the same random
numbers. It could not be used: it cannot cut most of torchvision's models, drops `cut=`, takes
Swin's channels-last output for feature maps, and has two layer groups for most.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from fastai.data.core import DataLoaders, Pipeline
from fastai.data.transforms import Normalize, get_c
from fastai.learner import Learner
from fastai.metrics import F1Score, accuracy, error_rate
from fastai.torch_core import apply_init, no_random
from fastai.vision.learner import model_meta
from fastcore.meta import delegates
from torch import nn

from quickvision.base.choices import whole
from quickvision.base.errors import DataError, ModelError, as_path, did_you_mean, expect
from quickvision.base.figures import is_uneven
from quickvision.models.body import layer_groups as split_into
from quickvision.models.body import make_body
from quickvision.models.compute import check_precision, one_picture, speed_up
from quickvision.models.head import check_head, make_head
from quickvision.models.losses import check_labels, make_loss
from quickvision.models.norms import KeepNorms, keeps_norms
from quickvision.models.optimisers import FusedAdam, find_opt
from quickvision.models.options import ModelOptions
from quickvision.models.weights import find_file, is_on_hub
from quickvision.models.zoo import Arch, ModelSettings, download_address, find_arch

# What fastai's `vision_learner` calls it.
_HERE = {
    "lin_ftrs": "hidden=",
    "ps": "dropout=",
    "custom_head": "head=",
    "pretrained": "weights=",
    "cut": "a function of your own as arch=",
    "normalize": "always done",
    "n_in": "seen from the pictures",
}
# What torch (a wrong checksum is a RuntimeError, too) and timm raise where a model cannot take a
# picture: they have no common parent.
_MISFITS = (RuntimeError, AssertionError, ValueError)
_OF_FASTAI = set(inspect.signature(Learner.__init__).parameters) - {"self", "dls", "model"}


@delegates(ModelOptions, keep=True)
def cnn_learner(
    dls: DataLoaders,
    arch: str | Callable[..., nn.Module] = "resnet34",
    *,
    weights: str | Path | None = "default",
    metrics: Any = None,
    path: str | Path = ".",
    seed: int | None = None,
    **kwargs: Any,
) -> Learner:
    """Build a fastai `Learner` with a pretrained body, frozen, and a new head.

    Args:
        dls: Any fastai `DataLoaders` of labelled pictures. It stays as it is: the learner gets its
            own copy, normalised by the statistics that its weights expect (and only by those), so
            that two learners can share one `dls`.
        arch: A torchvision or timm name (torchvision's where both have it; `timm/NAME` says
            otherwise), as `list_models` lists them, or a function that builds a model.
        weights: "default", the library's best ImageNet weights, downloaded once; a file with a
            state dict, as torchvision, timm, fastai's `learn.save` and training scripts write it,
            read without running what is in it; the folder of a run or an exported model of ours;
            `hf_hub:OWNER/NAME`; or None, to start from nothing. Of several sets in a file an
            averaged one (EMA) is taken, else the first, and that is said.
        head: "native", the model's own pooling and norm and a new last layer, so that what is
            trained is the library's own network with other classes (of the few that do not end in a
            linear layer, such as SqueezeNet, it is "linear"); "linear", average pooling and one
            layer on the last feature maps; "fastai" (both kinds of pooling, batch norm, dropout, a
            hidden layer); or a module from the body's output to the classes.
        hidden: Sizes of fastai's hidden layers, such as (512, 256); (512,) by default, () for none.
        dropout: Before the last layer, a fraction; earlier layers get half. By default 0.5, and
            none with a single layer.
        activation: Between hidden layers: "relu" (the default), "gelu", "silu", ...; or a function
            that makes a module.
        batch_norm: "keep" the statistics that the body's batch norms came with: training looks
            through what validation looks through, and batches may be small (scale and shift train);
            "adapt" them, before `train` begins, to the training pictures, and keep these; or
            "train" them on each batch, as fastai does. None keeps them where there are weights, and
            `train` adapts them where that makes it more accurate on left-out training pictures.
        layer_groups: Groups of layers, from input to head, that rates are spread over and that
            `gradual` unfreezes one by one; None makes one of each stage of the body.
        loss: None, the data's own (cross-entropy, weighted where the door was asked for it);
            "cross_entropy", "focal", or a loss: fastai's, torch's, a function or a module that
            takes outputs and labels. One that does not know `reduction="none"` is asked picture by
            picture in reports; outputs become probabilities by its `activation`, or by softmax.
        label_smoothing: Share of each label that is spread over all classes, from 0 to below 1.
        class_weights: "balanced" (one over the class's size), a dict from class to weight, or one
            weight a class in the order of the vocab.
        opt: "adamw" (what fastai calls Adam, the default), "adam" (Kingma's), "sgd", "adadelta",
            "rmsprop", "radam", "lamb", "larc", "ranger", "qhadam", or a fastai `opt_func`.
        momentum: Fixed momentum; by default fastai's cycle from 0.95 to 0.85 and back.
        metrics: fastai metrics; by default `error_rate` and `accuracy`, and macro-F1 (`f1_score`)
            where our door has found one class more than 5 times as large as another.
        path: Folder under which `learn.save` writes; fastai would write beside the pictures.
        seed: Of the new head's weights; the random states stay as they were. None draws from them.
        precision: "auto", "float32", "bf16" or "fp16". "auto" is bf16 on a GPU that computes in
            it, with about half the memory, and else float32. "fp16" is for older GPUs; its
            gradients are scaled. torch's own rules for TF32 stay as they are.
        compile: Let `torch.compile` rewrite the model: worth it in long runs on a GPU; the first
            steps of all layers wait for the compiler, about a minute.
        **kwargs: Go to fastai's `Learner` (`cbs`, `wd`, `loss_func`, `opt_func`, `splitter`, ...).

    Returns:
        A plain fastai `Learner` with layer groups, frozen where it has weights. Convolutions are
        laid out channels-last where that is faster (safetensors wants `.contiguous()` of them).

    Raises:
        DataError: `dls` has no validation pictures.
        ModelError: Unknown `arch`, weights that cannot be had or do not fit, a model that
            cannot take pictures of this size, or a `precision` that the device does not have.
        ValueError: An option is out of range, or there is none of this name.
        TypeError: `arch` is a built model, or anything else that is no name and no function;
            `weights` is neither text nor a path; options that do not go together.
    """
    expect(dls, DataLoaders, "dls")
    options = {**kwargs, "metrics": metrics, "path": as_path(path, "path")}
    wish = check_options(arch, weights, options)
    if seed is None:
        return make_learner(dls, wish)
    with no_random(whole("seed", seed), reproducible=False):
        return make_learner(dls, wish)


@dataclass(frozen=True)
class Wish:
    """What `cnn_learner` is asked for, checked."""

    arch: Arch
    weights: str | Path | None
    asked: ModelOptions
    more: Mapping[str, Any]  # what goes to fastai's `Learner`


def make_learner(dls: DataLoaders, wish: Wish) -> Learner:
    """Build what `cnn_learner` builds, of options that have been checked.

    Raises:
        DataError: `dls` has no validation pictures, or no single class for each.
        ModelError: The model or its weights cannot be had, or do not fit.
    """
    check_labels(dls)
    asked, more, weights, found = wish.asked, {**wish.more}, wish.weights, wish.arch
    if not len(dls.loaders[-1].dataset):
        raise DataError(
            "expected validation pictures in dls, got none; hold some out with valid=0.2"
        )
    keep = keeps_norms(asked.batch_norm, pretrained=weights is not None)
    device = torch.device(dls.device or "cpu")
    precision = check_precision(asked.precision, device)
    smoothing, weighed = asked.label_smoothing, asked.class_weights
    loss_func = make_loss(dls, asked.loss, label_smoothing=smoothing, class_weights=weighed)
    if loss_func is not None:
        more["loss_func"] = loss_func
    if asked.opt is not None or asked.momentum is not None:
        opt = asked.opt if asked.opt is not None else more.get("opt_func")
        more["opt_func"] = find_opt(opt, asked.momentum)
        if asked.momentum is not None:
            more["moms"] = (asked.momentum,) * 3
    elif device.type == "cuda" and not more.get("wd_bn_bias"):
        more.setdefault("opt_func", FusedAdam)
    metrics = more.pop("metrics", None)
    if metrics is None:
        macro_f1 = [F1Score(average="macro")] if is_uneven(dls) else []
        metrics = [error_rate, accuracy, *macro_f1]
    picture = one_picture(dls.loaders[-1]).cpu()
    own = _normalised(dls, found.settings, channels=picture.shape[1])
    model = _model(own, found, weights, asked, picture)
    meta = {} if isinstance(found.source, str) else model_meta.get(found.source, {})
    cut = asked.head != "native"  # fastai's own groups are of what it cuts
    known = meta.get("split") if asked.layer_groups == 3 and cut else None
    more.setdefault("splitter", known or partial(split_into, n=asked.layer_groups))
    learn = Learner(own, model, metrics=metrics, **{"path": ".", **more})
    learn.arch, learn.n_out, learn.pretrained = found.source, get_c(dls), weights is not None
    if learn.pretrained:
        learn.freeze()
    speed_up(learn, precision)
    if keep:
        learn.add_cb(KeepNorms({"keep": False, "adapt": True}.get(asked.batch_norm or "")))
    if asked.compile:
        learn.model.compile()  # in place: torch.compile(model) renames its weights
    return learn


_OURS = {field.name for field in fields(ModelOptions)}
LEARNER_OPTIONS = _OURS | _OF_FASTAI | {"arch", "weights", "metrics", "path"}


def check_options(arch: Any, weights: Any, options: Mapping[str, Any]) -> Wish:
    """See that options of `cnn_learner` go together, as far as that needs no data and no model.

    Raises:
        ModelError: No such architecture.
        TypeError: One is unknown, or two say the same.
        ValueError: One is out of range.
    """
    if not (weights is None or isinstance(weights, str | Path)):
        raise TypeError(f"weights: expected 'default', None or a file, got {weights!r}")
    if weights not in (None, "default") and not is_on_hub(weights):
        find_file(weights)  # before any picture is looked at
    if unknown := [name for name in options if name not in LEARNER_OPTIONS]:
        name = unknown[0]
        here = f"; here it is {_HERE[name]}" if name in _HERE else ""
        near = here or did_you_mean(name, LEARNER_OPTIONS)
        raise TypeError(f"{name}: neither cnn_learner nor fastai's Learner has that{near}")
    asked = ModelOptions(**{name: value for name, value in options.items() if name in _OURS})
    more = {name: value for name, value in options.items() if name not in _OURS}
    for ours, fastais in (("loss", "loss_func"), ("opt", "opt_func"), ("momentum", "moms")):
        if fastais in more and getattr(asked, ours) is not None:
            raise TypeError(f"{fastais}: says the same as {ours}=; give one of them")
    if "loss_func" in more and (asked.class_weights is not None or asked.label_smoothing):
        raise TypeError("label_smoothing, class_weights: set in the loss_func that is given")
    check_head(asked.head, asked.hidden, asked.dropout, asked.activation)
    find_opt(asked.opt, asked.momentum)
    return Wish(find_arch(arch), weights, asked, more)


def _model(
    dls: DataLoaders,
    arch: Arch,
    weights: str | Path | None,
    asked: ModelOptions,
    picture: torch.Tensor,
) -> nn.Sequential:
    """Put body and head together, and see that a picture of this size goes through."""
    n_out, name = get_c(dls), arch.name
    try:
        native = asked.head == "native"
        body, features, pooled = make_body(arch, weights, picture, native=native)
    except StopIteration as error:
        raise ModelError(f"cannot tell {name}'s body from its head: no pooling layer") from error
    except _MISFITS as error:
        raise _misfit(arch, picture, error) from error
    except OSError as error:  # URLError, and Hugging Face's offline error, are both of this kind
        raise _offline(arch, weights, error) from error
    head = make_head(
        features,
        n_out,
        pooled=pooled,
        head=asked.head,
        hidden=asked.hidden,
        dropout=asked.dropout,
        activation=asked.activation,
    )
    model = nn.Sequential(body, head)
    if asked.head == "fastai":
        apply_init(head, nn.init.kaiming_normal_)
    try:
        with no_random(reproducible=False), torch.no_grad():
            out = model.eval()(picture)
    except _MISFITS as error:
        if isinstance(asked.head, nn.Module):
            raise ModelError(
                f"head: it cannot take the {features} features of {name}: {error}"
            ) from error
        raise _misfit(arch, picture, error) from error
    if out.shape != (1, n_out):
        raise ModelError(
            f"expected an output for each of {n_out} classes, got {tuple(out.shape[1:])}; the"
            f" module that is given as head takes {features} features"
        )
    return model.train().to(dls.device)


def _offline(arch: Arch, weights: object, error: OSError) -> ModelError:
    address = download_address(arch) if weights == "default" else ""
    file = f"download {address} elsewhere, copy it" if address else "copy the file"
    return ModelError(
        f"expected to download the weights of {arch.name}, got: {str(error).rstrip('.')}. Three"
        f" ways out: go online once (the file is kept for later runs); {file} to this machine and"
        " pass weights=FILE; or train without any, with weights=None"
    )


def _misfit(arch: Arch, picture: torch.Tensor, error: Exception) -> ModelError:
    height, width = picture.shape[-2:]
    size, name = arch.settings.input_size, arch.name
    if "hash" in str(error):
        return ModelError(f"cannot build {name}: {error}")
    takes = "takes no others than" if arch.settings.fixed_size else "was made for"
    return ModelError(
        f"{name} cannot take pictures of {height} x {width} pixels: {error}; build the data with"
        f" size={size}: it {takes} {size} x {size}"
    )


def _normalised(dls: DataLoaders, settings: ModelSettings, *, channels: int) -> DataLoaders:
    """Copy `dls` with these statistics in place of any that were put in earlier."""
    own = copy.copy(dls)
    with no_random(reproducible=False):  # building a loader draws from Python's generator
        fits = channels == len(settings.mean)  # grey pictures have no statistics
        own.loaders = []
        for dl in dls.loaders:
            tfms = [tfm for tfm in dl.after_batch.fs if not isinstance(tfm, Normalize)]
            tfms += [Normalize.from_stats(settings.mean, settings.std)] if fits else []
            new = dl.new(after_batch=Pipeline(tfms))
            new.rng.setstate(dl.rng.getstate())
            own.loaders.append(new)
    own.device = torch.device(dls.device or "cpu")
    return own
