from __future__ import annotations

import os
import random
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

import quickvision as qv

mpl.use("Agg")

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: at the end no process is left alone with it."""

    def place(item: pytest.Item) -> tuple[bool, bool]:
        whole = item.path.name in ("test_notebooks.py", "test_readme.py")
        return item.get_closest_marker("slow") is None, not whole

    items.sort(key=place)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory) -> Iterator[None]:
    """Keep what tests see out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUICKVISION_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Give every test the same random numbers, whichever ran before it."""
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _plots_are_not_drawn(request, monkeypatch) -> None:
    """Save one grey point in place of each plot: drawing them is 80 % of a small run's time.

    All is plotted as ever, and only the picture's pixels are missing; the report is not made
    either. Tests that are marked `drawn`, other processes, and fixtures that are made once draw
    both.
    """
    if request.node.get_closest_marker("drawn") is None:
        monkeypatch.setattr("quickvision.runs.ending._report", lambda run: None)

        def point(figure: object, file: Path, **options: object) -> None:
            Image.new("L", (1, 1)).save(file)

        monkeypatch.setattr("matplotlib.figure.Figure.savefig", point)


@pytest.fixture
def fastai_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of fastai's own for this test (it reads the variable once a process)."""
    from fastai.data.external import fastai_cfg

    monkeypatch.setenv("FASTAI_HOME", str(tmp_path / "home"))
    fastai_cfg.cache_clear()
    yield tmp_path / "home"
    fastai_cfg.cache_clear()


