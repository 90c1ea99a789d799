"""Hand what happens in a training over to TensorBoard or Weights & Biases, beside `log.csv`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from fastai.callback.core import Callback

from quickvision.base.errors import RunError, did_you_mean
from quickvision.base.processes import rank

LOGS = ("tensorboard", "wandb")


def check_log(log: str | None) -> None:
    """See that there is such a logger, and that it is installed.

    Raises:
        RunError: It is not installed.
        ValueError: There is no such logger.
    """
    if log is None:
        return
    if log not in LOGS:
        known = " or ".join(map(repr, LOGS))
        near = did_you_mean(str(log), LOGS) or "; for others there are fastai's callbacks and cbs="
        raise ValueError(f"log: expected {known}, got {log!r}{near}")
    found = find_spec(log)
    if found is None or found.origin is None:  # a folder of this name is no package
        raise RunError(f"log: expected {log} to be installed, got nothing: pip install {log}")


@contextmanager
def logged(log: str | None, path: Path) -> Iterator[Callable[[str], list[Callback]]]:
    """Open a logger for the length of a training; the first of several processes has it.

    TensorBoard's files are in the run's folder, one run of TensorBoard's for each stage. A run of
    Weights & Biases that is open already is taken, and stays open; else one is opened in the
    project "quickvision", with the run's name, which `resume` goes on with.

    Args:
        log: "tensorboard", "wandb" or None.
        path: The run's folder.

    Returns:
        A function from a stage's name to fastai's callbacks for it.

    Raises:
        RunError: Weights & Biases cannot be reached.
    """
    if log is None or rank() > 0:
        yield lambda stage: []
    elif log == "tensorboard":
        yield lambda stage: [_tensorboard(path / "tensorboard" / stage)]
    else:
        with _wandb(path) as made:
            yield made


def _tensorboard(folder: Path) -> Callback:
    from fastai.callback.tensorboard import TensorBoardCallback

    # It draws the model and pictures with the batches of the loader, which may be cached features.
    return TensorBoardCallback(folder, trace_model=False, log_preds=False)


@contextmanager
def _wandb(path: Path) -> Iterator[Callable[[str], list[Callback]]]:
    import wandb
    from fastai.callback.wandb import WandbCallback

    class Wandb(WandbCallback):
        """fastai's, less a listing of the learner's parts: it fails at numbers in them."""

        def before_fit(self) -> None:
            self.learn.gather_args = dict
            try:
                super().before_fit()
            finally:
                del self.learn.gather_args

    own = wandb.run is None
    if own:
        settings = path / "config.json"  # written once, so that a run is known again
        began = f"{path.name}{settings.stat().st_mtime_ns}".encode("utf-8", "surrogateescape")
        try:
            wandb.init(
                project="quickvision",
                name=path.name,
                id=hashlib.sha256(began).hexdigest()[:16],
                dir=path,
                config=json.loads(settings.read_text("utf-8", "replace")),
                resume="allow",
            )
        except wandb.Error as error:
            raise RunError(
                f"log: expected to reach Weights & Biases, got: {error}; `wandb login` once, or set"
                " WANDB_MODE=offline"
            ) from error
    try:
        yield lambda stage: [Wandb(log_preds=False)]
    finally:
        if own:
            wandb.finish()
