"""The rules of the house, read from the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "quickvision"
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
PRINTING = {"cli/commands.py", "base/progress.py"}


def tree(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", sorted(set(FILES) - PRINTING))
def test_only_cli_and_progress_print(file):
    calls = [n.func for n in ast.walk(tree(file)) if isinstance(n, ast.Call)]
    assert not [c for c in calls if isinstance(c, ast.Name) and c.id == "print"]


def test_only_plots_imports_pyplot():
    users = [file for file in FILES if "pyplot" in (PACKAGE / file).read_text("utf-8")]
    assert users == ["results/plots.py"]


@pytest.mark.parametrize("file", FILES)
def test_nothing_is_star_imported_and_no_assert_guards_input(file):
    nodes = list(ast.walk(tree(file)))
    stars = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.names[0].name == "*"]
    bare = [n for n in nodes if isinstance(n, ast.ExceptHandler) and n.type is None]
    assert not stars + bare + [n for n in nodes if isinstance(n, ast.Assert)]
