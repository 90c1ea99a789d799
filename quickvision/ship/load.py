"""`load_model`: an exported folder answers, whoever made it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from quickvision.base.choices import one_of, whole
from quickvision.base.errors import BundleError, as_path
from quickvision.ship.bundle import ONNX, WEIGHTS, read_bundle
from quickvision.ship.engine import Engine
from quickvision.ship.predictor import Predictor

ENGINES = ("auto", "onnx", "torch")


def load_model(path: str | Path, *, engine: str = "auto", threads: int | None = None) -> Predictor:
    """Open the folder of an exported model, to ask it about pictures.

    Nothing that is in the folder is run: the network is built by its name from timm's or
    torchvision's own code, and weights are compared with it, in names, shapes and types, before
    memory is taken for them. No network access, no training pictures.

    Args:
        path: What `Run.export` or `export` has written.
        engine: "onnx" asks onnxruntime alone, which is ready in under a second; "torch" the network
            itself; "auto" onnxruntime where it is installed and the folder has a `model.onnx`.
        threads: That onnxruntime computes a batch with; all cores by default. Torch has its own
            setting, `torch.set_num_threads`.

    Raises:
        BundleError: It is no such folder, or not as it was exported; or what it needs is not
            installed.
        ValueError: No such engine, or no thread at all.
    """
    one_of("engine", engine, ENGINES)
    if threads is not None:
        whole("threads", threads, 1)
    bundle, folder = read_bundle(path), as_path(path, "path")
    has = {name for name in (ONNX, WEIGHTS) if name in bundle.sha256}
    if engine == "auto":
        runtime = importlib.util.find_spec("onnxruntime") is not None
        engine = "onnx" if ONNX in has and (runtime or WEIGHTS not in has) else "torch"
    wanted = ONNX if engine == "onnx" else WEIGHTS
    if wanted not in has:
        way = "export with onnx=True (--onnx)" if wanted == ONNX else "engine='onnx' opens it"
        raise BundleError(f"expected {wanted} in {folder}, got a model without: {way}")
    made: Engine
    if engine == "onnx":
        from quickvision.ship.onnx_engine import OnnxEngine

        made = OnnxEngine(folder, bundle, threads=threads)
    else:
        from quickvision.ship.torch_engine import TorchEngine  # it needs torch and fastai

        made = TorchEngine(folder, bundle)
    return Predictor(made)
