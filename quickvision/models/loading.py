"""Weights into a model, in place; and the code that does the same."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from quickvision.base.errors import some, warn
from quickvision.models.fitting import AVERAGED, Fit, Target, find_fit
from quickvision.models.weights import State, Stored, hub_parts, is_on_hub, read_weights


def load_weights(
    model: nn.Module,
    body: nn.Module,
    weights: str | Path,
    *,
    name: str,
    cut: nn.Module | None = None,
    timm_name: str | None = None,
) -> None:
    """Load weights into a model, in place.

    Args:
        model: The model, as its library builds it, or less its last layer.
        body: What is kept of it: shares its tensors. The file must have these, as `find_fit` says;
            what else the file has, such as a classifier of other classes, is not used.
        weights: A file, a folder, or a name on the Hub, as `read_weights` takes them.
        name: The architecture's name, for messages.
        cut: The model's body as a `Sequential`, whose names fastai's files have; shares its
            tensors, too.
        timm_name: The architecture's name in timm, if it is timm's.

    Raises:
        ModelError: No such file, nothing that can be read safely, or weights of another
            architecture; `model` is as it was.
        OSError: It cannot be downloaded.
    """
    stored = read_weights(weights)
    fit, among = find_fit(stored, Target.of(model, body, cut, timm_name), name=name)
    if len(among) > 1:
        rest = some([one.label for one in among if one is not fit])
        why = "the averaged one" if AVERAGED.search(fit.label) else "the first of the file"
        warn(
            f"{stored.file} has {len(among)} different sets of weights that fit {name}: taken is"
            f" {why}, {fit.label}; not {rest}. To take another, save its tensors alone, with"
            " torch.save"
        )
    if stored.arch_of_run not in (None, name.rpartition("/")[2].partition(".")[0]):
        warn(f"{stored.file} was made with arch={stored.arch!r}; its tensors fit {name}, too")
    model.load_state_dict(dict(fit.tensors), strict=False)


def load_code(weights: str | Path, stored: Stored, fit: Fit, whole: nn.Module, *, cut: str) -> str:
    """Write how `load_weights` has done it, in plain torch.

    Args:
        weights: As they were asked for.
        stored: What was read.
        fit: What was taken of it.
        whole: The model before anything is cut off.
        cut: Code of its body as a `Sequential`.
    """
    plain = str(stored.file if Path(weights).is_dir() else weights)
    if fit.how == "order":
        where = f"the tensors of {plain}, in their order, by the names that model has"
        return f"model.load_state_dict(..., strict=False)  # {where}"
    state = {fit.rename(key): tensor for key, tensor in stored.states[fit.keys].items()}
    if fit.prefix:
        size = len(fit.prefix)
        state = {k[size:]: tensor for k, tensor in state.items() if k.startswith(fit.prefix)}
    clash = fit.how == "names" and _clashes(state, whole)
    steps = bool(fit.keys or fit.renamed[0] or fit.prefix or clash or fit.how != "names")
    lines, read = _read_code(plain, stored, fit)
    if not steps and not stored.unread:
        return "\n".join([*lines, f"model.load_state_dict({read}, strict=False)"])
    lines.append(f"state = {read}")
    if fit.renamed[0]:
        pattern, new = fit.renamed
        lines.append(f"state = {{re.sub({pattern!r}, {new!r}, k): v for k, v in state.items()}}")
    if fit.prefix:
        begins = f"k.startswith({fit.prefix!r})"
        lines.append(f"state = {{k[{len(fit.prefix)}:]: v for k, v in state.items() if {begins}}}")
    if fit.how == "filter":
        lines.append(f"state = {fit.home}.checkpoint_filter_fn(state, model)")
    if clash:
        lines.append("shapes = {k: v.shape for k, v in model.state_dict().items()}")
        lines.append("state = {k: v for k, v in state.items() if shapes.get(k) == v.shape}")
    into = cut if fit.how == "cut" else "model"
    return "\n".join([*lines, f"{into}.load_state_dict(state, strict=False)"])


def _read_code(plain: str, stored: Stored, fit: Fit) -> tuple[list[str], str]:
    """Write how a state dict is read: lines that come first, and an expression."""
    file, first = repr(plain), []
    if is_on_hub(plain):
        repository, revision = hub_parts(plain)
        at = f", revision={revision!r}" if revision else ""
        file = f"hf_hub_download({repository!r}, {stored.file.name!r}{at})"
        first = ["from huggingface_hub import hf_hub_download", ""]
    if stored.unread:
        beside = some(stored.unread)
        what = f"{plain}{fit.keys}, saved alone: torch does not read what is beside it ({beside})"
        return first, f"...  # {what}"
    if stored.file.suffix == ".safetensors":
        return first, f"load_file({file})"
    return first, f"torch.load({file}, weights_only=True){fit.keys}"


def _clashes(state: State, whole: nn.Module) -> bool:
    """Say whether a classifier of other classes is in the file, at which torch would stop."""
    shapes = {name: tensor.shape for name, tensor in whole.state_dict().items()}
    return any(tensor.shape != shapes.get(name, tensor.shape) for name, tensor in state.items())
