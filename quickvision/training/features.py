"""The frozen stage on cached features: the body sees each picture once, the head trains on that.

While the body is frozen it says the same of a picture in every epoch. So it is run once, and what
comes out of its pooling is kept; the layers after it, the same module objects, train on this.
"""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from fastai.callback.channelslast import ChannelsLast
from fastai.callback.core import TrainEvalCallback
from fastai.callback.fp16 import MixedPrecision
from fastai.callback.progress import ProgressCallback
from fastai.callback.tracker import SaveModelCallback
from fastai.data.core import DataLoader, DataLoaders, TfmdDL
from fastai.layers import AdaptiveConcatPool2d, Flatten
from fastai.learner import CastToTensor, L, Learner, Recorder
from fastai.torch_core import no_random, params
from torch import nn

from quickvision.base.choices import whole
from quickvision.base.errors import DataError, ModelError, RunError, expect
from quickvision.base.files import cache_folder
from quickvision.base.memory import free_device_memory, is_out_of_memory, keep_freed_memory
from quickvision.base.processes import in_step, parts_of, share_of
from quickvision.base.progress import counted
from quickvision.models.compute import (
    autocast,
    device_of,
    evaluating,
    folded,
    half_precision,
    one_picture,
)
from quickvision.models.norms import KeepNorms

AHEAD = "a frozen body whose features can be kept"
LARGE = 2 * 2**30  # bytes of features that are kept in memory; more go to a file

