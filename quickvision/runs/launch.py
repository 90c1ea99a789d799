"""Start the processes that train together, from one that is not among them, as a notebook's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from quickvision.base.choices import whole
from quickvision.base.errors import ModelError, RunError
from quickvision.base.processes import world_size
from quickvision.base.progress import say


def check_gpus(gpus: int) -> None:
    """See that this machine has so many GPUs, and that several processes can be had.

    Raises:
        ModelError: It has fewer.
        RunError: Accelerate is not installed, or this is one of several processes already.
        ValueError: `gpus` is no number from 1.
    """
    gpus = whole("gpus", gpus, 1)
    if world_size() > 1:
        raise RunError(
            f"gpus: expected one process, got {world_size()} that train together already"
        )
    if not (there := torch.cuda.device_count()):
        raise ModelError(
            "gpus: expected a GPU that torch can use, got none on this machine; leave gpus= out"
        )
    if gpus > there:
        raise ModelError(f"gpus: expected at most {there}, which this machine has, got {gpus}")
    try:
        import accelerate  # noqa: F401
    except ImportError as error:
        raise RunError(
            "gpus: expected Accelerate, which trains in several processes, got none:"
            " pip install accelerate"
        ) from error


def launch(arguments: Sequence[str], processes: int, *, verbose: bool = True) -> None:
    """Run quickvision's command line in several processes on this machine, until all are done.

    They are started anew by `torchrun`, not forked: a process that has used a GPU cannot be.
    Nothing is pickled: they `resume` a run that has not begun, and what they need is in its
    `config.json`. Ctrl-C here is passed on to them.

    Args:
        arguments: As on the command line, such as `["resume", "runs/pets-001"]`.
        processes: How many.
        verbose: Say what they say.

    Raises:
        RunError: One of them failed; what it said is passed on.
    """
    run = (sys.executable, "-m", "torch.distributed.run", "--standalone")
    command = [*run, f"--nproc-per-node={processes}", "-m", "quickvision", *arguments]
    threads = max(1, (os.cpu_count() or 1) // processes)
    env = {"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1", **os.environ}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        started = subprocess.Popen(
            command,
            env=env,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        try:
            for line in started.stdout or ():
                say(line.rstrip("\n"), verbose=verbose)
            started.wait()
        except BaseException:
            started.send_signal(signal.SIGINT)
            started.wait()
            raise
        if started.returncode:
            errors.seek(0)
            raise RunError(_reason(errors.read().splitlines()))


def _reason(said: Sequence[str]) -> str:
    """Find what the processes died of in what they wrote."""
    told = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
    if told:
        return told[0]
    last = "\n".join(said[-30:])
    return f"expected {Path(sys.executable).name} to train in several processes, got:\n{last}"
