"""The pages of the handbook that are made, not written: the reference and the course.

They are `docs/reference` and `docs/course/NN_*.md`, which are not kept in git. The reference is
read from the sources; nothing of quickvision, torch or fastai is imported. The course is the
notebooks as `make nb` has run them (`build/notebooks`), or, before that, as they are.
"""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

HOUSE = ("data", "models", "training", "results", "runs", "ship", "web", "recipes", "base")
TABLE = re.compile(r"<table [^>]*dataframe[^>]*>")
NOT_RUN = (
    '!!! note "Not run yet"\n'
    "    The cells stand here without what they print: `make nb`, then `make docs`.\n\n"
)


def rooms(root: Path) -> dict[str, list[str]]:
    """Each folder of the house with the full names of what is public in it."""
    tree = ast.parse((root / "quickvision" / "__init__.py").read_text(encoding="utf-8"))
    table = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_ROOMS"
    )
    found: dict[str, list[str]] = {folder: [] for folder in HOUSE}
    for module, names in table.items():
        if module.startswith("quickvision."):
            found[module.split(".")[1]] += [f"{module}.{name}" for name in names]
    return found


def reference(root: Path, out: Path) -> None:
    """Write a page for each folder, and one that lists them all."""
    out.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Reference",
        "",
        "All of it is at the front door: `import quickvision as qv`, then `qv.NAME`.",
        "",
    ]
    for folder, names in rooms(root).items():
        said = _first_line(root / "quickvision" / folder / "__init__.py")
        page = [f"# {folder}", "", said, "", *(f"::: {name}\n" for name in names)]
        (out / f"{folder}.md").write_text("\n".join(page), encoding="utf-8")
        links = ", ".join(f"[`{n.rsplit('.', 1)[1]}`]({folder}.md#{n})" for n in names)
        lines += [f"**[{folder}]({folder}.md)**: {said}", "", links, ""]
    (out / "index.md").write_text("\n".join(lines), encoding="utf-8")


def _first_line(source: Path) -> str:
    doc = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return " ".join(doc.split("\n\n")[0].split())


def course(root: Path, out: Path) -> None:
    """Write a page for each notebook, its plots beside it as files."""
    out.mkdir(parents=True, exist_ok=True)
    exporter = MarkdownExporter(preprocessors=[CoalesceStreamsPreprocessor])
    for source in sorted((root / "notebooks").glob("0*.ipynb")):
        ran = root / "build" / "notebooks" / source.name
        notebook = nbformat.read(ran if ran.exists() else source, as_version=4)
        for cell in notebook.cells:
            if "outputs" in cell:  # bars are written to stderr, and nothing else
                cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
        text, files = exporter.from_notebook_node(
            notebook,
            resources={"output_files_dir": source.stem, "unique_key": source.stem},
        )
        shutil.rmtree(out / source.stem, ignore_errors=True)
        for name, data in files["outputs"].items():
            (out / name).parent.mkdir(exist_ok=True)
            (out / name).write_bytes(data)
        text = TABLE.sub("<table>", text)  # a table of the handbook's, which a phone can scroll
        title, _, rest = text.partition("\n\n")
        note = "" if ran.exists() else NOT_RUN
        (out / f"{source.stem}.md").write_text(f"{title}\n\n{note}{rest}", encoding="utf-8")
