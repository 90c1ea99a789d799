"""Each notebook runs in a fresh kernel, and none is committed with outputs."""

from __future__ import annotations

import re
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
def test_runs_without_errors_or_warnings(path, tmp_path):
    outputs = executed(nbformat.read(path, as_version=4), tmp_path)
    stderr = "".join(o.text for o in outputs if o.get("name") == "stderr")
    assert stderr == ""
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
    ("name", "held", "photos"),
    [
        ("01_pets", "oxford-iiit-pet", "data/pets_sample"),
        ("02_ants_and_bees", "hymenoptera_data", "data/hymenoptera"),
    ],
)
def test_runs_on_the_real_photos(name, held, photos, real_data, tmp_path, monkeypatch):
    """`SAMPLE = False`, as if the download were done; small, and with weights that are here."""
    (tmp_path / "home" / "data").mkdir(parents=True)
    (tmp_path / "home" / "data" / held).symlink_to(real_data / photos)
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path / "home"))
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    knobs = notebook.cells[1]
    weights = real_data / "weights" / "mobilenet_v2_imagenet.pth"
    resnet = "resnet34" if name == "01_pets" else "resnet18"
    for old, new in {
        "SAMPLE = True": "SAMPLE = False",
        "EPOCHS = ": "EPOCHS = 1  # ",
        " 224, ": " 48, ",
        f'"{resnet}", "default"': f'"mobilenet_v2", {str(weights)!r}',
    }.items():
        assert old in knobs.source
        knobs.source = knobs.source.replace(old, new)
    assert plots(executed(notebook, tmp_path)) == PLOTS[name]


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
