"""Two processes on the CPU, started by torchrun as a user does."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.metrics import F1Score, accuracy
from made import ROOT
from torch import nn

import quickvision as qv
from quickvision.base.errors import RunError

pytestmark = pytest.mark.slow
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]

# As a user's script: a model and metrics of its own; what each process ends with is written down.
SCRIPT = """
import json, os, sys, time
from pathlib import Path
from fastai.metrics import F1Score, accuracy
from quickvision.training.records import EpochLog
sys.path[:0] = {tests!r}
from test_distributed import tiny
import quickvision as qv

def slowly(self, ours=EpochLog.after_epoch):
    ours(self)
    time.sleep({pause})

EpochLog.after_epoch = slowly

if __name__ == "__main__":
    if sys.argv[1] == "train":
        run = qv.train({data!r}, arch=tiny, size=32, lr=3e-3, out={out!r},
            metrics=[accuracy, F1Score(average="macro")], **{{"bs": 5, **{options!r}}})
    else:
        run = qv.resume(sys.argv[1], arch=tiny, metrics=[accuracy, F1Score(average="macro")])
    weights = sum(float(p.double().sum()) for p in run.learn.model.state_dict().values())
    seen = {{"weights": weights, "right": run.accuracy.correct, "n": run.accuracy.n}}
    Path({out!r}, "rank-" + os.environ["RANK"] + ".json").write_text(json.dumps(seen))
"""


def tiny(pretrained: bool = True) -> nn.Module:
    def block(n_in: int, n_out: int) -> list[nn.Module]:
        return [nn.Conv2d(n_in, n_out, 3, 2, 1), nn.BatchNorm2d(n_out), nn.ReLU()]

    torch.manual_seed(7)  # what it was "pretrained" with
    return nn.Sequential(
        *block(3, 8), *block(8, 16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)
    )


@pytest.fixture
def start(class_folders, tmp_path):
    """Start the script in two processes; 29 pictures train, 7 validate: neither is even."""
    return partial(started, class_folders, tmp_path)


def started(data, root, what="train", out="runs", pause=0, **options) -> subprocess.Popen:
    (folder := root / out).mkdir(exist_ok=True)
    values = {
        "tests": [str(Path(__file__).parent), str(ROOT / "tests")],
        "data": str(data),
        "out": str(folder),
    }
    text = SCRIPT.format(options=options, pause=pause, **values)
    (script := root / f"user-{pause}.py").write_text(text)
    return torchrun(str(script), what)


WHOLE = {"frozen_epochs": 2, "unfrozen_epochs": 3, "tta": 1}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, write_colours):
    """A run of two processes that nothing happens to: its folder, its pictures, what it said."""
    root = tmp_path_factory.mktemp("whole")
    data = write_colours(root / "colours")
    out = finished(started(data, root, **WHOLE))
    return root / "runs" / "colours-001", data, out


def torchrun(*command: str) -> subprocess.Popen:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*TORCHRUN, *command], env=env, **pipes)


def finished(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-3000:]
    assert [w for w in re.findall(r"\w+Warning: .*", err) if "torch.jit" not in w] == []
    return out


def test_all_figures_are_those_of_one_process(whole):
    path, data, out = whole
    assert out.count("frozen 2/2") == out.count("unfrozen 3/3") == 1, "each said once"
    assert "3 unfrozen epochs of 3 steps in each of 2 processes" in out
    assert [p.name for p in path.parent.iterdir() if p.is_dir()] == ["colours-001"]
    ranks = [json.loads((path.parent / f"rank-{r}.json").read_text()) for r in (0, 1)]
    assert ranks[0] == ranks[1]
    assert ranks[0]["n"] == 7

    row = pd.read_csv(path / "log.csv").iloc[-1]
    dls = qv.from_folder(data, size=32, bs=5)
    learn = qv.cnn_learner(dls, tiny, metrics=[accuracy, F1Score(average="macro")])
    state = torch.load(path / "checkpoints" / "stage-2.pth", weights_only=True)
    learn.model.load_state_dict(state["model"])
    with learn.no_bar():
        loss, right, f1 = learn.validate()
    assert right == pytest.approx(row["accuracy"], rel=1e-7)
    assert f1 == pytest.approx(row["f1_score"], rel=1e-7)
    assert loss == pytest.approx(row["valid_loss"], rel=1e-5)

    table = pd.read_csv(path / "predictions.csv")
    assert table["path"].tolist() == dls.split["path"][dls.split["valid"]].tolist()
    assert ranks[0]["right"] == (table["actual"] == table["predicted"]).sum()
    assert np.load(path / "predictions.npz")["probs"].sum(axis=1) == pytest.approx(np.ones(7))


def test_the_frozen_stage_on_pictures_and_a_found_rate(start, tmp_path):
    out = finished(
        start(
            frozen_epochs=1, unfrozen_epochs=1, cache_features=False, lr_unfrozen="find", bs="auto"
        )
    )  # fmt: skip
    assert out.count("batch        8 pictures, as bs='auto' finds") == 1
    assert "unfrozen 1/1" in out
    assert re.search(r"unfrozen +rate \d", out)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_dead_process_ends_all_and_resume_ends_as_if_nothing_had_been(
    start, whole, tmp_path, victim
):
    process = start(pause=1, **WHOLE)
    path, began = tmp_path / "runs" / "colours-001", time.monotonic()
    while not (path / "log.csv").exists() or len(pd.read_csv(path / "log.csv")) < 3:
        assert time.monotonic() - began < 120
        assert process.poll() is None, process.communicate()[1][-3000:]
        time.sleep(0.05)
    os.kill(child(process.pid, victim), signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    done = len(pd.read_csv(path / "log.csv"))
    assert done < 5, "it was over before it was killed"
    if victim == 0:  # a single process can go on, too
        metrics = [accuracy, F1Score(average="macro")]
        run = qv.resume(path, arch=tiny, metrics=metrics, verbose=False)
        assert len(run.history) == 5
        return
    assert "resumed" in finished(start(str(path)))
    expected, *_ = whole
    logs = [pd.read_csv(p / "log.csv").drop(columns="seconds") for p in (path, expected)]
    pd.testing.assert_frame_equal(*logs)
    last = [torch.load(p / "checkpoints" / "last.pt")["model"] for p in (path, expected)]
    assert all(torch.equal(last[0][name], last[1][name]) for name in last[0])


def child(parent: int, rank: int) -> int:
    """Find the process of this rank."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ppid = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            env = (folder / "environ").read_bytes()
        except OSError:
            continue
        if ppid == parent and f"\0RANK={rank}\0".encode() in env:
            return int(folder.name)
    raise AssertionError(f"no process of rank {rank} below {parent}")


def test_what_the_first_one_finds_wrong_is_said_once(tmp_path):
    process = torchrun("-m", "quickvision", "train", str(tmp_path / "nowhere"))
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert len(re.findall("^(?:process 1: )?error:", err, re.MULTILINE)) == 1


def test_compare_is_for_one_process(class_folders, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(RunError, match="compare: expected one process"):
        qv.compare(class_folders, ["resnet18"], out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
