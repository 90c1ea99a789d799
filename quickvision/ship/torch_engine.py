"""An exported model that torch computes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from fastai.torch_core import default_device
from torch import nn

from quickvision.base.errors import BundleError
from quickvision.base.memory import keep_freed_memory
from quickvision.models.compute import folded
from quickvision.results.class_maps import Maps
from quickvision.ship.bundle import WEIGHTS, Bundle, checked
from quickvision.ship.engine import Viewer
from quickvision.ship.network import build

MOST_HEADER = 10_000_000  # bytes


class TorchEngine(Viewer):
    """Weights in `model.safetensors`, put into the network that the folder names.

    Args:
        folder: The exported folder.
        bundle: What it says of itself.

    Raises:
        BundleError: The weights are not those of such a network, or not as they were exported.
    """

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        super().__init__(bundle)
        self.device = default_device()
        if self.device.type == "cpu":
            keep_freed_memory()
        model = load_network(folder, bundle).to(self.device)
        scale = (np.array(bundle.mean) * 255, np.array(bundle.std) * 255)
        self._mean, self._std = (
            torch.tensor(part, dtype=torch.float32, device=self.device).view(1, -1, 1, 1)
            for part in scale
        )
        blank = np.zeros((*bundle.view.size, bundle.network.channels), dtype=np.uint8)
        x = self._normal([blank])
        self._model = folded(model, x)
        self._maps = Maps(model, x)  # through layers that are not folded

    def probs(self, opened: Sequence[np.ndarray]) -> np.ndarray:
        """Answer for opened pictures."""
        with torch.inference_mode():
            logits = self._model(self._normal(opened))
            return torch.softmax(logits.float(), dim=1).cpu().numpy()

    @property
    def has_maps(self) -> bool:
        """The network has a map of places that its classes are read from."""
        return self._maps.there

    def maps(self, opened: Sequence[np.ndarray], classes: np.ndarray | None) -> np.ndarray:
        """Make heat maps of opened pictures; several threads may ask at once."""
        return self._maps(self._normal(opened), classes)

    def _normal(self, opened: Sequence[np.ndarray]) -> torch.Tensor:
        x = torch.from_numpy(np.stack(opened)).to(self.device).permute(0, 3, 1, 2).float()
        return (x - self._mean) / self._std


def load_network(folder: Path, bundle: Bundle) -> nn.Module:
    """Build the network and load its weights: float32, in evaluation mode, on the CPU.

    Names, shapes and types of all tensors are compared with those of the network before any memory
    is taken for them.

    Raises:
        BundleError: They are others.
    """
    file = checked(folder, WEIGHTS, bundle)
    c, size = len(bundle.vocab), bundle.view.size
    found = _header(file)
    wanted = {
        name: (_kind(tensor), list(tensor.shape))
        for name, tensor in build(bundle.network, c, size, empty=True).state_dict().items()
    }
    if found != wanted:
        other = sorted({*found, *wanted}, key=lambda name: found.get(name) == wanted.get(name))
        name = other[0]
        raise BundleError(
            f"expected the {len(wanted):,} tensors of {bundle.network.arch} in {file}, got"
            f" {len(found):,}, of which {name!r} is {found.get(name)} and not {wanted.get(name)}"
        )
    model = build(bundle.network, c, size)
    model.load_state_dict(safetensors.torch.load_file(file))
    return model.float().eval()


_KINDS = {torch.float32: "F32", torch.int64: "I64", torch.float16: "F16", torch.bfloat16: "BF16"}


def _kind(tensor: torch.Tensor) -> str:
    return _KINDS.get(tensor.dtype, str(tensor.dtype))


def _header(file: Path) -> dict[str, tuple[str, list[int]]]:
    """Read which tensors a safetensors file says that it has, and nothing of them."""
    try:
        with file.open("rb") as content:
            length = int.from_bytes(content.read(8), "little")
            if not 0 < length <= min(MOST_HEADER, file.stat().st_size - 8):
                raise ValueError(f"a header of {length:,} bytes")
            said: dict[str, Any] = json.loads(content.read(length))
        said.pop("__metadata__", None)
        return {name: (part["dtype"], part["shape"]) for name, part in said.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(f"expected tensors in {file}, got: {error}") from error
