"""Take `docs/report.png`: the head of the demo's report."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import sync_playwright

import quickvision as qv

with TemporaryDirectory() as out, sync_playwright() as play:
    run = qv.train_digits(out=out, verbose=False)
    options = {"args": ["--no-sandbox"], "executable_path": shutil.which("chromium")}
    page = play.chromium.launch(**options).new_page(viewport={"width": 1100, "height": 1660})
    page.goto((run.path / "report.html").resolve().as_uri())
    taken = page.screenshot(animations="disabled")
image = Image.open(io.BytesIO(taken)).convert("RGB").quantize(256)
image.save(Path(__file__).parents[1] / "docs" / "report.png", optimize=True)
