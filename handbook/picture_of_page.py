"""Take `docs/serve.png`: the page on a phone, with the demo's digits."""

from __future__ import annotations

import io
import shutil
import socket
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import sync_playwright
from sklearn.datasets import load_digits

import quickvision as qv
from quickvision.web.serve import opened

with TemporaryDirectory() as out, socket.create_server(("127.0.0.1", 0)) as listening:
    run = qv.train_digits(out=out, verbose=False)
    model = run.export(Path(out) / "model", onnx=True, verbose=False)
    (model / "examples").mkdir()
    scans = load_digits().images
    for i in (5, 9, 7):  # digits that the demo's model knows
        scan = Image.fromarray((scans[i] * 15.9).astype("uint8"))
        scan.resize((320, 320), Image.Resampling.BICUBIC).save(model / "examples" / f"{i}.png")
    site = opened(model)
    thread = threading.Thread(target=site.server.run, args=([listening],))
    thread.start()
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page(
            viewport={"width": 390, "height": 1240},
            has_touch=True,
            is_mobile=True,
            device_scale_factor=1.5,
            reduced_motion="reduce",
        )
        tab.goto(f"http://127.0.0.1:{listening.getsockname()[1]}/")
        tab.get_by_role("button", name="Example 2").click()
        tab.locator("#history-tiles li").wait_for()
        tab.wait_for_timeout(800)
        tab.evaluate("scrollTo(0, 0)")
        shot = tab.screenshot()
        browser.close()
    site.server.should_exit = True
    thread.join()
    picture = Image.open(io.BytesIO(shot)).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    picture.save(Path(__file__).parents[1] / "docs" / "serve.png", optimize=True)
    site.turns.close()
