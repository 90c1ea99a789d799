"""What an arch name means: its library, how it is cut and grouped, its statistics, its weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import timm
import torch
import torchvision
from fastai.torch_core import params
from fastai.vision.core import imagenet_stats
from fastai.vision.learner import create_body, model_meta
from torch import nn

from quickvision.errors import ModelError, did_you_mean

_MODELS = torchvision.models
_TORCHVISION = {name: getattr(_MODELS, name) for name in _MODELS.list_models(module=_MODELS)}

Stats = tuple[list[float], list[float]]

# Children that stand between the last feature map and the classes, in torchvision's models.
_HEADS = {"avgpool", "dropout", "flatten", "classifier", "fc", "head", "heads"}
_AUXILIARY = {"AuxLogits", "aux1", "aux2"}

# torchvision's published densenet files say `norm.1` where its models say `norm1`.
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.\w+)$")

# With weights these two undo ImageNet's statistics inside `forward`, which the cut leaves out.
_CENTRED = frozenset({"inception_v3", "googlenet"})


@dataclass(frozen=True)
class Arch:
    """One architecture, ready for fastai's `vision_learner`.

    Attributes:
        name: Plain name, such as `resnet34`.
        source: What `vision_learner` takes: a torchvision builder or other callable, or, for
            timm, the name.
        stats: Mean and standard deviation, three channels each, that its weights expect.
    """

    name: str
    source: str | Callable[..., nn.Module]
    stats: Stats


def find_arch(arch: str | Callable[..., nn.Module]) -> Arch:
    """Look up a torchvision name, a timm name, or a callable that builds a model.

    Where both libraries have a name, torchvision's is taken; `timm/NAME` and `torchvision/NAME`
    say which. A torchvision builder that fastai does not know is entered in fastai's `model_meta`,
    with a cut, layer groups and statistics (fastai 2.8.12 drops `vision_learner(cut=...)` on the
    way, and leaves such models without normalisation).

    Raises:
        ModelError: No such name; near ones are named.
        TypeError: Neither a name nor a callable that builds a model.
    """
    if isinstance(arch, nn.Module) or not (isinstance(arch, str) or callable(arch)):
        raise TypeError(
            f"arch: expected a name such as 'resnet34' or a function that builds a model, got"
            f" {type(arch).__name__}; a model that is built already goes to fastai's Learner"
        )
    if not isinstance(arch, str):
        return Arch(getattr(arch, "__name__", "custom"), arch, _register(arch))
    library, _, name = arch.rpartition("/")
    if library in ("", "torchvision") and name in _TORCHVISION:
        builder = _TORCHVISION[name]
        return Arch(name, builder, _register(builder))
    if library in ("", "timm") and timm.is_model(name):
        cfg = timm.get_pretrained_cfg(name)
        return Arch(name, name, (list(cfg.mean), list(cfg.std)) if cfg else imagenet_stats)
    known = {"torchvision": list(_TORCHVISION), "timm": timm.list_models()}
    options = known.get(library) or [*known["torchvision"], *known["timm"]]
    raise ModelError(
        f"expected a model of torchvision or timm, got {arch!r}{did_you_mean(name, options)}"
    )


def load_body(body: nn.Module, arch: Arch, file: str | Path) -> None:
    """Load the weights of a file into the body of a learner's model, in place.

    Args:
        body: `learn.model[0]`, as `vision_learner` built it for `arch`.
        arch: The architecture that the file belongs to.
        file: A state dict of the whole model, as torchvision and timm publish it:
            `.safetensors`, or a `.pth` that `torch.load(weights_only=True)` reads. Its classifier
            may be missing or have other classes: it is not used.

    Raises:
        ModelError: No such file, not a state dict, or one of another architecture.
    """
    state = _read(Path(file).expanduser())
    if isinstance(arch.source, str):
        whole = cut = body.model
    else:
        meta = model_meta.get(arch.source, {})
        whole = arch.source(**({"weights": None} if "weights" in meta else {"pretrained": False}))
        cut = create_body(whole, pretrained=False, cut=meta.get("cut"))
    kept = {id(tensor) for tensor in cut.state_dict(keep_vars=True).values()}
    tensors = whole.state_dict(keep_vars=True).items()
    wanted = {name: tensor.shape for name, tensor in tensors if id(tensor) in kept}
    # Files from before torch 0.4.1, torchvision's own among them, do not count batches.
    uncounted = (name for name in wanted if not name.endswith("num_batches_tracked"))
    missing = [name for name in uncounted if name not in state]
    other = [name for name in wanted if name in state and state[name].shape != wanted[name]]
    if missing or other:
        raise ModelError(
            f"expected the weights of {arch.name} in {file}, got others: of {len(wanted)} tensors"
            f" {len(missing)} are missing and {len(other)} have other shapes, the first being"
            f" {(missing + other)[0]!r}; name the arch that the file was made with"
        )
    whole.load_state_dict({k: v for k, v in state.items() if k in wanted}, strict=False)
    if cut is not whole:
        body.load_state_dict(cut.state_dict())


def _read(file: Path) -> Mapping[str, torch.Tensor]:
    """Read a state dict without running anything that is in the file."""
    if not file.is_file():
        raise ModelError(f"weights: expected 'default', None or a file, got nothing at {file}")
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip, EOF and safetensors errors have no common parent
        raise ModelError(
            f"expected a state dict in {file}, as torch.save(model.state_dict(), file) writes it,"
            f" got a file that cannot be read safely: {error or type(error).__name__}"
        ) from error
    state = state.get("state_dict", state) if isinstance(state, Mapping) else state
    if not isinstance(state, Mapping) or not all(torch.is_tensor(v) for v in state.values()):
        raise ModelError(f"expected a state dict (names and tensors) in {file}, got other things")
    return {_OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in state.items()}


def _register(builder: Callable[..., nn.Module]) -> Stats:
    """See that fastai knows how to cut, group and normalise a torchvision model."""
    if builder not in model_meta and builder in _TORCHVISION.values():
        name = builder.__name__
        preset = torchvision.models.get_model_weights(builder).DEFAULT.transforms()
        centred = ([0.5] * 3, [0.5] * 3)
        stats = centred if name in _CENTRED else (list(preset.mean), list(preset.std))
        model_meta[builder] = {
            "cut": cut_classifier,
            "split": three_groups,
            "stats": stats,
            "weights": "DEFAULT",
        }
    return model_meta.get(builder, {}).get("stats", imagenet_stats)


def cut_classifier(model: nn.Module) -> nn.Sequential:
    """Take off a torchvision model's pooling, classifier and auxiliary heads."""
    return nn.Sequential(
        *[child for name, child in model.named_children() if name not in _HEADS | _AUXILIARY]
    )


def three_groups(model: nn.Sequential) -> list[list[nn.Parameter]]:
    """Split body and head into layer groups: the body's first half, its second half, the head."""
    stages = list(model[0])
    while len(stages) == 1:
        stages = list(stages[0])
    half = len(stages) // 2
    return [params(nn.Sequential(*part)) for part in (stages[:half], stages[half:], model[1:])]
