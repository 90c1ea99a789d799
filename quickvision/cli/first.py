"""The first look: where there is nothing to read at a path, that is answered at once.

Typer alone takes a third of a second to load, and torch several.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from quickvision.base.errors import QuickvisionError, RunError, as_path, did_you_mean, some
from quickvision.data.paths import look

WANT_DATA = ("train", "check", "compare")  # commands whose first argument is the data
WANT_RUN = ("resume", "export", "report")  # and those whose is a run's folder
MOST = 4  # runs that are named


def answer_at_once(arguments: Sequence[str]) -> None:
    """End with `error: ...` and exit code 1 where a command's path is plainly none.

    Args:
        arguments: Of the command line. Those that begin with an option are left to Typer.
    """
    command, path = [*arguments, "", ""][:2]
    look_at = look if command in WANT_DATA else look_at_run if command in WANT_RUN else None
    if look_at is None or path[:1] in ("", "-") or "--help" in arguments:
        return
    if "RANK" in os.environ:  # one of several processes: it says who it is, in `commands`
        return
    try:
        look_at(path)
    except QuickvisionError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    except (TypeError, ValueError):  # `commands` says it
        return


def look_at_run(path: str | Path) -> None:
    """See that a folder is that of a run, without torch.

    Raises:
        RunError: There is nothing, or something else; the runs that there are are named.
    """
    path = as_path(path, "path")
    if (path / "config.json").is_file():  # the library reads it
        return
    got = f"the file {path}" if path.is_file() else f"nothing at {path}"
    if path.is_dir():
        got = f"{path}, which has no config.json"
    inside = _runs(path)
    runs = inside or _runs(path.parent) or _runs(Path("runs"))
    hint = f"; there {'is' if len(runs) == 1 else 'are'} {some(runs, limit=MOST)}"
    if not runs:
        hint = f"; the working folder, {Path.cwd()}, has no runs"
    near = "" if inside else did_you_mean(str(path), runs)
    raise RunError(f"expected the folder of a run, got {got}{near or hint}")


def _runs(folder: Path) -> list[str]:
    """List the runs in a folder, the newest first."""
    try:
        files = sorted(folder.glob("*/config.json"), key=lambda f: f.stat().st_mtime, reverse=True)
    except OSError:
        return []
    return [str(file.parent) for file in files if _is_run(file)]


def _is_run(file: Path) -> bool:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(said, dict) and "quickvision" in said and "n_train" in said