# Layers that may stand between body and head and say the same of a picture each time.
FIXED = (
    *(AdaptiveConcatPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
    *(Flatten, nn.Flatten, nn.Identity),
)
# Callbacks of a learner that go on working, or have nothing to do, when it trains on features.
_HARMLESS = (
    *(TrainEvalCallback, Recorder, CastToTensor, ProgressCallback),
    *(MixedPrecision, ChannelsLast, KeepNorms),
)


@dataclass(frozen=True, eq=False)
class Features:
    """What a frozen body said of n pictures, in v views each: what the head trains on.

    Attributes:
        x: float32 [v, n, ...], mostly [v, n, f]; the first view is the picture as it is.
        y: Targets, int64 [n].
    """

    x: torch.Tensor
    y: torch.Tensor

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.x[0, i], self.y[i]

    def batch(self, places: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Gather the pictures at these places, each in one of its views, drawn anew each time."""
        rows = torch.tensor(places)
        if len(self.x) == 1:
            return self.x[0, rows], self.y[rows]
        return self.x[torch.randint(len(self.x), rows.shape), rows], self.y[rows]


def feature_learner(learn: Learner, *, views: int = 0, cbs: Any = None) -> Learner:
    """Build a `Learner` of `learn`'s head alone, on what its frozen body says of the pictures.

    The body runs once over all pictures, in evaluation mode and with the transforms of validation;
    its batch-norm statistics stay as they are. Then an epoch of the head takes milliseconds instead
    of minutes. The head's layers are `learn`'s own: whatever trains one trains the other, and
    `find_lr`, `fit_frozen` and callbacks work as ever. What it costs: the head sees each picture
    in the same crop every time, unless `views` are asked for.

    Args:
        learn: A learner whose model is a body and a head, as `cnn_learner` builds it. Its weights
            stay as they are until the new learner is trained.
        views: Augmented passes over the training pictures beside the plain one; each takes as long
            as that one. An epoch then draws one view of each picture.
        cbs: Callbacks that the training will use, to see whether they can do without pictures.

    Returns:
        A plain fastai `Learner`. Features of a side that are above 2 GiB lie in a temporary file in
        quickvision's cache folder, which goes away with them.

    Raises:
        DataError: There is no training or validation picture.
        ModelError: The model cannot be cut, or something in `learn` needs the pictures.
        RunError: The temporary file cannot be written.
        ValueError: `views` is below 0.
    """
    expect(learn, Learner, "learn")
    whole("views", views)
    if reason := why_not(learn, cbs):
        raise ModelError(f"expected {AHEAD}, got {reason}")
    if not len(learn.dls.train.dataset) or not len(learn.dls.valid.dataset):
        raise DataError(
            "expected pictures to train on and pictures to validate on, got one side empty"
        )
    device = device_of(learn)
    learn.model.to(device)
    if device.type == "cpu":
        keep_freed_memory()
    body, head = cut_head(learn.model)
    with evaluating(learn.model), torch.no_grad():
        x = one_picture(learn.dls.valid).to(device)
        cut, entire = head(body(x)), learn.model.forward(x)
    if not torch.allclose(cut, entire, rtol=1e-3, atol=1e-5):
        raise ModelError(f"expected {AHEAD}, got a head that does not simply follow its body")
    seen = look(learn, learn.model, learn.dls.train, views=views)
    held = look(learn, learn.model, learn.dls.valid)
    options: dict[str, Any] = {"bs": learn.dls.train.bs, "num_workers": 0, "create_item": int}
    drop_last = learn.dls.train.drop_last
    in_train, in_valid = (partial(Features.batch, side) for side in (seen, held))
    train = DataLoader(seen, **options, do_batch=in_train, shuffle=True, drop_last=drop_last)
    valid = DataLoader(held, **options, do_batch=in_valid)
    return Learner(
        DataLoaders(train, valid, path=learn.path, device=device),
        head,
        loss_func=learn.loss_func,
        opt_func=learn.opt_func,
        lr=learn.lr,
        metrics=learn.metrics,
        path=learn.path,
        model_dir=learn.model_dir,
        wd=learn.wd,
        wd_bn_bias=learn.wd_bn_bias,
        train_bn=learn.train_bn,
        moms=learn.moms,
    )


def why_not(learn: Learner, cbs: Any = None) -> str:
    """Say why this learner's frozen stage needs pictures in each epoch; empty where it does not.

    Args:
        learn: The learner.
        cbs: Callbacks that are given to the fit.
    """
    dls = learn.dls
    own = [cb for cb in learn.cbs if not isinstance(cb, _HARMLESS)]
    # MixUp and the like change the batch; a saved head is not a saved model.
    own += [cb for cb in L(cbs) if hasattr(cb, "before_batch") or isinstance(cb, SaveModelCallback)]
    if type(learn.model) is not nn.Sequential or len(learn.model) < 2:
        return "a model that is not a body followed by a head"
    if {id(p) for p in params(cut_head(learn.model)[1])} != {
        id(p) for p in learn.splitter(learn.model)[-1]
    }:
        return "a last layer group that is not the head"
    if own:
        return f"the callback {type(own[0]).__name__}, which may need pictures or the whole model"
    if type(dls.train) is not TfmdDL:
        return f"a {type(dls.train).__name__}, which draws pictures in its own way"
    if not hasattr(dls.train.dataset, "set_split_idx") or getattr(dls, "n_inp", 1) != 1:
        return "data that is not pairs of a picture and its label"
    return ""


def cut_head(model: nn.Sequential) -> tuple[nn.Sequential, nn.Sequential]:
    """Split into what is fixed while the body is frozen, pooling included, and what trains."""
    body, *rest = model
    layers = [layer for part in rest for layer in (part if type(part) is nn.Sequential else [part])]
    fixed = list(itertools.takewhile(lambda layer: isinstance(layer, FIXED), layers))
    return nn.Sequential(body, *fixed), nn.Sequential(*layers[len(fixed) :])


def hand_over(top: Learner, learn: Learner) -> None:
    """Give a learner what the recorder of its head's has seen, and let the features go."""
    seen = {name: value for name, value in vars(top.recorder).items() if name != "learn"}
    vars(learn.recorder).update(seen)  # for learn.recorder.plot_loss() and the like
    top.dls = None  # a learner and its callbacks hold each other


def right_answers(top: Learner) -> np.ndarray:
    """Say of each validation picture whether a head's learner names its class, bool [n]."""
    held: Features = top.dls.valid.dataset
    with evaluating(top.model), torch.inference_mode():
        said = top.model(held.x[0].to(device_of(top))).argmax(1).cpu()
    return np.asarray(said == held.y)


def look(learn: Learner, model: nn.Sequential, dl: Any, *, views: int = 0) -> Features:
    """Run a model's body over a loader's pictures: as they are, then augmented.

    Args:
        learn: Says where, and in which precision.
        model: The body and its head; in evaluation mode meanwhile.
        dl: The loader.
        views: Augmented passes.
    """
    with evaluating(model):
        body = folded(cut_head(model)[0], one_picture(dl).to(device_of(learn)))
        return _passes(learn, body, dl, views)


def _passes(learn: Learner, body: nn.Module, dl: Any, views: int) -> Features:
    n = len(dl.dataset)
    x, y = np.empty(0), np.empty(0)
    for view in range(1 + views):
        # Without views nothing is left to chance, but a loader draws a seed all the same.
        chance = nullcontext() if view else no_random(reproducible=False)
        parts = parts_of(n)
        rows, got = [part.start for part in parts], 0
        with chance, dl.dataset.set_split_idx(0 if view else 1):
            mine = share_of(dl.new(shuffle=False, drop_last=False))
            for batches in in_step(counted(_outputs(learn, body, mine), len(mine), "features")):
                for i, (out, targs) in batches:
                    if not len(x):
                        x = _room((1 + views, n, *out.shape[1:]))
                        y = np.empty((n, *targs.shape[1:]), dtype=targs.dtype)
                    place = slice(rows[i], rows[i] + len(out))
                    x[view, place], y[place] = out, targs
                    rows[i], got = place.stop, got + len(out)
        if rows != [part.stop for part in parts]:
            raise ModelError(f"expected {AHEAD}, got a loader that gives {got} of {n} pictures")
    return Features(torch.from_numpy(x), torch.from_numpy(y))


def _outputs(learn: Learner, body: nn.Module, dl: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Run the body over one pass of a loader."""
    device, half = device_of(learn), half_precision(learn)
    for x, y in dl:
        with torch.inference_mode(), autocast(device, half):
            out = _in_memory(body, x.as_subclass(torch.Tensor).to(device))
        yield out.float().cpu().numpy(), y.as_subclass(torch.Tensor).cpu().numpy()


def _in_memory(body: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Ask the body, for half of the pictures at a time where all do not fit."""
    try:
        return body(x)
    except RuntimeError as error:  # below, it is gone, and what its frames held
        if len(x) == 1 or not is_out_of_memory(error):
            raise
    free_device_memory()
    return torch.cat([_in_memory(body, half) for half in x.chunk(2)])


def _room(shape: tuple[int, ...]) -> np.ndarray:
    """Get room for features: in memory, or in a file that has no name and goes with the array."""
    size = 4 * math.prod(shape)
    if size <= LARGE:
        return np.empty(shape, dtype=np.float32)
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):  # a disk that fills up later ends the process
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype=np.float32, mode="r+", shape=shape)
    except OSError as error:
        raise RunError(
            f"expected {size / 2**30:.1f} GiB for features in {folder}, got: {error}; make room,"
            " set QUICKVISION_CACHE to another folder, or train with cache_features=False"
        ) from error
