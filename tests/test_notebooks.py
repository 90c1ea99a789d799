"""Each notebook runs in a fresh kernel, and none is committed with outputs."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PLOTS = {
    "00_start_here": 4,
    "01_pets": 5,
    "02_ants_and_bees": 2,
    "03_deep_cars": 3,
    "04_beyond_torchvision": 1,
    "05_clean_compare_ship": 3,
}
QUICKEST = "02_ants_and_bees"


def names(path):
    return path.stem


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names)
def test_no_outputs_are_committed(path):
    cells = nbformat.read(path, as_version=4).cells
    assert 0 < len(cells) <= 25
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert not [cell for cell in code if cell.outputs or cell.execution_count]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names)
def test_the_first_code_cell_holds_the_knobs(path):
    cells = nbformat.read(path, as_version=4).cells
    knobs = next(cell.source for cell in cells if cell.cell_type == "code")
    assert "SAMPLE = True" in knobs
    assert all(re.search(rf"\b{name}\b.*=", knobs) for name in ("DATA", "EPOCHS", "SIZE"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=names)
@pytest.mark.usefixtures("digits_are_known")
def test_runs_without_errors_or_warnings(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    outputs = executed(notebook, tmp_path)
    if kept := os.environ.get("QUICKVISION_EXECUTED"):  # what the handbook makes pages of
        Path(kept).mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, Path(kept) / path.name)
    stderr = "".join(o.text for o in outputs if o.get("name") == "stderr")
    assert re.sub(r"\r[^\r\n]*", "", stderr) == ""  # a slow machine shows bars
    assert plots(outputs) == PLOTS[path.stem]


def executed(notebook, folder):
    """The outputs of all cells, run in a fresh kernel beside a copy of the course's pictures."""
    (here := folder / "notebooks").mkdir()
    (folder / "nbs_data").symlink_to(ROOT / "nbs_data")
    resources = {"metadata": {"path": str(here)}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()
    return [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]


def plots(outputs):
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "held", "photos", "model", "ours"),
    [
        (
            "00_start_here",
            "oxford-iiit-pet",
            "pets_sample",
            'arch="resnet34"',
            "arch={}, weights={}",
        ),
        ("01_pets", "oxford-iiit-pet", "pets_sample", '"resnet34", "default"', "{}, {}"),
        ("02_ants_and_bees", "hymenoptera_data", "hymenoptera", '"resnet18", "default"', "{}, {}"),
        (
            "05_clean_compare_ship",
            "oxford-iiit-pet",
            "pets_sample",
            '"resnet34", "default"',
            "{}, {}",
        ),
    ],
    ids=["00", "01", "02", "05"],
)
def test_runs_on_the_real_photos(name, held, photos, model, ours, real_data, tmp_path, monkeypatch):
    """`SAMPLE = False`, as if the download were done; small, and with weights that are here."""
    fetched(tmp_path, monkeypatch, {held: real_data / "data" / photos})
    weights = str(real_data / "weights" / "mobilenet_v2_imagenet.pth")
    ours = ours.format("'mobilenet_v2'", repr(weights))
    assert plots(executed(changed(name, {" 224": " 48", model: ours}), tmp_path)) == PLOTS[name]


CARS = {
    " 224, 64": " 32, 16",
    '["resnet34", "densenet121", "timm/convnext_tiny"]': '["timm/test_resnet"]',
    '"resnet34", "default", "default"': '"timm/test_resnet", None, None',
}
CIFAR = {
    " 32, 128": " 32, 16",
    'HOW = {"frozen_epochs"': 'HOW = {"weights": None, "frozen_epochs"',
    '["timm/resnet50", "timm/seresnet50"]': '["timm/test_resnet", "timm/test_efficientnet"]',
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "held", "changes"),
    [
        ("03_deep_cars", ["stanford-cars", "car_devkit"], CARS),
        ("04_beyond_torchvision", ["cifar10"], CIFAR),
    ],
    ids=["03", "04"],
)
def test_runs_on_what_is_laid_out_as_the_real_data(name, held, changes, tmp_path, monkeypatch):
    """`SAMPLE = False`, with digits where the download would be, and tiny models."""
    fetched(tmp_path, monkeypatch, dict.fromkeys(held, ROOT / "nbs_data" / "threes_and_eights"))
    monkeypatch.setenv("QUICKVISION_CACHE", str(tmp_path / "cache"))
    shutil.copytree(ROOT / "nbs_data" / "numbered", tmp_path / "cache" / "cars")
    assert plots(executed(changed(name, changes), tmp_path)) == PLOTS[name]


def fetched(folder, monkeypatch, held):
    """Let fastai's data folder have these already."""
    (folder / "home" / "data").mkdir(parents=True)
    for name, source in held.items():
        (folder / "home" / "data" / name).symlink_to(source)
    monkeypatch.setenv("FASTAI_HOME", str(folder / "home"))


