from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import shutil
from contextlib import closing, contextmanager
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from served import served
from starlette.responses import HTMLResponse

import quickvision as qv
from quickvision.results.heatmap import AGAINST, FOR
from quickvision.ship.bundle import read_bundle
from quickvision.web.limits import Limits
from quickvision.web.page import card, find_examples, headers, page
from quickvision.web.serve import opened
from quickvision.web.wire import server

LIMITS = Limits()
# What a class may be called by whoever has made the folders.
NAMES = ("<script>document.title='hit'</script>", "\u202egnp.\"'><img src=x onerror=hit>", "7")


def test_the_page_is_small_and_asks_no_other_server():
    text = page()
    assert len(text.encode()) <= 50_000
    assert re.findall(r"(?:src|href)=\"([a-z]+:?)", text) == ["data:"]  # its icon
    assert not re.search(r"url\(|@import|srcset", text)
    assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg", "", text)


def test_its_own_script_and_styles_are_let_run_and_no_other():
    policy = headers()["Content-Security-Policy"]
    for tag in ("script", "style"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page(), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert " style=" not in page()  # the policy would not have it
    assert not re.search(r"\son\w+=", re.sub("<script>.*</script>", "", page(), flags=re.DOTALL))


def test_names_are_never_taken_for_markup():
    assert not re.search(r"innerHTML|insertAdjacent|document\.write|eval\(", page())


def test_a_screen_reader_has_what_it_needs():
    text = page()
    assert '<html lang="en">' in text
    assert 'role="status" aria-live="polite"' in text
    assert 'role="alert"' in text
    for name in ("camera", "choose"):
        assert f'id="{name}"' in text
        assert f'for="{name}"' in text
    assert text.count("<h1>") == 1
    assert not re.search(r"<img(?![^>]*\balt=)", text)


@pytest.fixture
def examples(shipped, picture):
    folder = shipped / "examples"
    for i, name in enumerate(("b.png", "a.jpg", "d.webp", "e.gif")):
        picture(folder / name, seed=i)
    return folder


def test_examples_are_the_first_three_by_name(shipped, examples):
    found = find_examples(shipped, read_bundle(shipped), LIMITS)
    assert [one.kind for one in found] == ["image/jpeg", "image/png", "image/webp"]
    assert found[0].data == (examples / "a.jpg").read_bytes()


def test_examples_that_would_be_refused_or_lead_elsewhere_are_left_out(shipped, examples, tmp_path):
    (examples / "a.jpg").write_bytes(b"<script>")
    (examples / "b.png").unlink()
    (examples / "b.png").symlink_to(examples / "d.webp")
    (examples / "c.png").mkdir()
    (examples / "notes.txt").write_text("no picture")
    (examples / "x.svg").write_text("<svg/>")
    bundle = read_bundle(shipped)
    kinds = [one.kind for one in find_examples(shipped, bundle, LIMITS)]
    assert kinds == ["image/webp", "image/gif"]
    assert find_examples(shipped, bundle, replace(LIMITS, bytes=10)) == []
    elsewhere = examples.rename(tmp_path / "elsewhere")
    assert find_examples(shipped, bundle, LIMITS) == []
    (shipped / "examples").symlink_to(elsewhere)
    assert find_examples(shipped, bundle, LIMITS) == []


def carded(folder, bundle):
    options = {"engine": "onnx", "unsure_below": 0.5, "heatmap": False}
    return card(folder, bundle, limits=LIMITS, examples=2, **options)


def test_the_card_says_what_is_known(shipped):
    said = carded(shipped, read_bundle(shipped))
    assert said["classes"] == ["blue", "green", "red"]
    assert said["arch"] == "test_resnet"
    assert said["figures"]["n"] > 0
    assert said["size"] == [32, 32]
    assert said["heatmap"] is False
    assert said["limits"]["bytes"] == LIMITS.bytes
    assert said["examples"] == ["examples/0", "examples/1"]
    assert said["card"].startswith("---")


def test_what_a_stranger_has_written_can_be_answered_as_json(shipped):
    figures = {"accuracy": math.nan, "n": 10**400, "low": math.inf, "x": {"y": []}, "ok": 1}
    bundle = replace(read_bundle(shipped), figures=figures, vocab=("a\ud800", "b"))
    (shipped / "README.md").write_bytes(b"\xff" * 10)
    said = carded(shipped, bundle)
    assert json.dumps(said, allow_nan=False).encode()
    assert said["figures"] == {"ok": 1}
    assert said["classes"] == ["a?", "b"]


@pytest.fixture
def named(shipped, picture):
    """The exported folder, with class names that mean no good."""
    file = shipped / "config.json"
    said = json.loads(file.read_text("utf-8"))
    said["quickvision"]["vocab"] = NAMES
    file.write_text(json.dumps(said), "utf-8")
    picture(shipped / "examples" / "one.png", "green")
    return shipped


@pytest.fixture
def show(chromium):
    """Open a page; in the end it must have asked only its server, and complained of nothing."""
    opened_pages = []

    def open_page(site, *, width=390, query="", **options):
        context = chromium.new_context(
            viewport={"width": width, "height": 800}, reduced_motion="reduce", **options
        )
        tab = context.new_page()
        tab.set_default_timeout(15_000)
        asked, said = [], []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(site.url + query)
        tab.get_by_text("This model tells apart").wait_for()
        opened_pages.append((context, site, asked, said))
        return tab

    yield open_page
    for context, site, asked, said in opened_pages:
        context.close()
        assert all(url.startswith((site.url, "blob:", "data:")) for url in asked)
        assert [text for text in said if "Failed to load resource" not in text] == []


@pytest.fixture
def site(shipped):
    made = opened(shipped)
    with closing(made.turns), served(made.server) as running:
        yield running


@pytest.fixture
def shown(shipped, picture, tmp_path):
    """Write a picture; return it with what the model says of it."""
    ask = qv.load_model(shipped)

    def write(colour, seed=3):
        file = picture(tmp_path / f"{colour}.png", colour, seed)
        return file, ask.predict(file).label

    return write


def answered(tab, text):
    tab.locator("#answer", has_text=text).wait_for()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 390, 1280])
