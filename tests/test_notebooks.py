"""Each notebook runs in a fresh kernel, and none is committed with outputs."""

from __future__ import annotations

import re
import shutil
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
}


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
    outputs = executed(nbformat.read(path, as_version=4), tmp_path)
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
    ],
    ids=["00", "01", "02"],
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
