"""An exported model that onnxruntime computes. Imports neither torch nor fastai."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from quickvision.base.errors import BundleError
from quickvision.ship.bundle import ONNX, Bundle, checked
from quickvision.ship.engine import Viewer

_ELSEWHERE = b"\x0a\x08location"  # how a graph names another file that its numbers are in


class OnnxEngine(Viewer):
    """`model.onnx`: bytes in, probabilities out, all in one file.

    Args:
        folder: The exported folder.
        bundle: What it says of itself.
        threads: That a batch is computed by; all cores by default.

    Raises:
        BundleError: onnxruntime is not installed, or the file is not as it was exported.
    """

    def __init__(self, folder: Path, bundle: Bundle, *, threads: int | None = None) -> None:
        super().__init__(bundle)
        try:
            import onnxruntime
        except ImportError as error:
            raise BundleError(
                "expected onnxruntime to be installed: pip install onnxruntime"
            ) from error
        file = checked(folder, ONNX, bundle)
        content = file.read_bytes()
        if _ELSEWHERE in content:
            raise BundleError(f"expected all of the model in {file}, got a part in other files")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or len(_cores())
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            with tempfile.TemporaryDirectory() as empty:
                name = "session.model_external_initializers_file_folder_path"
                options.add_session_config_entry(name, empty)
                self._session = onnxruntime.InferenceSession(
                    content, options, providers=["CPUExecutionProvider"]
                )
        except Exception as error:  # onnxruntime's own kinds have no common parent
            raise BundleError(f"expected a model in {file}, got: {error}") from error
        size, n = (*bundle.view.size, bundle.network.channels), len(bundle.vocab)
        into, out = self._session.get_inputs(), self._session.get_outputs()
        if [(i.type, tuple(i.shape[1:])) for i in into] != [("tensor(uint8)", size)] or [
            o.shape[1:] for o in out
        ] != [[n]]:
            raise BundleError(
                f"expected a model of uint8 [n, {size[0]}, {size[1]}, {size[2]}] and {n} classes"
                f" in {file}, got {into} and {out}"
            )
        self._name = into[0].name

    def probs(self, opened: Sequence[np.ndarray]) -> np.ndarray:
        """Answer for opened pictures; several threads may ask at once."""
        (out,) = self._session.run(None, {self._name: np.stack(opened)})
        return out


def _cores() -> set[int]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))
