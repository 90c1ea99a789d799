"""The page's server beside the bare model: pictures a second, in the same run.

    python benchmarks/serve.py [MODEL] [--pictures 200] [--rounds 3] [--clients 16]

MODEL is an exported folder; without, a resnet18 that knows nothing is exported (the same work).
The bare model is `Predictor.predict` on the same bytes, in as many threads as there are cores.
The server is a process of its own; its clients share the machine with it, so that their work
counts against it. Rounds of both alternate; medians. At least 80 % is wanted. Memory is the
server's, before and after.
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

import quickvision as qv
from quickvision.web.serve import cores

HERE = threading.local()


def photos(n: int = 20, seed: int = 0) -> list[bytes]:
    rng, files = np.random.default_rng(seed), []
    for _ in range(n):
        small = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        into = io.BytesIO()
        small.resize((1024, 768), Image.Resampling.BICUBIC).save(into, "JPEG", quality=85)
        files.append(into.getvalue())
    return files


def exported(root: Path) -> Path:
    for seed, label in enumerate(("a", "b")):
        (root / "data" / label).mkdir(parents=True)
        for i, data in enumerate(photos(5, seed)):
            (root / "data" / label / f"{i}.jpg").write_bytes(data)
    dls = qv.from_folder(root / "data", size=224, bs=4)
    learn = qv.cnn_learner(dls, "resnet18", weights=None)
    return qv.export(learn, root / "model", onnx=True, calibrate=False, verbose=False)


def post(port: int, data: bytes) -> int:
    """Ask over a connection that the thread keeps."""
    if not hasattr(HERE, "wire"):
        HERE.wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    HERE.wire.request("POST", "/predict", data)
    answer = HERE.wire.getresponse()
    answer.read()
    return answer.status


def bare(ask: qv.Predictor, work: list[bytes]) -> float:
    with ThreadPoolExecutor(cores()) as pool:
        start = time.perf_counter()
        list(pool.map(ask.predict, work))
        return len(work) / (time.perf_counter() - start)


def served(port: int, work: list[bytes], clients: int) -> tuple[float, list[int]]:
    with ThreadPoolExecutor(clients) as pool:
        start = time.perf_counter()
        statuses = list(pool.map(lambda data: post(port, data), work))
        return len(work) / (time.perf_counter() - start), statuses


def memory(pid: int) -> float:
    file = Path(f"/proc/{pid}/statm")
    if not file.exists():
        return float("nan")
    return int(file.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        model = options.model or exported(Path(root))
        ask, files = qv.load_model(model), photos()
        work = [files[i % len(files)] for i in range(options.pictures)]
        command = [sys.executable, "-m", "quickvision", "serve", str(model), "--port", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            port = 0
            while not port:
                found = re.search(r"127\.0\.0\.1:(\d+)", server.stdout.readline())
                port = int(found[1]) if found else 0
            rates: dict[str, list[float]] = {"bare": [], "served": []}
            _, _ = bare(ask, files), served(port, files, options.clients)  # the first are slow
            before, refused = memory(server.pid), 0
            for _ in range(options.rounds):
                rates["bare"].append(bare(ask, work))
                rate, statuses = served(port, work, options.clients)
                rates["served"].append(rate)
                refused += len(work) - statuses.count(200)
            after = memory(server.pid)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(20)
    plain, ours = (statistics.median(rates[name]) for name in ("bare", "served"))
    print(f"bare model   {plain:.1f} pictures/s in {cores()} threads")
    print(f"served       {ours:.1f} pictures/s to {options.clients} clients, {refused} refused")
    print(f"ratio        {ours / plain:.0%} (wanted: 80 %)")
    print(f"memory       {before:.0f} MB before, {after:.0f} MB after")


if __name__ == "__main__":
    main()
