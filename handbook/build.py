"""Build the handbook into `site/`, without network and without torch; a warning fails it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pages

ROOT = Path(__file__).parent.parent
FAULT = re.compile(r"error|warning|griffe:|could not|[1-9]\d* issues? found", re.IGNORECASE)
COLOURS = re.compile(r"\x1b\[[\d;]*m")


def build(root: Path = ROOT) -> str:
    """Make the pages, then the site; what was said, which ends with "No issues found".

    Zensical's `--strict` does not see what mkdocstrings says, so that is read here.
    """
    pages.reference(root, root / "docs" / "reference")
    pages.course(root, root / "docs" / "course")
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--clean", "--strict"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    said = COLOURS.sub("", done.stdout + done.stderr)
    if done.returncode or FAULT.search(said):
        raise SystemExit(f"the handbook was not built:\n{said}")
    return said


if __name__ == "__main__":
    print(build(), "open site/index.html", sep="\n")