def test_a_photo_is_answered_at_any_width(site, show, shown, width, scheme):
    tab = show(site, width=width, color_scheme=scheme)
    file, label = shown("red")
    tab.set_input_files("#choose", file)
    answered(tab, label)
    assert tab.locator("#bars li").count() == 3
    assert tab.locator("#bars li").first.inner_text().startswith(label)
    assert tab.locator("#said").inner_text().startswith(f"\u2068{label}\u2069, ")
    assert tab.locator("#photo").evaluate("image => image.naturalWidth") == 48
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = tab.evaluate(
        "() => { const style = getComputedStyle(document.body);"
        " return [style.color, style.backgroundColor]; }"
    )
    brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, paper)]
    assert (brightness[0] < brightness[1]) == (scheme == "light")


@pytest.mark.browser
def test_a_phone_may_take_a_photo(site, show, shown):
    tab = show(site, has_touch=True, is_mobile=True)
    assert tab.get_by_text("Take a photo").is_visible()
    assert tab.locator("#camera").get_attribute("capture") == "environment"
    file, label = shown("blue")
    tab.set_input_files("#camera", file)
    answered(tab, label)


@pytest.mark.browser
def test_a_picture_is_pasted_or_dropped(site, show, shown):
    tab = show(site)
    for kind, colour in (("paste", "green"), ("drop", "blue")):
        file, label = shown(colour)
        tab.evaluate(
            """([kind, data]) => {
            const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
            const held = new DataTransfer(), what = {bubbles: true, cancelable: true};
            held.items.add(new File([bytes], "a.png", {type: "image/png"}));
            dispatchEvent(kind === "paste"
                ? new ClipboardEvent(kind, {clipboardData: held, ...what})
                : new DragEvent(kind, {dataTransfer: held, ...what}));
            }""",
            [kind, base64.b64encode(file.read_bytes()).decode()],
        )
        answered(tab, label)
        tab.locator("#history-tiles li").nth(("paste", "drop").index(kind)).wait_for()


@pytest.mark.browser
def test_the_keyboard_is_enough(site, show, shown):
    (red, said), (blue, other) = shown("red"), shown("blue")
    assert said != other
    tab, choosers = show(site, width=1280), []
    tab.on("filechooser", lambda chooser: choosers.append(chooser))  # takes effect later
    tab.keyboard.press("Tab")
    while tab.evaluate("document.activeElement.id") == "camera":
        tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.id") == "choose"
    outline = "label => getComputedStyle(label).outlineStyle"
    assert tab.locator("label[for=choose]").evaluate(outline) == "solid"
    tab.keyboard.press("Enter")
    for _ in range(150):
        if not choosers:
            tab.wait_for_timeout(100)
    choosers[0].set_files(red)
    answered(tab, said)
    tab.set_input_files("#choose", blue)
    answered(tab, other)
    tab.locator("#choose").focus()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")  # the second of the history
    answered(tab, said)


@pytest.fixture(scope="module")
def seeing(tmp_path_factory, colours):
    """An exported model whose last map has 4 x 4 places."""
    dls = qv.from_folder(colours, size=128, bs=6, check=False)
    learn = qv.cnn_learner(dls, "timm/test_resnet", weights=None)
    qv.fit_unfrozen(learn, 2, lr_max=3e-3, verbose=False)
    return qv.export(learn, tmp_path_factory.mktemp("seeing") / "model", verbose=False)