def changed(name, changes):
    """The notebook with `SAMPLE = False`, one epoch, and these changes of its code."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    changes = {"SAMPLE = True": "SAMPLE = False", "\nEPOCHS = ": "\nEPOCHS = 1  # ", **changes}
    for old, new in changes.items():
        (cell,) = [c for c in notebook.cells if c.cell_type == "code" and old in c.source]
        cell.source = cell.source.replace(old, new)
    return notebook


@contextmanager
def jupyterlab(folder, monkeypatch):
    """JupyterLab on a free port, with `folder` open, with no settings and no news of others."""
    settings = {
        "@jupyterlab/apputils-extension/notification": '{"fetchNews": "false"}',
        "@jupyterlab/notebook-extension/tracker": '{"windowingMode": "none"}',  # all cells at once
    }
    for name, text in settings.items():
        file = folder / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setenv("JUPYTERLAB_SETTINGS_DIR", str(folder / "settings"))
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(folder / name.lower()))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += [f"--ServerApp.root_dir={folder / 'notebooks'}", "--IdentityProvider.token="]
    command += ["--LabApp.extension_manager=readonly"]
    with (folder / "jupyterlab.txt").open("w") as said:
        lab = subprocess.Popen(command, stdout=said, stderr=said, cwd=folder)
    try:
        until(lambda: lab.poll() is not None or answers(f"http://127.0.0.1:{port}/api"), 120)
        assert lab.poll() is None, (folder / "jupyterlab.txt").read_text()
        yield f"http://127.0.0.1:{port}/lab/tree"
    finally:
        lab.terminate()  # it ends its kernels first
        lab.wait(60)


def until(true, seconds):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.2)


def answers(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by a proxy
    try:
        return opener.open(url, timeout=5).status == 200
    except OSError:
        return False


BAR = """import time

from quickvision.base.progress import counted

for _ in counted(range(40), 40, "a bar"):
    time.sleep(0.1)"""
DONE = """() => {
    const cells = [...document.querySelectorAll(".jp-CodeCell .jp-InputArea-prompt")];
    const errors = document.querySelector("[data-mime-type='application/vnd.jupyter.error']");
    return errors || (cells.length && cells.every((one) => /\\[\\d+\\]/.test(one.textContent)));
}"""


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.usefixtures("digits_are_known")
def test_runs_in_a_real_jupyterlab(chromium, tmp_path, monkeypatch):
    """*Run All* in a browser: bars and tables show, nothing fails, nobody else is asked."""
    if find_spec("jupyterlab") is None:
        pytest.skip("jupyterlab is not installed")
    notebook = nbformat.read(ROOT / "notebooks" / f"{QUICKEST}.ipynb", as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(BAR))
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "nbs_data").symlink_to(ROOT / "nbs_data")
    nbformat.write(notebook, tmp_path / "notebooks" / "open.ipynb")
    said, asked = [], []
    with jupyterlab(tmp_path, monkeypatch) as url:
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(60_000)
        page.on("console", lambda message: said.append((message.type, message.text)))
        page.on("pageerror", lambda error: said.append(("error", str(error))))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{url}/open.ipynb")
        page.get_by_text("(ipykernel) | Idle").first.wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.locator("[data-command='runmenu:run-all']").click()
        outputs = page.locator(".jp-OutputArea-output")
        outputs.filter(has_text="a bar").first.wait_for()
        page.wait_for_function(DONE, timeout=600_000)
        text = "\n".join(outputs.all_inner_texts())
        count = {
            one: page.locator(f".jp-OutputArea-output {one}").count() for one in ("img", "table")
        }
        page.context.close()
    assert "Error" not in text
    assert "a bar" not in text  # it goes when it is done
    assert count["img"] == PLOTS[QUICKEST]
    assert count["table"] >= 1
    assert [text for kind, text in said if kind == "error"] == []
    outside = [
        one for one in asked if not one.startswith(("data:", "blob:", url.rpartition("/lab")[0]))
    ]
    assert outside == []


def test_nbs_data_is_made_by_its_script(tmp_path):
    import runpy

    import numpy as np
    from PIL import Image

    def files(root):
        return {p.relative_to(root).as_posix(): p for p in sorted(root.glob("*/**/*.*"))}

    runpy.run_path(str(ROOT / "nbs_data" / "make.py"))["make"](tmp_path)
    made, kept = files(tmp_path), files(ROOT / "nbs_data")
    assert list(made) == list(kept)
    assert len(kept) == 1120 - 2
    assert sum(p.stat().st_size for p in kept.values()) < 3e6
    for name, file in made.items():
        if file.suffix == ".png" and "damaged" not in name:  # another zlib packs them differently
            one, two = (np.asarray(Image.open(p)) for p in (file, kept[name]))
            np.testing.assert_array_equal(one, two)
        else:
            assert file.read_bytes() == kept[name].read_bytes() or file.suffix == ".png"
