"""Each notebook runs in a fresh kernel, and none is committed with outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PLOTS = {"00_start_here": 4, "01_pets": 5}


def names(path):
    return path.stem


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names)
def test_no_outputs_are_committed(path):
    cells = nbformat.read(path, as_version=4).cells
    assert 0 < len(cells) <= 25
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert not [cell for cell in code if cell.outputs or cell.execution_count]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=names)
def test_runs_without_errors_or_warnings(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    (here := tmp_path / "notebooks").mkdir()
    (tmp_path / "nbs_data").symlink_to(ROOT / "nbs_data")
    resources = {"metadata": {"path": str(here)}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    stderr = "".join(o.text for o in outputs if o.get("name") == "stderr")
    assert stderr == ""
    assert sum("image/png" in o.get("data", {}) for o in outputs) == PLOTS[path.stem]


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
