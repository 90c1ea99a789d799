"""The rules of the house, read from the source and from the maps in the folders' docstrings."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "quickvision"
MAY = {
    "base": "",
    "data": "base",
    "models": "base",
    "training": "base models",
    "results": "base data training",
    "ship": "base data models results",
    "web": "base data ship",
    "report": "base data training results",
    "runs": "base data models training results ship report",
    "recipes": "base data runs",
    "cli": "base data models runs",
}
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
ROOMS = [file for file in FILES if "/" in file and not file.endswith("__init__.py")]
PRINTING = {"cli/commands.py", "base/progress.py"}
LONGEST = 60  # lines of a function, without its signature and docstring


def tree(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


def listed(folder: str) -> list[str]:
    """The files that a folder's map names, from the ground up."""
    return re.findall(
        r"^    (\w+) ", ast.get_docstring(tree(f"{folder}/__init__.py")), re.MULTILINE
    )


def faces(folder: str) -> set[str]:
    """The files that other folders may ask."""
    text = ast.get_docstring(tree(f"{folder}/__init__.py")).rpartition("Others may ask:")[2]
    named = set(re.findall(r"\w+", text))
    return set(listed(folder)) if "all of them" in text else named & set(listed(folder))


def asked(file: str) -> set[tuple[str, str]]:
    """The folders and files that a file imports."""
    found = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("quickvision."):
            _, folder, *rest = node.module.split(".")
            found |= {(folder, name) for name in rest[:1] or [alias.name for alias in node.names]}
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {(n[1], n[2]) for n in names if n[0] == "quickvision" and len(n) > 2}
    return found


def test_the_root_holds_the_front_door_and_nothing_else():
    there = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert there == {"__init__.py", "__main__.py", "py.typed"}


@pytest.mark.parametrize("folder", MAY)
def test_a_folder_lists_its_files(folder):
    assert sorted(listed(folder)) == sorted(
        Path(file).stem for file in ROOMS if file.startswith(f"{folder}/")
    )


@pytest.mark.parametrize("file", ROOMS)
def test_imports_point_down(file):
    folder, name = file.removesuffix(".py").split("/")
    order = listed(folder)
    for other, asked_name in asked(file):
        if other == folder:
            assert order.index(asked_name) < order.index(name), f"{asked_name} stands below {name}"
        else:
            assert other in MAY[folder].split(), f"{folder} may not ask {other}"
            assert asked_name in faces(other), f"{other}/{asked_name} is {other}'s own business"
            if folder == "cli" and other != "base":  # the front door loads what does the work
                assert asked_name in ("options", "labels", "paths")


@pytest.mark.parametrize("file", FILES)
def test_files_and_functions_are_short(file):
    assert len((PACKAGE / file).read_text(encoding="utf-8").splitlines()) <= 320
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = node.end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= LONGEST, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("file", sorted(set(FILES) - PRINTING))
def test_only_cli_and_progress_print(file):
    calls = [n.func for n in ast.walk(tree(file)) if isinstance(n, ast.Call)]
    assert not [c for c in calls if isinstance(c, ast.Name) and c.id == "print"]


def test_only_plots_imports_pyplot():
    users = [file for file in FILES if "pyplot" in (PACKAGE / file).read_text("utf-8")]
    assert sorted(users) == ["results/__init__.py", "results/plots.py"]


@pytest.mark.parametrize("file", FILES)
def test_nothing_is_star_imported_and_no_assert_guards_input(file):
    nodes = list(ast.walk(tree(file)))
    stars = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.names[0].name == "*"]
    bare = [n for n in nodes if isinstance(n, ast.ExceptHandler) and n.type is None]
    assert not stars + bare + [n for n in nodes if isinstance(n, ast.Assert)]


def test_tests_mirror_the_house():
    tests = {path.relative_to(ROOT / "tests").as_posix() for path in ROOT.glob("tests/*/test_*.py")}
    also = {"runs/test_resume.py"}  # `resume` stands in runs/train.py
    assert tests - also == {re.sub(r"/(\w+\.py)$", r"/test_\1", file) for file in ROOMS}
