from __future__ import annotations

import logging
import warnings

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

import quickvision as qv
from quickvision.results import fonts
from quickvision.results.fonts import lettering

CHINESE, KOREAN = "直剪止血钳", "한국어"
RARE = "\U00011480\U00011481"  # Tirhuta, which no usual font has


def make_font(path, family, letters):
    """A font of a square for each letter."""
    names = [".notdef", *(f"u{ord(c):x}" for c in letters)]
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 700), (800, 700), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    build = FontBuilder(1000, isTTF=True)
    build.setupGlyphOrder(names)
    build.setupCharacterMap({ord(c): f"u{ord(c):x}" for c in letters})
    build.setupGlyf(dict.fromkeys(names, square))
    build.setupHorizontalMetrics(dict.fromkeys(names, (900, 100)))
    build.setupHorizontalHeader(ascent=800, descent=-200)
    build.setupNameTable({"familyName": family, "styleName": "Regular"})
    build.setupOS2(usWeightClass=400)
    build.setupPost()
    build.save(path)
    return str(path)


@pytest.fixture
def system(monkeypatch):
    """Fonts that are installed besides matplotlib's own; they are forgotten afterwards."""
    installed: list[str] = []
    ours = [e for e in font_manager.fontManager.ttflist if e.name.startswith("DejaVu")]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", ours)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: installed)
    fonts._found.cache_clear()
    yield installed
    fonts._found.cache_clear()


def drawn(text, font):
    """What is warned of, or logged, while a text is drawn."""
    figure = plt.figure()
    figure.text(0.1, 0.5, font.text(text), fontfamily=list(font.families))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.canvas.draw()
    plt.close(figure)
    return [str(one.message) for one in caught]


def test_usual_names_are_looked_for_nowhere(monkeypatch):
    monkeypatch.setattr(fonts, "_found", None)
    font = lettering(["Abyssinian cat", "Größe \N{RIGHTWARDS ARROW} naïve", "Кошка", "γάτα"])
    assert font.families == tuple(mpl.rcParams["font.family"])
    assert font.text("Кошка") == "Кошка"


def test_a_font_that_has_the_letters_is_taken_for_these_texts_alone(system, tmp_path, caplog):
    system.append(make_font(tmp_path / "c.ttf", "Chinese Only", CHINESE))
    system.append(make_font(tmp_path / "k.ttf", "Korean Only", KOREAN))
    before = dict(mpl.rcParams)
    font = lettering([CHINESE, KOREAN, "cat"])
    assert {*font.families} == {*mpl.rcParams["font.family"], "Chinese Only", "Korean Only"}
    assert not font.lacking
    with caplog.at_level(logging.WARNING):
        assert drawn(f"{CHINESE} {KOREAN} cat", font) == []
    assert not caplog.records
    assert dict(mpl.rcParams) == before


def test_likely_fonts_come_first(system, tmp_path):
    system.append(make_font(tmp_path / "a.ttf", "A Strange One", CHINESE))
    system.append(make_font(tmp_path / "n.ttf", "Noto Sans CJK SC", CHINESE))
    for path in system:
        font_manager.fontManager.addfont(path)
    assert lettering([CHINESE]).families[1:] == ("Noto Sans CJK SC",)


def test_a_font_with_a_box_for_every_letter_is_none(system, tmp_path):
    system.append(make_font(tmp_path / "a.ttf", "LastResort", CHINESE))
    with pytest.warns(qv.DataWarning, match="no installed font"):
        assert lettering([CHINESE]).families[1:] == ()


def test_a_damaged_font_does_not_stop_the_search(system, tmp_path):
    (tmp_path / "a.ttf").write_bytes(b"no font")
    system.append(str(tmp_path / "a.ttf"))
    system.append(make_font(tmp_path / "c.ttf", "Chinese Only", CHINESE))
    assert "Chinese Only" in lettering([CHINESE]).families


def test_without_a_font_it_is_said_once_and_matplotlib_says_nothing(system):
    with pytest.warns(qv.DataWarning) as caught:
        font = lettering([CHINESE, "cat"])
    (said,) = caught
    assert "has the letters 剪, 止, 直, 血, 钳: they are drawn as □" in str(said.message)
    assert "such as Noto Sans CJK, and start Python again" in str(said.message)
    assert font.texts([CHINESE, "cat"]) == ["0: □□□□□", "cat"]
    assert drawn(CHINESE, font) == []


@pytest.mark.parametrize(
    ("letters", "advice"),
    [("हिन्दी", "Noto Sans Devanagari"), ("한국어", "Noto Sans CJK"), (RARE, "Noto Sans Symbols")],
)
def test_a_font_is_proposed_for_each_script(system, letters, advice):
    with pytest.warns(qv.DataWarning, match=advice):
        lettering([letters])


def test_arabic_and_hebrew_need_no_other_font():
    font = lettering(["قطة كبيرة", "כלב קטן"])
    assert not font.lacking
    assert font.families == tuple(mpl.rcParams["font.family"])


def test_what_is_no_letter_is_drawn_as_nothing(system):
    texts = ["a\u202eb", "a\tb\nc", "\udcff.png", "x\ufe0fy"]
    font = lettering(texts)
    for text in texts:
        assert drawn(text, font) == []
    assert font.text("a\tb\nc") == "a b c"
