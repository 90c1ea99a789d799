"""The rooms' levels, read from the source: an import that points up or sideways fails."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "quickvision"
LEVELS = {
    room: level
    for level, rooms in enumerate(
        (
            "errors accuracy memory cache randomness __init__",
            "ranks targets",
            "images paths splits progress lr_find rows files twins options heads losses optimisers"
            " schedules groups weights best centre_crop paired peak_memory lock finite in_parts"
            " logs determinism",
            "distributed checkpoints labels parallel class_names cells models downloads cifar cars",
            "listings scan copies datasets",
            "tables holdout",
            "layouts loaders findings speed fused bottleneck bodies",
            "batch_size data checks learner training interpret features pace predictor",
            "plots config script_model",
            "script run_config building",
            "run checkpointer",
            "results comparison planning run_folder run_state",
            "job launch",
            "workflow resuming",
            "recipes digits candidates cli_options",
            "cli",
            "__main__",
        )
    )
    for room in rooms.split()
}
ROOMS = sorted(path.stem for path in PACKAGE.glob("*.py"))
PRINTING = {"cli", "progress"}


def tree(room: str) -> ast.Module:
    return ast.parse((PACKAGE / f"{room}.py").read_text(encoding="utf-8"))


def imported_rooms(room: str) -> set[str]:
    found = set()
    for node in ast.walk(tree(room)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("quickvision"):
            module = (node.module or "").removeprefix("quickvision").lstrip(".")
            found |= {module.split(".")[0]} if module else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {n.split(".")[1] for n in names if n.startswith("quickvision.")}
    return found


def test_every_room_has_a_level():
    assert set(ROOMS) == set(LEVELS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_down(room):
    up = {other for other in imported_rooms(room) if LEVELS[other] >= LEVELS[room]}
    if room == "__init__":  # the error helper that __getattr__ loads
        up -= {"errors"}
    assert not up, f"{room} (level {LEVELS[room]}) imports {sorted(up)}"


@pytest.mark.parametrize("room", sorted(set(ROOMS) - PRINTING))
def test_only_cli_and_progress_print(room):
    calls = [n.func for n in ast.walk(tree(room)) if isinstance(n, ast.Call)]
    assert not [c for c in calls if isinstance(c, ast.Name) and c.id == "print"]


def test_only_plots_imports_pyplot():
    users = [room for room in ROOMS if "pyplot" in (PACKAGE / f"{room}.py").read_text("utf-8")]
    assert users == ["plots"]


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_is_star_imported_and_no_assert_guards_input(room):
    nodes = list(ast.walk(tree(room)))
    stars = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.names[0].name == "*"]
    bare = [n for n in nodes if isinstance(n, ast.ExceptHandler) and n.type is None]
    assert not stars + bare + [n for n in nodes if isinstance(n, ast.Assert)]
