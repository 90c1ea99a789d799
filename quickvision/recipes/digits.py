"""The demo: what transfer learning is, offline, on scanned digits that scikit-learn ships."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from fastai.vision.augment import aug_transforms
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from quickvision.base.errors import RunError, as_path
from quickvision.base.figures import Accuracy
from quickvision.base.files import cache_folder, whole_folder, write_whole
from quickvision.base.progress import Lines, line, say
from quickvision.runs.run import Run
from quickvision.runs.train import train

DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGITS_SIZE = 32  # pixels; the scans have 8


def train_digits(
    *,
    frozen_epochs: int = 2,
    unfrozen_epochs: int = 1,
    pretrain_epochs: int = 3,
    seed: int = 42,
    out: str | Path = "runs",
    verbose: bool = True,
) -> Run:
    """Show what transfer learning is, offline: from the digits 0-4 to 5-9, with 20 pictures each.

    A small ResNet first learns 0-4, as a big one learns ImageNet. Its body then goes through the
    main job on 5-9, of which only 20 pictures a class are labelled. The same net from scratch, on
    the same pictures and for as many epochs, is the baseline. It is far behind after three epochs,
    for which the demo stops; with more of them it catches up, because 100 digits teach it enough.

    Args:
        frozen_epochs: Epochs of the head alone.
        unfrozen_epochs: Epochs of all layers.
        pretrain_epochs: Epochs on the digits 0-4.
        seed: Seed of everything.
        out: Folder to write in: the pictures in `out/digits`, the runs beside it.
        verbose: Say what happens.

    Returns:
        The run on 5-9, with the one from scratch as its `baseline`. What was measured on two cores
        with seed 42 is in `benchmarks/RESULTS.md`: on the same machine with the same versions it is
        the same to the bit; on another one it may differ by several points.

    Raises:
        RunError: `out` cannot be written.

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits" (UCI, 1998), real scans
    of 8 x 8 pixels, as `sklearn.datasets.load_digits` ships them.
    """
    data = _write_digits(as_path(out, "out") / "digits")
    options = _options(seed, out)
    say("1. Learn the digits 0-4, as a big network learns ImageNet (20 seconds)", verbose=verbose)
    body = _learn_first(data, pretrain_epochs, options, verbose=verbose)

    say("\n2. Transfer to the digits 5-9, with 20 labelled pictures each", verbose=verbose)
    stages: dict[str, Any] = {"frozen_epochs": frozen_epochs, "unfrozen_epochs": unfrozen_epochs}
    how = {**stages, **options}
    run = train(data / "5-9", weights=body, name="digits-5-9", verbose=verbose, **how)

    say("\n3. The same pictures and epochs, from scratch", verbose=verbose)
    epochs: dict[str, Any] = {
        "frozen_epochs": 0,
        "unfrozen_epochs": frozen_epochs + unfrozen_epochs,
    }
    how = {**epochs, **options, "verbose": False}
    alone = train(data / "5-9", weights=None, name="digits-5-9-scratch", **how)
    for epoch, value in enumerate(alone.history["accuracy"], start=1):
        right = Accuracy(round(value * len(alone.preds)), len(alone.preds))
        say(line(f"epoch {epoch}", right), verbose=verbose)
    run = replace(run, baseline=alone)
    said = {"transfer": f"{run.accuracy}", "from scratch": f"{alone.accuracy}"}
    said["written to"] = f"{run.path}, the pictures to {data}"
    say(f"\n{Lines(said)}", verbose=verbose)
    return run


def digit_weights(*, epochs: int = 6, seed: int = 42, verbose: bool = True) -> Path:
    """Get the weights of a small ResNet that has seen digits: offline, what ImageNet weights are.

    It is trained once on every other scan of the digits 0 to 4 (`nbs_data` is made of the rest, so
    that no picture there has been seen), which takes a third of a minute on two cores, and kept in
    quickvision's cache folder. `cnn_learner(dls, "timm/resnet10t", weights=digit_weights())` then
    starts from it.

    Args:
        epochs: Passes over the 452 pictures.
        seed: Seed of everything.
        verbose: Say what happens.

    Returns:
        The file of weights, which `weights=` takes.

    Raises:
        RunError: The cache folder cannot be written.
    """
    kept = cache_folder() / f"resnet10t-digits-{epochs}-{seed}.safetensors"
    if not kept.is_file():
        with TemporaryDirectory() as out:
            data = _write_digits(Path(out) / "digits", every=2)
            body = _learn_first(data, epochs, _options(seed, out), verbose=verbose)
            write_whole(kept, partial(shutil.copyfile, body))
    return kept


def _options(seed: int, out: str | Path) -> dict[str, Any]:
    return {
        "arch": "timm/resnet10t",
        "size": DIGITS_SIZE,
        "bs": 16,
        "batch_tfms": aug_transforms(do_flip=False),  # a mirrored 5 is no digit
        "seed": seed,
        "out": out,
    }


def _learn_first(data: Path, epochs: int, options: dict[str, Any], *, verbose: bool) -> Path:
    """Train on the digits 0-4, and write what the body has learned."""
    how: dict[str, Any] = {"weights": None, "frozen_epochs": 0, "unfrozen_epochs": epochs}
    how |= {"bs": 32, "lr_unfrozen": 2e-3}  # half the time of `bs=16` and a search
    base = train(data / "0-4", name="digits-0-4", verbose=False, **{**options, **how})
    say(line("accuracy", f"{base.accuracy}  {sum(base.timing.values()):.0f} s"), verbose=verbose)
    state = {k: v.contiguous() for k, v in base.learn.model[0].state_dict().items()}
    return write_whole(base.path / "body.safetensors", partial(save_file, state))


def _write_digits(folder: Path, *, every: int = 1) -> Path:
    """Write scikit-learn's digits as PNG files, once, in the two layouts of `from_folder`.

    `0-4/CLASS/*.png` holds 901 pictures; `5-9/train` 20 a class, and `5-9/valid` the other 796.
    With `every` of 2, every other scan of a digit, from the first on, is written.
    """
    if folder.is_dir():
        if not {path.name for path in folder.iterdir()} >= {"0-4", "5-9"}:  # Finder adds a file
            raise RunError(f"expected to write digits to {folder}, got a folder with other things")
        return folder
    digits = load_digits()
    with whole_folder(folder) as part:
        for digit, name in enumerate(DIGIT_NAMES):
            numbers = np.flatnonzero(digits.target == digit)[::every]
            # The scans are in the order of their 13 writers: labelled ones come from all of them.
            labelled = set(numbers[np.linspace(0, len(numbers) - 1, 20).astype(int)])
            for number in numbers:
                half = "0-4" if digit < 5 else f"5-9/{'train' if number in labelled else 'valid'}"
                file = part / half / name / f"{name}_{number:04d}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray((digits.images[number] * (255 / 16)).astype(np.uint8)).save(file)
    return folder
