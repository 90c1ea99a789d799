"""What several tests make: archives, annotations, predictions; and what they look at."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import warnings
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from scipy.io import savemat

import quickvision as qv
from quickvision.data.holdout import CSV
from quickvision.runs import checkpointer
from quickvision.runs.checkpoints import load_checkpoint

ROOT = Path(__file__).parent.parent

# What Python says of its own accord does not help.
RAW = re.compile(
    r"'NoneType'|has no attribute|object is not|unsupported operand|not supported between"
    r"|unhashable|os\.PathLike|must be (a |an )?(str|int|real|integer|string)"
    r"|cannot be interpreted|codec can"
    r"|unexpected keyword|positional argument|subscriptable|invalid literal|ambiguous|out of bounds"
)


def tree(root):
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else ""
        for p in sorted(root.rglob("*"))
    }


def refused(call):
    """Call; return what was raised, which is ours and says what is wrong; None where all went."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()
    except (qv.QuickvisionError, ValueError, TypeError) as error:
        caught = error
    else:
        return None
    assert len(str(caught)) > 15, repr(caught)
    assert not RAW.search(str(caught)), repr(caught)
    return caught


NAMES = ["AM General Hummer SUV 2000", "Ram C/V Cargo Van Minivan 2012", "Audi TTS Coupe 2012"]


def save_annotations(file, pairs, fields=("class", "fname")):
    """As the authors: a struct array [1, n], boxes in uint16, classes in uint8, names as text."""
    boxes = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"]
    rows = np.empty((1, len(pairs)), dtype=[(name, object) for name in (*boxes, *fields)])
    for i, (label, name) in enumerate(pairs):
        given = {"class": np.uint8(label), "fname": name, "test": np.uint8(0)}
        for box in boxes:
            rows[box][0, i] = np.uint16(30)
        for field in fields:
            rows[field][0, i] = given[field]
    file.parent.mkdir(parents=True, exist_ok=True)
    savemat(file, {"annotations": rows})


def save_names(file, names=NAMES):
    cells = np.empty((1, len(names)), dtype=object)
    cells[0, :] = names
    file.parent.mkdir(parents=True, exist_ok=True)
    savemat(file, {"class_names": cells})


class Site:
    """A web site of one archive; `cut` bytes are sent of it, and `asked` are the ranges."""

    def __init__(self, content):
        self.content, self.cut, self.knows_ranges = content, None, True
        self.asked: list[str | None] = []

    def __enter__(self):
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                wanted = self.headers.get("Range")
                site.asked.append(wanted)
                start = int(wanted[6:-1]) if wanted and site.knows_ranges else 0
                if "missing" in self.path:
                    self.send_error(404)
                elif start >= len(site.content):
                    self.send_error(416)
                else:
                    self.send_response(206 if start else 200)
                    self.send_header("Content-Length", str(len(site.content) - start))
                    self.end_headers()
                    self.wfile.write(site.content[start : site.cut])

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *args):
        self.server.shutdown()
        self.server.server_close()

    def url(self, name="birds.tgz"):
        return f"http://127.0.0.1:{self.server.server_port}/{name}"

    @property
    def checksum(self):
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"


def packed(files, kind="tgz"):
    """An archive in memory."""
    memory = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(memory, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(fileobj=memory, mode="w:gz") as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return memory.getvalue()


def made_up(n=60, c=4, seed=0):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(c), n).astype(np.float32)
    targs = rng.integers(0, c, n)
    losses = -np.log(probs[np.arange(n), targs])
    paths = tuple(Path(f"{i:03d}.jpg") for i in range(n))
    return qv.Predictions(probs, targs, tuple("abcdefghij"[:c]), losses, paths)


BASE = {"arch": "timm/test_resnet", "weights": None, "size": 32, "bs": 6, "verbose": False}


class Stop(Callback):
    """Raise at one batch of one epoch of a stage."""

    order = 200

    def __init__(self, stage, epoch, batch=0, error=KeyboardInterrupt):
        self.at, self.error = (stage, epoch, batch), error

    def after_batch(self):
        here = (self.learn.epoch_log.stage, self.epoch, self.iter)
        if self.training and here == self.at:
            raise self.error


def same(one, two):
    """Two runs ended with the same weights, the same log and the same predictions."""
    a, b = (run.learn.model.state_dict() for run in (one, two))
    assert all(torch.equal(a[name], b[name]) for name in a)
    logs = [pd.read_csv(run.path / "log.csv").drop(columns="seconds") for run in (one, two)]
    pd.testing.assert_frame_equal(*logs)
    pd.testing.assert_frame_equal(one.history[list(logs[0])], two.history[list(logs[0])])
    np.testing.assert_array_equal(one.preds.probs, two.preds.probs)
    assert one.summary()["accuracy"] == two.summary()["accuracy"]
    assert one.best | {"seconds": 0} == two.best | {"seconds": 0}
    files = [run.path / "checkpoints" / "best.pth" for run in (one, two)]
    a, b = (torch.load(file, weights_only=True)["model"] for file in files)
    assert all(torch.equal(a[name], b[name]) for name in a)


@contextmanager
def copied(root):
    """Copy a run's folder as a kill leaves it, at each place where its checkpoint is another."""
    seen: dict[Any, Path] = {}
    real = checkpointer.Checkpointer.save

    def keep(self):
        last = load_checkpoint(self.path / "checkpoints")
        state = None
        if last is not None:
            at = last.progress
            state = (len(at.rows), len(at.stages), tuple(at.rates), at.epochs, last.fit is None)
        if state not in seen:
            seen[state] = root / str(len(seen)) / self.path.name
            shutil.copytree(self.path, seen[state])

    def save(self, *args):
        keep(self)
        real(self, *args)
        keep(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpointer.Checkpointer, "save", save)
        patch.setattr(checkpointer.Checkpointer, "after_batch", keep, raising=False)
        yield seen


def files(root, names):
    """Files of these names below a folder, each with bytes of its own: names to be found."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def table(path, lines, encoding="utf-8"):
    """A file of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


_COMMAND = """
import json, sys
from quickvision.cli import main
sys.argv = ["quickvision", *json.loads(sys.argv[1])]
code = 0
try:
    main()
except SystemExit as done:
    code = done.code
print(json.dumps([code, sorted(sys.modules)]))
"""


def in_a_process(*arguments, cwd=None):
    """Run a command in a process of its own: both streams, exit code, the modules it has loaded."""
    said = subprocess.run(
        [sys.executable, "-c", _COMMAND, json.dumps([*map(str, arguments)])],
        cwd=cwd, capture_output=True, text=True, check=True,
    )  # fmt: skip
    out, _, last = said.stdout.rstrip().rpartition("\n")
    code, modules = json.loads(last)
    return out, said.stderr, code, {*modules}


THREE_FIXES = [
    ("red/red_03.png", "relabel", "blue"),
    ("green/green_04.png", "drop", ""),
    ("blue/blue_05.png", "keep", ""),
]


def write_fixes(path, rows, columns=("path", "action", "label")):
    pd.DataFrame(rows, columns=list(columns)).to_csv(path, **CSV)
    return path


def sides_of(dls):
    """Each picture's label, and whether it is held out, by its name."""
    return {row.path: (row.label, bool(row.valid)) for row in dls.split.itertuples()}
