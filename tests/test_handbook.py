"""The pages of the handbook: what they paste runs, what they link to and name is there."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import matplotlib.pyplot as plt
import pytest
import yaml
from pasted import QUICK, ROOT, commands, laid_out, python, quick, small

import quickvision as qv

DOCS = ROOT / "docs"
MADE = re.compile(r"(^|/)(course/\d\d_|reference/)")  # by `make docs`
TEXTS = {
    name: page.read_text(encoding="utf-8")
    for page in sorted(DOCS.rglob("*.md"))
    if not MADE.search(name := page.relative_to(DOCS).as_posix())
}
ELSEWHERE = (
    *("accelerate", "curl", "docker", "hf", "jupyter", "make", "pip", "python", "source"),
    *("torchrun", "unzip", "zip"),
)
TESTED_APART = ("demo", "serve")  # they wait


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return laid_out(tmp_path_factory.mktemp("handbook"))


@pytest.fixture
def here(folder, tmp_path, monkeypatch):
    """A folder of its own for each page, with what is laid out."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("torch"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    yield tmp_path
    plt.close("all")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:mirrored pictures seem wrong")  # digits stand in for photos
@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if python(text)])
def test_the_python_of_a_page_runs_from_top_to_end(name, here, monkeypatch):
    small(monkeypatch)
    names: dict[str, object] = {"__name__": "pasted"}
    for block in python(TEXTS[name]):
        exec(compile(block, name, "exec"), names)
    assert names["qv"] is qv


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if commands(text)])
def test_the_commands_of_a_page_run_one_after_the_other(name, here, command):
    lines = commands(TEXTS[name])
    trains = [i for i, line in enumerate(lines) if line.startswith("quickvision train")]
    if any("runs/photos-001" in line for line in lines[: trains[0] if trains else None]):
        assert command(*quick(["train", "photos"]), cwd=here).returncode == 0
    for line in lines:
        words = shlex.split(line)
        assert words[0] in ("quickvision", *ELSEWHERE), line
        if words[0] != "quickvision" or words[1] in TESTED_APART or "--gpus" in words:
            continue
        done = command(*quick(words[1:]), cwd=here)
        assert done.returncode == 0, f"{line}: {done.stderr}"


@pytest.mark.slow
def test_the_launchers_run(here):
    lines = commands(TEXTS["how/several-gpus.md"])
    launchers = [line for line in lines if line.startswith(("torchrun", "accelerate"))]
    on_one_machine = [line for line in launchers if "--nnodes" not in line]
    assert {line.split()[0] for line in on_one_machine} == {"torchrun", "accelerate"}
    for line in on_one_machine:
        words = [word.replace("4", "2") for word in shlex.split(line)]
        program = Path(sys.executable).with_name(words[0])
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        small_run = [word for pair in QUICK.items() for word in pair]
        done = subprocess.run(
            [program, *words[1:], *small_run], env=env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert "in each of 2 processes" in done.stdout


@pytest.mark.parametrize("name", TEXTS)
def test_what_a_page_names_is_there(name):
    assert not set(re.findall(r"\bqv\.(\w+)", TEXTS[name])) - set(dir(qv))
    links = re.findall(r"\]\((?!http|#)([^)#\s]+)", TEXTS[name])
    place = (DOCS / name).parent
    assert not [k for k in links if not MADE.search(k) and not (place / k).exists()]


def test_every_page_has_its_place_in_the_navigation():
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"[\w./-]+\.md$", settings.split("\nnav:\n")[1], re.MULTILINE))
    assert set(TEXTS) == {page for page in listed if not MADE.search(page) or page in TEXTS}
    courses = {f"course/{path.stem}.md" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert courses == {page for page in listed if re.match(r"course/\d\d_", page)}
    assert yaml.safe_load(settings)["theme"]["font"] is False  # nothing is fetched by a reader


class Links(HTMLParser):
    """What a page links to, and the places in it that can be linked to."""

    def __init__(self, page: Path):
        super().__init__()
        self.to: set[str] = set()
        self.ids: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        here = dict(attrs)
        self.ids.add(here.get("id") or "")
        if address := here.get("href" if tag in ("a", "link") else "src"):
            self.to.add(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The handbook as `make docs` builds it, of a copy of what it is built from."""
    missing = [
        n for n in ("zensical", "mkdocstrings", "nbconvert") if not importlib.util.find_spec(n)
    ]
    if missing:
        pytest.skip(f"{missing[0]} is not installed: `pip install --group docs`")
    root = tmp_path_factory.mktemp("book")
    for name in ("docs", "handbook", "notebooks", "quickvision"):
        shutil.copytree(
            ROOT / name,
            root / name,
            ignore=shutil.ignore_patterns("__pycache__", "reference", "0*.md"),
        )
    shutil.copy(ROOT / "mkdocs.yml", root)
    nowhere = {**os.environ, "PYTHONPATH": "", "http_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, root / "handbook" / "build.py"],
        cwd=root,
        env=nowhere,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "site"


def leads_somewhere(page, address, pages):
    where = urlsplit(address)
    if where.scheme:
        return where.scheme in ("https", "mailto", "data", "javascript")
    target = (page.parent / unquote(where.path)).resolve() if where.path else page
    return target.exists() and (
        not where.fragment or target not in pages or unquote(where.fragment) in pages[target].ids
    )


@pytest.mark.slow
def test_it_is_built_without_a_warning_and_its_links_lead_somewhere(site):
    pages = {page: Links(page) for page in site.rglob("*.html")}
    broken = [
        f"{page.relative_to(site)}: {address}"
        for page, links in pages.items()
        for address in links.to
        if not leads_somewhere(page, address, pages)
    ]
    assert not broken
    assert len(pages) > 40


@pytest.mark.slow
def test_the_reference_has_all_that_is_public_with_its_options(site):
    text = "".join(page.read_text("utf-8") for page in (site / "reference").glob("*.html"))
    ours = {name for name, home in qv._HOME.items() if home.startswith("quickvision.")}
    missing = [name for name in ours if f'id="{qv._HOME[name]}.{name}"' not in text]
    assert not missing
    train = Links(site / "reference" / "runs.html")
    shown = (site / "reference" / "runs.html").read_text("utf-8")
    assert "quickvision.runs.train.train" in train.ids
    signature = re.sub(r"<[^>]+>", "", shown.split('id="quickvision.runs.train.train"')[1][:20_000])
    assert "frozen_epochs" in signature
    assert "unfrozen_epochs" in signature


@pytest.mark.slow
def test_nothing_is_fetched_by_who_reads_it(site):
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)[^>]+src="(https?:[^"]+)"', text)
        loaded += re.findall(r'<link[^>]+rel="stylesheet"[^>]+href="(https?:[^"]+)"', text)
        assert not loaded


@pytest.mark.browser
@pytest.mark.slow
def test_it_opens_as_a_file_asks_nobody_and_finds_words(site, chromium):
    page = chromium.new_page(viewport={"width": 390, "height": 900})
    asked, said = [], []
    page.on("request", lambda r: asked.append(r.url) if not r.url.startswith("file:") else None)
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    for name in ("how/folders.html", "reference/runs.html", "course/01_pets.html", "index.html"):
        page.goto((site / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    page.set_viewport_size({"width": 1280, "height": 900})
    page.locator("button.md-search__button").click()
    page.wait_for_timeout(500)
    page.keyboard.type("patience", delay=50)
    page.get_by_role("option", name="fit_unfrozen").first.wait_for(timeout=10_000)
    assert page.locator("input[type=text]").first.input_value() == "patience"
    assert (asked, said) == ([], [])
    page.close()
