"""The README's code blocks run, on small pictures in place of the big ones."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
import torchvision
from PIL import Image

import quickvision as qv
from quickvision.recipes import pets

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SMALLER = {
    "size=224, bs=64": "size=32, bs=16",
    'train("photos"': 'train("photos", size=32, bs=16, frozen_epochs=1, unfrozen_epochs=0',
    '"photos")': '"photos", size=32, bs=16)',
    r'_\d+\.jpg$")  #': r'_\d+\.jpg$", size=32, bs=16)  #',
    'load_data("images")': 'load_data("images", size=32, bs=16)',
    'class_names="names.csv")': 'class_names="names.csv", size=32, bs=16)',
    "train_pets()": "train_pets(size=32, bs=16, frozen_epochs=1, unfrozen_epochs=1)",
    "find_lr(head)": "find_lr(head, num_it=20)",
    "head, 4,": "head, 1,",
    "images/beagle_1.jpg": "images/five_0032.jpg",
    "learn, 2,": "learn, 1,",
    "*resnet*": "*test_resnet*",
    'arch="inception_v3",': 'arch="resnet34", size=32, bs=16, frozen_epochs=1,',
    '["resnet18", "resnet50", "timm/convnext_tiny"], seeds=3, budget="2h"': (
        '["resnet34"], seeds=2, size=32, bs=16, frozen_epochs=1, unfrozen_epochs=0'
    ),
}
QUICK = ["--size", "32", "--bs", "16", "--frozen-epochs", "1", "--unfrozen-epochs", "0"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with `images/NAME_1.jpg`, `photos/CLASS/`, and weights where torch keeps them."""
    folder = tmp_path_factory.mktemp("readme")
    for file in sorted((ROOT / "nbs_data" / "digits").glob("*.png"))[1::3]:  # a third is enough
        label = file.stem.split("_")[0]
        for target in (folder / "images", folder / "photos" / label):
            target.mkdir(parents=True, exist_ok=True)
            Image.open(file).save(target / f"{file.stem}.jpg")
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    rows = [f"images/{p.name},{names.index(p.stem.split('_')[0])}" for p in folder.glob("images/*")]
    (folder / "cars.csv").write_text("\n".join(rows))
    (folder / "names.csv").write_text("\n".join(names))
    some = sorted((folder / "photos").glob("*/*0.jpg"))
    shutil.copytree(folder / "photos", folder / "labelled")
    for place in ("more", "test"):
        (folder / place).mkdir()
        for file in some:
            shutil.copy(file, folder / place)
    shutil.copy(some[0], folder / "new.jpg")
    ids = "".join(f"{file.stem},zero\n" for file in some)
    (folder / "sample_submission.csv").write_text(f"id,label\n{ids}")
    kept = folder / "torch" / "hub" / "checkpoints"
    kept.mkdir(parents=True)
    for arch in ("resnet18", "resnet34", "mobilenet_v3_small"):
        name = torchvision.models.get_model_weights(arch).DEFAULT.url.rsplit("/", 1)[1]
        torch.save(torchvision.models.get_model(arch).state_dict(), kept / name)
    torch.save(torchvision.models.mobilenet_v2().state_dict(), folder / "mobilenet_v2.pth")
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    monkeypatch.setattr(pets, "fetch_pets", lambda: folder / "images")
    yield folder
    plt.close("all")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:mirrored pictures seem wrong")  # digits stand in for pets
def test_the_python_blocks_run_one_after_the_other(here):
    names: dict[str, object] = {}
    photo = next((here / "photos").rglob("*.jpg")).relative_to(here / "photos").as_posix()
    (here / "fixes.csv").write_text(f"path,action,label\n{photo},drop,\n")
    assert len(blocks("python")) == 11
    for block in blocks("python"):
        for big, small in SMALLER.items():
            block = block.replace(big, small)
        exec(block, names)
    assert isinstance(names["run"], qv.Run)
    assert len(names["preds"]) == 40
    assert (here / "models" / "stage-1.pth").exists()


@pytest.mark.slow
def test_the_commands_run(here, command):
    commands = re.findall(r"^\$ quickvision (.*)$", "\n".join(blocks("console")), re.MULTILINE)
    assert [c.split()[0] for c in commands] == [
        *("train", "export", "serve", "demo", "train", "train", "resume", "report", "export"),
        *("predict", "evaluate", "submit", "check", "models", "compare", "train"),
    ]
    *commands, on_gpus = commands
    assert on_gpus.split()[:4] == ["train", "photos", "--gpus", "4"]
    for line in commands:
        if line.startswith(("demo", "serve")):  # they have tests of their own
            continue
        quick = QUICK if line.startswith(("train", "compare")) else []
        done = command(*shlex.split(line), *quick, cwd=here)
        assert done.returncode == 0, done.stderr
    assert {p.name for p in (here / "runs").iterdir()} >= {"images-001", "photos-001"}


@pytest.mark.slow
def test_the_launchers_run(here):
    launchers = re.findall(r"^\$ ((?:torchrun|accelerate) .*?)(?: #|$)", README, re.MULTILINE)
    assert [line.split()[0] for line in launchers] == ["torchrun", "accelerate", "torchrun"]
    for line in launchers[:2]:  # the third wants two machines
        words = [word.replace("4", "2") for word in shlex.split(line)]
        program = Path(sys.executable).with_name(words[0])
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [program, *words[1:], *QUICK], env=env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert "in each of 2 processes" in done.stdout


def test_the_make_commands_are_in_the_makefile():
    verbs = re.findall(r"^\$ make (\w+)", README, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert verbs == ["demo", "test", "demo"]
    assert all(f"\n{verb}:" in makefile for verb in verbs)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_what_it_names_is_there():
    assert not set(re.findall(r"\bqv\.(\w+)", README)) - set(dir(qv))
    links = re.findall(r"\]\((?!http|#)([^)]+)\)", README)
    assert {"docs/serve.md", "notebooks/01_pets.ipynb"} <= set(links)
    assert not [link for link in links if not (ROOT / link).is_file()]
    titles = re.findall(r"^## (.+)$", README, re.MULTILINE)
    anchors = set(re.findall(r"\]\(#([^)]+)\)", README))
    assert anchors
    assert anchors <= {title.lower().replace(" ", "-") for title in titles}


def test_the_course_is_listed():
    listed = re.findall(r"\(notebooks/(\w+)\.ipynb\)", README)
    assert listed == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


def test_the_command_is_installed():
    assert shutil.which("quickvision", path=str(Path(sys.executable).parent))
