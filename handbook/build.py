"""Build the handbook into `site/`, without network and without torch; a warning fails it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pages

ROOT = Path(__file__).parent.parent
FAULT = re.compile(r"error|warning|griffe:|could not|[1-9]\d* issues? found", re.IGNORECASE)
SHIM = "https://unpkg.com/iframe-worker/shim"  # what `offline` would have a reader fetch
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
    without_a_server(root / "site")
    return said


def without_a_server(site: Path) -> None:
    """Let each page take the search's worker from the site itself."""
    name = "worker_in_a_frame.js"
    shutil.copy(Path(__file__).with_name(name), site / "assets" / "javascripts" / name)
    (site / "404.html").unlink(missing_ok=True)  # it works at the root of a server alone
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        up = "../" * (len(page.relative_to(site).parts) - 1)
        text = text.replace(SHIM, f"{up}assets/javascripts/{name}")
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    print(build(), "open site/index.html", sep="\n")
