"""`report.html`, as a file and in a real browser; `report.md`; the short form of notebooks."""

from __future__ import annotations

import base64
import csv
import hashlib
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import quickvision as qv
from quickvision.data.fixes import actions_in
from quickvision.report.outcome import Data
from quickvision.report.page import as_html, as_markdown, as_short, write_report
from quickvision.results.calibration import calibration

from .conftest import ODD, answers, made


def html(outcome):
    return as_html(outcome, calibration(outcome.preds))


def markdown(outcome):
    return as_markdown(outcome, calibration(outcome.preds))


@pytest.fixture
def odd(tmp_path, picture):
    """A run whose classes and files are called as nobody should call them."""
    root = tmp_path / "odd"
    preds = answers(root, vocab=ODD)
    names = tuple(root / f"=x'{i} <b>&\u202e.png" for i in range(len(preds)))
    preds = replace(preds, paths=names)
    return made(root, preds, picture, name="<i>run</i>", command="</pre><script>1</script>```")


def test_both_files_are_written_and_nothing_else(outcome, tmp_path):
    page = write_report(outcome, tmp_path / "run")
    assert page == tmp_path / "run" / "report.html"
    assert sorted(p.name for p in page.parent.iterdir()) == ["report.html", "report.md"]


def test_its_own_script_and_styles_are_let_run_and_nothing_is_loaded(outcome):
    text = html(outcome)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    policy = policy.replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        (inner,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    plain = re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.DOTALL)
    assert " style=" not in plain  # the policy would not have it
    assert not re.search(r"<[^>]*\son\w+=", plain)
    assert set(re.findall(r'(?:src|href)="([a-z]+:|#)', plain)) == {"data:", "#"}
    assert "http" not in plain.replace("http-equiv", "")


def test_it_has_every_section_in_order_and_each_link_leads_to_one(outcome):
    text = html(outcome)
    sections = re.findall(r'<section id="(\w+)"', text)
    assert sections == [
        "curves", "worst", "pairs", "matrix", "classes", "sure", "suspects", "data", "again",
    ]  # fmt: skip
    assert re.findall(r'href="#(\w+)"', text) == sections
    for said in (
        "half way down",
        "loss over the learning rate",
        "twins: 2",
        "qv.train(",
        "fastai.v",
    ):
        assert said in text


def test_what_users_have_named_is_never_markup(odd):
    text = html(odd)
    for raw in ("<script>document", "<img src=x", "<i>run", "<b>&", "</pre><script>"):
        assert raw not in text
    assert "&lt;script&gt;document.title" in text
    assert "<bdi>" in text
    short = as_short(odd, "in <b>here</b>")
    for raw in ("<script>document", "<img src=x", "<b>here"):
        assert raw not in short


def test_markdown_does_not_take_names_for_markup_either(odd):
    text = markdown(odd)
    assert "\\<script\\>" in text
    assert "\n# \\<i\\>run" in f"\n{text}"
    assert text.count("```") == 2
    rows = [line for line in text.splitlines() if line.startswith("|")]
    for line in rows:
        bars = len(re.findall(r"(?<!\\)\|", line))
        assert bars in (4, 5, 6, 7)


def test_the_same_stands_in_words(outcome):
    text = markdown(outcome)
    for said in (
        "75.0%",
        "| ants | bees | 2 |",
        "## Labels to check",
        "made-001",
        "qv.train('data')",
    ):
        assert said in text


@pytest.mark.parametrize(
    "changes",
    [
        {"embeddings": None, "suspects": None, "heat": None},
        {"suspects": pd.DataFrame(columns=["path", "label", "suggested", "score", "why"])},
        {"lr_finds": {}, "timing": {}, "settings": {}, "versions": {}, "code": "", "command": ""},
        {"data": Data(5, findings=(), skipped=pd.DataFrame({"path": ["a"], "reason": ["bad"]}))},
        {"stages": pd.DataFrame()},
    ],
)
def test_what_is_not_known_is_left_out(outcome, changes):
    changed = replace(outcome, **changes)
    text = html(changed)
    assert text.count("<section") == 9
    for none in ("nan", "None", "Undefined"):
        assert not re.search(
            rf">[^<]*\b{none}\b", re.sub(r"<(script|style|pre)>.*?</\1>", "", text)
        )
    assert markdown(changed)
    assert as_short(changed)


def test_pictures_that_have_moved_are_said_and_do_not_stop_it(outcome):
    for path in outcome.preds.paths:
        path.unlink()
    text = html(outcome)
    assert "This picture is not where it was." in text
    assert "data:image/webp" not in text


def test_many_classes_and_pictures_stay_small(tmp_path, picture):
    vocab = tuple(f"Aston Martin V8 Vantage Convertible {i}" for i in range(196))
    preds = answers(tmp_path, n=2_000, vocab=vocab, wrong=400)
    picture(tmp_path / "one.png", side=300)
    preds = replace(preds, paths=(tmp_path / "one.png",) * len(preds))
    page = write_report(made(tmp_path, preds, embeddings=None), tmp_path)
    assert page.stat().st_size < 2_000_000
    assert 'class="matrix"' in page.read_text()


