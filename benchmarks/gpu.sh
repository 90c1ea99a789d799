#!/usr/bin/env bash
# On a machine with an NVIDIA GPU, in the project's root, with the package and pytest installed:
#   benchmarks/gpu.sh PHOTOS [OUT]
# PHOTOS is a folder of JPEG files. In eight minutes at most: the tests that need a GPU, then epochs of
# plain fastai in fp32 and fp16 beside quickvision's, memory, what deterministic= costs, bs="auto" and a
# batch that does not fit. What was said goes to OUT/gpu.txt as well, for benchmarks/RESULTS.md.
set -uo pipefail
photos=${1:?usage: benchmarks/gpu.sh PHOTOS [OUT]}
out=${2:-.}
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$out"
cd "$here" || exit 1
toy=()
python3 -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || toy=(--toy)
{
  timeout 150 python3 -m pytest -q -m gpu -p no:cacheprovider tests
  timeout 150 python3 benchmarks/gpu.py "$photos" --archs resnet34 --bs 64 --pictures 2048 "${toy[@]}"
  timeout 170 python3 benchmarks/gpu.py "$photos" --archs convnext_tiny --bs 64 --pictures 2048 "${toy[@]}"
} 2>&1 | tee "$out/gpu.txt"
