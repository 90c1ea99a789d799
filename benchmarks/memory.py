"""What `keep_freed_memory` is worth: batches of mobilenet_v2 on the CPU, with and without.

    python benchmarks/memory.py [--repeats 3] [--size 224] [--bs 32]

Each side is a fresh process, in turn; medians of milliseconds a picture, peak memory, and whether
the losses are the same to the bit.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

CODE = """
import json, resource, sys, time
import torch, torchvision
from quickvision.base.memory import keep_freed_memory
keep, size, bs = sys.argv[1] == "True", int(sys.argv[2]), int(sys.argv[3])
if keep: assert keep_freed_memory()
torch.manual_seed(0)
net, x = torchvision.models.mobilenet_v2().train(), torch.randn(bs, 3, size, size)
def milliseconds(train):
    start = time.perf_counter()
    with torch.set_grad_enabled(train):
        loss = net(x).square().mean()
        if train: loss.backward()
    return 1000 * (time.perf_counter() - start) / bs, loss.item()
out = {}
for train in (False, True):
    runs = [milliseconds(train) for _ in range(5)][1:]
    out["train" if train else "infer"] = sorted(ms for ms, _ in runs)[2]
    out["loss"] = runs[-1][1]
out["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps(out))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--bs", type=int, default=32)
    options = parser.parse_args()
    if sys.platform != "linux":
        print("glibc only: nothing to measure here")
        return
    seen: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    for _ in range(options.repeats):
        for keep, found in seen.items():
            args = [sys.executable, "-c", CODE, str(keep), str(options.size), str(options.bs)]
            done = subprocess.run(args, check=True, capture_output=True, text=True)
            found.append(json.loads(done.stdout))
    for what, unit in (("infer", "ms a picture"), ("train", "ms a picture"), ("peak", "GiB")):
        plain, kept = (statistics.median(run[what] for run in seen[k]) for k in (False, True))
        print(f"{what:<6} plain {plain:7.1f}  kept {kept:7.1f} {unit:<13} ratio {plain / kept:.2f}")
    losses = {run["loss"] for found in seen.values() for run in found}
    print("losses the same to the bit:", len(losses) == 1)


if __name__ == "__main__":
    main()
