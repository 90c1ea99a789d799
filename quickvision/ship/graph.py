"""A network as one ONNX file: bytes of pictures in, probabilities out."""

from __future__ import annotations

import copy
import io
import json
import logging
import warnings
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from quickvision.base.errors import BundleError
from quickvision.ship.bundle import Bundle


class Whole(nn.Module):
    """From uint8 [n, height, width, channels] to probabilities float32 [n, c].

    Args:
        model: From normalised pictures to logits.
        bundle: By what they are normalised.
    """

    def __init__(self, model: nn.Module, bundle: Bundle) -> None:
        super().__init__()
        self.model = model
        for name, values in (("mean", bundle.mean), ("std", bundle.std)):
            scaled = torch.tensor(np.array(values) * 255, dtype=torch.float32)
            self.register_buffer(name, scaled.view(1, -1, 1, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Answer."""
        x = (image.permute(0, 3, 1, 2).float() - self.mean) / self.std
        return torch.softmax(self.model(x), dim=1)


class Divided(nn.Module):
    """A network whose logits are divided by a temperature."""

    def __init__(self, model: nn.Module, temperature: float) -> None:
        super().__init__()
        self.model, self.temperature = copy.deepcopy(model).cpu().float().eval(), temperature

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Answer."""
        return self.model(x) / self.temperature


def write_onnx(model: nn.Module, bundle: Bundle, file: Path) -> None:
    """Write a network, with all that it needs to know of pictures, as `model.onnx`.

    Args:
        model: From normalised pictures to logits, on the CPU, in evaluation mode.
        bundle: What it is; labels and preprocessing go into the file's metadata.
        file: Where to.

    Raises:
        BundleError: The packages of the extra `onnx` are not installed, or torch cannot write it.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError as error:
        raise BundleError(
            "onnx: expected onnx and onnxscript to be installed: pip install 'quickvision[onnx]'"
        ) from error
    # Of two: torch takes a batch of one for one that is always so.
    example = torch.zeros(2, *bundle.view.size, bundle.network.channels, dtype=torch.uint8)
    whole = Whole(model, bundle).eval()
    loud = logging.getLogger("torch.onnx")
    level = loud.level
    loud.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                whole,
                (example,),
                dynamo=True,
                input_names=["image"],
                output_names=["probabilities"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
            written = program.model_proto
    except Exception as error:  # torch's exporters raise what they like
        raise BundleError(
            f"expected torch to write {bundle.network.arch} as ONNX, got: {str(error)[:300]}"
        ) from error
    finally:
        loud.setLevel(level)
    said: dict[str, Any] = {"labels": bundle.vocab, "preprocess": asdict(bundle.view)}
    said |= {"at_least": bundle.at_least, "versions": dict(bundle.versions)}
    for key, value in said.items():
        written.metadata_props.add(key=key, value=json.dumps(value, ensure_ascii=False))
    onnx.save_model(written, str(file))