@pytest.mark.browser
@pytest.mark.parametrize(("width", "size"), [(390, (300, 200)), (1280, (200, 300))])
def test_the_places_that_speak_for_the_answer_are_shown_on_the_photo(
    seeing, show, tmp_path, width, size
):
    rng = np.random.default_rng(0)
    file = tmp_path / "photo.png"
    Image.fromarray(rng.integers(0, 255, (*size[::-1], 3), dtype=np.uint8)).save(file)
    ask, made = qv.load_model(seeing), opened(seeing)
    expected, label = ask.heatmap(file), ask.predict(file).label
    with closing(made.turns), served(made.server) as site:
        tab = show(site, width=width)
        assert tab.locator("#why").is_hidden()
        tab.set_input_files("#choose", file)
        answered(tab, label)
        button = tab.get_by_role("button", name="What speaks for it", pressed=False)
        button.focus()
        tab.keyboard.press("Enter")
        tab.locator("#heat").wait_for()
        assert tab.get_by_role("button", name="What speaks for it", pressed=True).is_visible()
        assert tab.locator("#said").inner_text().startswith(f"What speaks for \u2068{label}\u2069")
        where = tab.evaluate("([map, covers]) => places(map, covers)", [expected.tolist(), (1, 1)])
        assert re.match(r"Strongest: (top|left|middle|right|bottom)|No place speaks for", where)
        assert tab.locator("#key > *").all_inner_texts() == [
            *(f"for {label}", "against it", where, "The model sees the bright part."),
        ]
        drawn = np.array(tab.locator("#heat").evaluate(
            "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        )).reshape(4, 4, 4)  # fmt: skip
        strength = drawn[..., 3] / 191 * np.where(drawn[..., 0] > drawn[..., 2], 1, -1)
        np.testing.assert_allclose(strength, expected / np.abs(expected).max(), atol=0.01)
        painted = {tuple(pixel[:3]) for pixel in drawn.reshape(-1, 4) if pixel[3] > 64}
        assert all(  # the canvas keeps colours multiplied by their opacity
            min(np.abs(np.subtract(colour, one)).max() for one in (FOR, AGAINST)) <= 3
            for colour in painted
        )
        photo, heat = (tab.locator(f"#{name}").bounding_box() for name in ("photo", "heat"))
        assert photo["width"] / photo["height"] == pytest.approx(size[0] / size[1], rel=0.02)
        assert heat["width"] == pytest.approx(heat["height"], abs=1)  # the middle, a square
        assert heat["width"] == pytest.approx(min(photo["width"], photo["height"]), abs=1)
        for axis, side in (("x", "width"), ("y", "height")):
            middles = [box[axis] + box[side] / 2 for box in (photo, heat)]
            assert middles[0] == pytest.approx(middles[1], abs=1)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.keyboard.press("Space")
        assert tab.locator("#heat").is_hidden()
        assert tab.locator("#key").is_hidden()
        tab.keyboard.press("Enter")
        tab.locator("#heat").wait_for()
        tab.set_input_files("#choose", file)  # another picture begins without
        tab.locator("#history-tiles li").nth(1).wait_for()
        assert tab.locator("#heat").is_hidden()


@pytest.mark.browser
def test_in_words_it_says_where(site, show):
    tab = show(site)
    for cells, covers, expected in (
        ([[9, 0], [0, 1]], (1, 1), "Strongest: top left."),
        ([[1, 0], [-9, 2]], (1, 1), "Strongest: bottom right."),
        ([[0, 0, 0], [0, 0, 8], [0, 0, 7]], (1, 1), "Strongest: right and bottom right."),
        ([[9, 0], [0, 1]], (0.3, 0.3), "Strongest: middle."),  # of the middle alone
        ([[0, 0, 0], [0, 0, 9], [0, 0, 0]], (0.5, 1), "Strongest: right."),
        ([[-1, 0]], (1, 1), "No place speaks for it."),
    ):
        assert tab.evaluate("([map, covers]) => places(map, covers)", [cells, covers]) == expected


@pytest.mark.browser
def test_nothing_is_offered_where_the_engine_cannot(site, show, shown):
    tab = show(site)  # onnx
    file, label = shown("red")
    tab.set_input_files("#choose", file)
    answered(tab, label)
    assert tab.locator("#photo").is_visible()
    assert tab.locator("#why").is_hidden()


@pytest.mark.browser
def test_a_heat_map_that_does_not_come_is_said(seeing, show, shown, monkeypatch):
    made = opened(seeing)
    file, _ = shown("red")
    with closing(made.turns), served(made.server) as site:
        tab = show(site)
        tab.set_input_files("#choose", file)
        tab.locator("#why").wait_for()
    tab.locator("#why").click()
    tab.get_by_text("No heat map. The server does not answer.").first.wait_for()
    assert tab.locator("#why").get_attribute("aria-pressed") == "false"
    assert tab.locator("#heat").is_hidden()


@pytest.mark.browser
def test_a_bad_file_is_answered_with_a_sentence(site, show, shown, tmp_path):
    tab = show(site)
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff" + bytes(500))
    tab.set_input_files("#choose", tmp_path / "bad.jpg")
    answered(tab, "No answer")
    assert "got a damaged one" in tab.locator("#trouble").inner_text()
    assert "No answer" in tab.locator("#said").inner_text()
    (tmp_path / "text.png").write_text("hello")
    tab.set_input_files("#choose", tmp_path / "text.png")
    tab.get_by_text("got something else").first.wait_for()
    file, label = shown("red")
    tab.set_input_files("#choose", file)
    answered(tab, label)
    assert tab.locator("#trouble").is_hidden()


@pytest.mark.browser
def test_a_file_that_is_too_large_is_not_sent(site, show, tmp_path):
    tab = show(site)
    (tmp_path / "large.jpg").write_bytes(bytes(21_000_000))
    tab.set_input_files("#choose", tmp_path / "large.jpg")
    answered(tab, "No answer")
    assert "larger than 20 MB" in tab.locator("#trouble").inner_text()


@pytest.mark.browser
def test_it_says_when_the_server_is_gone_and_goes_on_when_it_is_back(shipped, show, shown):
    made = opened(shipped)
    with closing(made.turns), served(made.server) as site:
        tab = show(site)
        assert tab.locator("#gone").is_hidden()
    tab.locator("#gone").wait_for(state="visible")
    file, label = shown("red")
    tab.set_input_files("#choose", file)
    answered(tab, "No answer")
    assert "does not answer" in tab.locator("#trouble").inner_text()
    again = opened(shipped)
    with closing(again.turns), served(again.server, port=site.port):
        tab.locator("#gone").wait_for(state="hidden")
        tab.set_input_files("#choose", file)
        answered(tab, label)


@pytest.mark.browser
def test_names_that_mean_no_good_are_text(named, show):
    made = opened(named, unsure_below=1)
    with closing(made.turns), served(made.server) as site:
        tab = show(site)
        tab.get_by_role("button", name="Example 1").click()
        answered(tab, "Not sure")
        names = [name.text_content() for name in tab.locator("#bars .name").all()]
        assert sorted(names) == sorted(NAMES)
        assert "less than the 100.0% asked for" in tab.locator("#detail").inner_text()
        assert tab.title() == "What is in this picture?"
        assert tab.locator("#bars img, #bars script, #about img").count() == 0
        shares = [share.inner_text() for share in tab.locator("#bars .share").all()]
        numbers = [float(re.findall(r"[\d.]+", share)[0]) for share in shares]
        assert numbers == sorted(numbers, reverse=True)


@pytest.mark.browser
def test_with_a_token_the_address_is_enough(shipped, show, shown):
    file, label = shown("green")
    (shipped / "examples").mkdir()
    shutil.copy(file, shipped / "examples")
    made = opened(shipped, token="abc")
    with closing(made.turns), served(made.server) as site:
        tab = show(site, query="?token=abc")
        tab.get_by_role("button", name="Example 1").click()
        answered(tab, label)


@pytest.mark.browser
def test_another_sites_page_gets_nothing(site, chromium, tmp_path):
    """A page of another origin may neither read nor post, and none may frame the page."""
    with served_page(
        f"<iframe src='{site.url}'></iframe><script>"
        f"fetch('{site.url}predict', {{method: 'POST', body: 'x', mode: 'no-cors'}});"
        f"fetch('{site.url}model').then(() => document.title = 'read',"
        " () => document.title = 'refused')</script>"
    ) as other:
        context = chromium.new_context()
        tab = context.new_page()
        statuses = []
        tab.on("response", lambda answer: statuses.append((answer.url, answer.status)))
        tab.goto(other)
        tab.wait_for_timeout(1000)
        assert tab.title() == "refused"
        assert [status for url, status in statuses if url.endswith("predict")] in ([], [403])
        assert tab.frames[1].url.startswith("chrome-error:")
        context.close()


@contextmanager
def served_page(text):
    with served(server(HTMLResponse(text), LIMITS, {})) as site:
        yield site.url.replace("127.0.0.1", "localhost")
