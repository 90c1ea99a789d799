"""Runs that are killed with `kill -9` end as if they had not been.

`make soak` kills more often: it sets QUICKVISION_KILLS.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

import quickvision as qv
from quickvision.base import files
from quickvision.runs import checkpointer

KILLS = int(os.environ.get("QUICKVISION_KILLS", "5"))
OPTIONS = {
    "arch": "timm/test_resnet", "size": 32, "bs": 6, "lr": 4e-3, "frozen_epochs": 4,
    "unfrozen_epochs": 4, "verbose": False,
}  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there"),
]


def work(folder: Path | None, data: Path, out: Path, weights: Path, step: int) -> None:
    """Train or go on in a process of its own; die at a step of writing, where one is given."""
    torch.set_num_threads(1)
    checkpointer.SHARE = 1e9
    Figure.savefig = lambda self, file, **_: Image.new("L", (1, 1)).save(file)  # most of the time
    if step:
        _die_at(step)
    if folder is None:
        qv.train(data, out=out, weights=weights, **OPTIONS)
    else:
        qv.resume(folder, verbose=False)


def _die_at(step: int) -> None:
    """Count moments in the writing of files: before, in the midst, before and after the rename."""
    left = [step]

    def moment():
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    write_whole, replace = files.write_whole, os.replace

    def write(path, writer):
        def half(part):
            moment()
            writer(part)
            whole = part.read_bytes()
            part.write_bytes(whole[: len(whole) // 2])
            moment()
            part.write_bytes(whole)

        return write_whole(path, half)

    def rename(one, two):
        moment()
        replace(one, two)
        moment()

    os.replace = rename
    for room in [m for name, m in sys.modules.items() if name.startswith("quickvision")]:
        if getattr(room, "write_whole", None) is write_whole:
            room.write_whole = write


@pytest.fixture(scope="module")
def processes():
    """Processes that begin with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "quickvision.runs.train"])
    first = context.Process(target=int)  # waits for the imports: no run's seconds have them in
    first.start()
    first.join()
    return context


@pytest.fixture
def started(processes, class_folders, tmp_path):
    """Start a process; `expected` is what an uninterrupted one leaves."""
    import timm

    torch.manual_seed(0)
    weights = tmp_path / "body.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), weights)

    def go(folder, name, step=0):
        args = (folder, class_folders, tmp_path / name, weights, step)
        process = processes.Process(target=work, args=args)
        process.start()
        return process

    return go


def ended(path: Path) -> tuple[dict[str, torch.Tensor], pd.DataFrame]:
    state = torch.load(path / "checkpoints" / "last.pt", weights_only=True)
    assert [stage["name"] for stage in state["stages"]] == ["frozen", "unfrozen"]
    assert (path / "predictions.csv").exists()
    assert not list(path.rglob(".*")), "what a killed process began to write"
    return state["model"], pd.read_csv(path / "log.csv").drop(columns="seconds")


def check_same(path: Path, expected: Path) -> None:
    (weights, log), (weights_0, log_0) = ended(path), ended(expected)
    pd.testing.assert_frame_equal(log, log_0)
    assert all(torch.equal(weights[name], weights_0[name]) for name in weights_0)


@pytest.fixture
def expected(started, tmp_path):
    start = time.perf_counter()
    process = started(None, "whole")
    process.join()
    assert process.exitcode == 0
    return tmp_path / "whole" / "colours-001", time.perf_counter() - start


def test_killed_at_random_moments(started, expected, tmp_path):
    whole, seconds = expected
    chance, kills, lives = random.Random(0), 0, 0
    folder = None
    while kills < KILLS or folder is not None:
        lives += 1
        out = tmp_path / f"r{lives}"
        process = started(folder, out.name)
        process.join(chance.uniform(0, seconds) if kills < KILLS else None)
        if process.is_alive():
            process.kill()
            kills += 1
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        folder = folder or out / "colours-001"
        if process.exitcode == 0:
            check_same(folder, whole)
            folder = None
        elif not (folder / "config.json").exists():  # it had hardly begun
            folder = None


def test_killed_while_a_file_is_written(started, expected, tmp_path):
    """Each moment of writing in the run, or, outside of `make soak`, some of them."""
    whole, _ = expected
    moments = range(1, 400) if KILLS >= 30 else (5, 22, 41, 63)
    for step in moments:
        process = started(None, f"w{step}", step)
        process.join()
        if process.exitcode == 0:  # there were no more
            assert step > 30
            break
        assert process.exitcode == -signal.SIGKILL
        folder = tmp_path / f"w{step}" / "colours-001"
        if not (folder / "config.json").exists():
            continue
        process = started(folder, f"w{step}")
        process.join()
        assert process.exitcode == 0, step
        check_same(folder, whole)