def test_a_report_that_cannot_be_written_says_where(outcome, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(qv.RunError, match="expected to write .*report.md"):
        write_report(outcome, tmp_path / "file")


@pytest.fixture
def opened(chromium):
    """Open a report as people do, from a file; nothing may be said, asked for or too wide."""
    pages = []

    def go(file, width=1280, **options):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, accept_downloads=True, **options
        )
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(file.as_uri())
        pages.append((page, file))
        return page

    yield go
    for page, file in pages:
        assert page.said == []
        assert {url for url in page.asked if not url.startswith(("data:", "blob:"))} == {
            file.as_uri()
        }
        assert page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
        page.context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_fault_for_people_who_see_or_hear_it_otherwise(
    outcome, tmp_path, opened, width, scheme
):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = opened(write_report(outcome, tmp_path), width, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found = axe.Axe().run(page).response["violations"]
    assert [(f["id"], f["nodes"][0]["html"][:120]) for f in found] == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_names_that_mean_no_good_do_nothing(odd, tmp_path, opened, width):
    page = opened(write_report(odd, tmp_path), width)
    assert page.title().startswith("<i>run</i>")
    assert page.locator("b, i, img[src=x]").count() == 0
    assert page.locator("#classes tbody tr").count() == 3


@pytest.mark.browser
def test_tables_are_sorted_by_mouse_and_keyboard(outcome, tmp_path, opened):
    page = opened(write_report(outcome, tmp_path))

    def column(place):
        return page.locator(f"#classes tbody tr > :nth-child({place})").all_inner_texts()

    head = page.locator("#classes thead th")
    head.nth(0).locator("button").click()
    assert column(1) == ["ants", "bees", "wasps"]
    assert head.nth(0).get_attribute("aria-sort") == "ascending"
    head.nth(0).locator("button").focus()
    page.keyboard.press("Enter")
    assert column(1) == ["wasps", "bees", "ants"]
    assert head.nth(0).get_attribute("aria-sort") == "descending"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert head.nth(0).get_attribute("aria-sort") is None
    assert head.nth(1).get_attribute("aria-sort") == "ascending"
    head.nth(2).locator("button").click()
    assert [float(said) for said in column(3)] == sorted(float(said) for said in column(3))


@pytest.mark.browser
def test_heat_maps_are_shown_on_a_toggle_by_mouse_and_keyboard(outcome, tmp_path, opened):
    page = opened(write_report(outcome, tmp_path))
    seen = page.locator(".heat").first
    assert not seen.is_visible()
    page.get_by_text("what speaks for the answer").click()
    assert seen.is_visible()
    box, photo = (page.locator(s).first.bounding_box() for s in (".heat", ".photo > img"))
    assert box == pytest.approx(photo, abs=0.6)
    page.keyboard.press("ArrowLeft")
    assert not seen.is_visible()
    page.keyboard.press("ArrowRight")
    assert seen.is_visible()


@pytest.mark.browser
def test_what_is_decided_is_saved_as_fixes_csv(outcome, tmp_path, opened):
    odd = 'a "quoted", name.png'
    data = replace(outcome.data, fixed=((odd, "keep", "ants"), ("c.png", "relabel", "bees")))
    table = outcome.suspects.assign(path=[odd, " b.png"])
    outcome = replace(outcome, suspects=table, data=data)
    page = opened(write_report(outcome, tmp_path), 390)
    save = page.get_by_role("button", name="Save fixes.csv")
    assert save.is_disabled()
    first, second = page.locator("fieldset[data-path]").all()
    first.get_by_label("drop").check()
    second.locator("input[type=text]").fill("no such class")
    save.click()  # refused by the browser, which says why
    assert second.locator("input[type=text]").evaluate("one => one.validationMessage")
    second.locator("input[type=text]").fill("wasps")
    assert page.locator("#chosen").inner_text() == "1 to relabel, 1 to drop"
    with page.expect_download() as download:
        save.click()
    assert download.value.suggested_filename == "fixes.csv"
    file = tmp_path / "fixes.csv"
    download.value.save_as(file)
    with open(file, newline="", encoding="utf-8") as text:
        rows = list(csv.reader(text))
    assert rows == [
        ["path", "action", "label"],
        ["c.png", "relabel", "bees"],  # of an earlier round, and not decided anew
        [odd, "drop", ""],
        [" b.png", "relabel", "wasps"],
    ]
    assert actions_in(file) == {odd: "drop", " b.png": "relabel", "c.png": "relabel"}


@pytest.mark.browser
def test_it_reads_with_scripts_blocked(outcome, tmp_path, opened, chromium):
    file = write_report(outcome, tmp_path)
    context = chromium.new_context(
        java_script_enabled=False, viewport={"width": 390, "height": 900}
    )
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator(".lead li").count() == 4
    assert page.locator("#classes tbody tr").first.is_visible()
    assert "Scripts are blocked here" in page.locator("#fixes").inner_text()
    assert page.locator("th button").count() == 0
    page.get_by_text("what speaks for the answer").click()
    assert page.locator(".heat").first.is_visible()
    page.get_by_text("The same in plain fastai").click()
    assert page.get_by_text("from fastai.vision.all import").is_visible()
    context.close()


@pytest.mark.browser
def test_it_prints_with_whole_tables_and_without_what_cannot_be_pressed(outcome, tmp_path, opened):
    page = opened(write_report(outcome, tmp_path))
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert not page.locator("#save").is_visible()
    box = page.locator("#classes .tall")
    assert box.evaluate("one => one.scrollHeight <= one.clientHeight + 1")


def test_the_short_form_has_figure_curves_pairs_and_pictures(outcome):
    text = as_short(outcome, "The whole report: here")
    assert str(outcome.preds.accuracy) in text
    assert text.count("<svg viewBox") == 2
    assert text.count("data:image/webp") == 6
    assert "The whole report: here" in text
    assert np.char.count(text, "<script") == 0