def write_picture(path: Path, colour: str = "red", seed: int = 0, side: int = 40) -> Path:
    """Write one noisy picture of a class's colour, so that a tiny net can learn it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(-40, 40, (side, side + 8, 3))
    pixels = (np.array(COLOURS[colour]) + noise).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="session")
def picture() -> Callable[..., Path]:
    return write_picture


@pytest.fixture(scope="session")
def write_colours() -> Callable[[Path], Path]:
    """Write three class folders of twelve pictures each."""

    def write(root: Path) -> Path:
        for colour in COLOURS:
            for i in range(12):
                write_picture(root / colour / f"{colour}_{i:02d}.png", colour, seed=i)
        return root

    return write


@pytest.fixture
def class_folders(tmp_path: Path, write_colours) -> Path:
    """Three class folders of twelve pictures each."""
    return write_colours(tmp_path / "colours")


@pytest.fixture
def train_and_val(tmp_path: Path, picture) -> Path:
    """`train` and `val` with two classes: eight pictures each, and four."""
    root = tmp_path / "split"
    for colour in ("red", "green"):
        for i in range(8):
            picture(root / "train" / colour / f"{i}.png", colour, seed=i)
        for i in range(4):
            picture(root / "val" / colour / f"{i}.png", colour, seed=100 + i)
    return root


@pytest.fixture
def named_files(tmp_path: Path, picture) -> Path:
    """A flat folder of `CLASS_NUMBER.png`, ten each."""
    root = tmp_path / "named"
    for colour in COLOURS:
        for i in range(10):
            picture(root / f"{colour}_{i}.png", colour, seed=i)
    return root


@pytest.fixture(scope="session")
def digits_are_known(tmp_path_factory, _own_cache) -> Path:
    """Put what `digit_weights()` trains into the cache; one worker trains it for all."""

    ours = Path(os.environ["QUICKVISION_CACHE"])
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with FileLock(shared / "digits.lock"):
        found = sorted(shared.glob("*-digits-*.safetensors"))
        if not found:
            found = [Path(shutil.copy(qv.digit_weights(verbose=False), shared))]
    if not (ours / found[0].name).exists():
        shutil.copy(found[0], ours)
    return ours / found[0].name


@dataclass
class Said:
    """What a command left, in the words of `subprocess.run`."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command(tmp_path, monkeypatch, capsys) -> Callable[..., Said]:
    """Run `quickvision` in this process, in `tmp_path`, as `python -m quickvision` would."""
    from quickvision.cli import commands

    def run(*arguments: object, cwd: Path = tmp_path) -> Said:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["quickvision", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        with warnings.catch_warnings():
            warnings.resetwarnings()  # to Python's own, not pytest's
            for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning):
                warnings.simplefilter("ignore", kind)
            warnings.simplefilter("ignore", ResourceWarning)
            try:
                commands.main()
            except SystemExit as done:
                code = int(done.code or 0)
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real photos and weights."""
    if "QUICKVISION_REAL_DATA" not in os.environ:
        pytest.skip("QUICKVISION_REAL_DATA is not set: no real photos and weights here")
    return Path(os.environ["QUICKVISION_REAL_DATA"])


@pytest.fixture(scope="session")
def tiny_net() -> Callable[..., object]:
    """A builder, as fastai takes them, of a net that trains in milliseconds."""
    from torch import nn

    def tiny(pretrained: bool = False) -> nn.Module:
        def block(n_in: int, n_out: int) -> list[nn.Module]:
            return [nn.Conv2d(n_in, n_out, 3, 2, 1), nn.BatchNorm2d(n_out), nn.ReLU()]

        return nn.Sequential(
            *block(3, 8), *block(8, 16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)
        )

    return tiny


@pytest.fixture
def learn(class_folders, tiny_net, tmp_path):
    """A learner of a tiny net on the class folders, not pretrained."""

    dls = qv.from_folder(class_folders, size=32, bs=6)
    return qv.cnn_learner(dls, tiny_net, weights=None, path=tmp_path / "out")


@pytest.fixture
def place(class_folders, tmp_path, monkeypatch):
    """A working folder with a data set, a table and a picture beside it."""
    (tmp_path / "table.csv").write_text(
        "file,label\n"
        + "".join(f"{c}/{c}_{i:02d}.png,{c}\n" for c in ("red", "blue") for i in range(9))
    )
    (tmp_path / "text.jpg").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    from quickvision.runs.job import Job

    monkeypatch.setattr(Job, "train", lambda self: None)  # options alone are looked at
    return tmp_path


@pytest.fixture
def framed(tmp_path):
    """White pictures with a black frame of 4 %."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(6):
            image = Image.new("RGB", (100, 100))
            image.paste("white", (4, 4, 96, 96))
            image.save(tmp_path / name / f"{i}.png")
    return tmp_path


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory, write_colours) -> Path:
    """An exported model of three colours, with an ONNX file: it takes ten seconds, once."""
    root = tmp_path_factory.mktemp("model")
    dls = qv.from_folder(write_colours(root / "colours"), size=32, bs=6)
    learn = qv.cnn_learner(dls, "timm/test_resnet", weights=None)
    qv.fit_unfrozen(learn, 1, lr_max=1e-2, verbose=False)
    return qv.export(learn, root / "model", onnx=True, calibrate=False, verbose=False)


@pytest.fixture(scope="module")
def chromium():
    """A browser without a window; where there is none, its tests are skipped."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("there is no Chromium here")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as play:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = play.chromium.launch(executable_path=found, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def colours(tmp_path_factory, write_colours) -> Path:
    """Three class folders of twelve pictures each, for tests that change nothing."""
    return write_colours(tmp_path_factory.mktemp("ship") / "colours")


@pytest.fixture(scope="session")
def learner(colours):
    """A learner of a network that timm has, trained a little; tests leave it as it is."""
    from fastai.torch_core import no_random

    with warnings.catch_warnings(), no_random(3):
        warnings.simplefilter("ignore", qv.DataWarning)  # pictures of one seed are alike
        dls = qv.from_folder(colours, size=32, bs=6, valid=0.4, crop_pct=0.875)
        learn = qv.cnn_learner(dls, "timm/test_resnet", weights=None)
        qv.fit_unfrozen(learn, 2, lr_max=3e-3, verbose=False)
    return learn


@pytest.fixture(scope="session")
def _shipped(learner, tmp_path_factory) -> Path:
    return qv.export(learner, tmp_path_factory.mktemp("shipped") / "model", onnx=True)


@pytest.fixture
def shipped(_shipped, tmp_path) -> Path:
    """A copy of an exported folder with an ONNX file, to do with as one likes."""
    return Path(shutil.copytree(_shipped, tmp_path / "model"))
