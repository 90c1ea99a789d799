"""Files of weights: read without running what is in them, loaded into the model they fit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from quickvision.base.errors import ModelError, as_path

# torchvision's published densenet files say `norm.1` where its models say `norm1`.
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.\w+)$")


def load_weights(model: nn.Module, body: nn.Module, file: str | Path, *, name: str) -> None:
    """Load a file's weights into a model, in place.

    Args:
        model: The whole model, as its library builds it.
        body: What is kept of it: shares its tensors. The file must have these; what else the file
            has, such as a classifier of other classes, is not used.
        file: A state dict of the whole model, as torchvision and timm publish it:
            `.safetensors`, or a `.pth` that `torch.load(weights_only=True)` reads.
        name: The architecture's name, for messages.

    Raises:
        ModelError: No such file, not a state dict, or one of another architecture; `model` is as it
            was.
    """
    state = _read(as_path(file, "weights"))
    kept = {id(tensor) for tensor in body.state_dict(keep_vars=True).values()}
    tensors = model.state_dict(keep_vars=True).items()
    wanted = {name: tensor.shape for name, tensor in tensors if id(tensor) in kept}
    # Files from before torch 0.4.1, torchvision's own among them, do not count batches.
    uncounted = (key for key in wanted if not key.endswith("num_batches_tracked"))
    missing = [key for key in uncounted if key not in state]
    other = [key for key in wanted if key in state and state[key].shape != wanted[key]]
    if missing or other:
        raise ModelError(
            f"expected the weights of {name} in {file}, got others: of {len(wanted)} tensors"
            f" {len(missing)} are missing and {len(other)} have other shapes, the first being"
            f" {(missing + other)[0]!r}; name the arch that the file was made with"
        )
    model.load_state_dict({k: v for k, v in state.items() if k in wanted}, strict=False)


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
