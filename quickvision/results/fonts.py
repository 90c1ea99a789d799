"""Fonts for the letters of names: found among those that are installed, for these texts alone."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.font_manager import FontEntry

from quickvision.base.errors import printable, some, warn

# Those that systems bring, tried before all others; what they lack is looked for everywhere.
LIKELY = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC", "Noto Sans JP",
    "Noto Sans KR", "Source Han Sans SC", "PingFang SC", "Hiragino Sans GB", "Hiragino Sans",
    "Apple SD Gothic Neo", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari",
    "Geeza Pro", "Arial Hebrew", "Kohinoor Devanagari", "Nirmala UI", "Arial Unicode MS", "Arial",
)  # fmt: skip
FAKE = ("lastresort", "last resort", "blank", "fallback")  # have a box for every letter
SCRIPTS = {"CJK": "CJK", "HIRAGANA": "CJK", "KATAKANA": "CJK", "HANGUL": "CJK", "ARABIC": "Arabic",
           "HEBREW": "Hebrew", "DEVANAGARI": "Devanagari", "THAI": "Thai", "BENGALI": "Bengali",
           "TAMIL": "Tamil", "TELUGU": "Telugu"}  # fmt: skip
BOX = "\N{WHITE SQUARE}"


@dataclass(frozen=True)
class Lettering:
    """How texts are drawn.

    Attributes:
        families: What goes to matplotlib's `fontfamily=`: the fonts set by the user, or
            matplotlib's, and after them those that have what these lack.
        lacking: Letters that no font has.
        box: What is drawn in place of each.
    """

    families: tuple[str, ...]
    lacking: frozenset[str] = frozenset()
    box: str = BOX

    def text(self, text: str) -> str:
        """Return a text as it can be drawn."""
        if not self.lacking and text.isprintable():
            return text
        kept = ("" if _unseen(c) and c in self.lacking else c for c in _tidy(text))
        return "".join(self.box if c in self.lacking else c for c in kept)

    def texts(self, texts: Sequence[str]) -> list[str]:
        """Return names of classes as they can be drawn; one that lacks letters gets its number."""
        lacks = [bool(self.lacking & set(text)) for text in texts]
        pairs = enumerate(zip(texts, lacks, strict=True))
        return [f"{i}: {self.text(text)}" if lack else self.text(text) for i, (text, lack) in pairs]


def lettering(texts: Iterable[str]) -> Lettering:
    """Find fonts that have the letters of texts; say in one sentence which letters none has.

    Where matplotlib's font has them all, which is the rule, nothing is looked for. No setting of
    matplotlib's is changed; a font that was installed after matplotlib made its list of fonts is
    added to that list.

    Args:
        texts: All that a plot draws of the user's: names of classes and files.
    """
    letters = frozenset(_tidy("".join(texts)))
    families = tuple(mpl.rcParams["font.family"])
    own = [path for family in families if (path := _path(family))]
    wanted = frozenset(c for c in letters if not _is_in(c, own))
    if not wanted:
        return Lettering(families)
    more, lacking = _found(wanted)
    seen = sorted(c for c in lacking if not _unseen(c))
    box = BOX if _is_in(BOX, own) else "?"
    if seen:
        warn(
            f"no installed font has the letters {some(seen, limit=5)}: they are drawn as {box};"
            f" install {_advice(seen)}, and start Python again"
        )
    return Lettering((*families, *more), lacking, box)


@lru_cache(maxsize=64)
def _found(wanted: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Find families that have these letters together, and what none has."""
    left, chosen = set(wanted), []
    for find in (_known_families, _new_families):
        for name, path in find():
            if all(map(_unseen, left)):
                break
            has = {c for c in left if _is_in(c, [path])}
            if has and not any(fake in name.casefold() for fake in FAKE):
                chosen.append(name)
                left -= has
    return tuple(chosen), frozenset(left)


def _known_families() -> Iterator[tuple[str, str]]:
    """List matplotlib's families, each with the file of its plainest face: likely ones first."""
    plainest: dict[str, FontEntry] = {}
    for entry in font_manager.fontManager.ttflist:
        if entry.name not in plainest or _off(entry) < _off(plainest[entry.name]):
            plainest[entry.name] = entry
    place = {name: i for i, name in enumerate(LIKELY)}
    order = sorted(plainest, key=lambda n: (place.get(n, len(LIKELY)), _off(plainest[n]), n))
    return ((name, _file(plainest[name])) for name in order)


def _new_families() -> Iterator[tuple[str, str]]:
    """Add fonts that matplotlib does not know yet to its list, one after another."""
    known = {os.path.realpath(entry.fname) for entry in font_manager.fontManager.ttflist}
    for path in sorted(font_manager.findSystemFonts()):
        if os.path.realpath(path) in known:
            continue
        try:
            font_manager.fontManager.addfont(path)
        except (OSError, RuntimeError, ValueError, KeyError):  # no font, or a kind that it has not
            continue
        yield font_manager.fontManager.ttflist[-1].name, path


def _off(entry: FontEntry) -> tuple[bool, int]:
    """Say how far a face is from upright and regular, which is what labels are drawn in."""
    weight = entry.weight
    number = font_manager.weight_dict.get(weight, 400) if isinstance(weight, str) else weight
    return entry.style != "normal", abs(number - 400)


def _file(entry: FontEntry) -> str:
    """Return the file of a face; since matplotlib 3.11 its place in the file goes with it."""
    index = getattr(entry, "index", None)
    return entry.fname if index is None else font_manager.FontPath(entry.fname, index)


def _path(family: str) -> str | None:
    """Return the file that matplotlib draws a family of its settings from."""
    try:
        return font_manager.findfont(font_manager.FontProperties(family=[family]))
    except ValueError:
        return None


def _is_in(letter: str, paths: Sequence[str]) -> bool:
    """Whether one of these fonts has a letter."""
    for path in paths:
        try:
            if font_manager.get_font(path).get_char_index(ord(letter)):
                return True
        except (OSError, RuntimeError, ValueError):  # damaged, or gone
            continue
    return False


def _tidy(text: str) -> str:
    """Replace what is no text, and bring it to one line."""
    return printable(" ".join(text.split()) if not text.isprintable() else text)


def _unseen(letter: str) -> bool:
    """Whether a letter only says how others are drawn: marks of direction, joiners, variants."""
    kind = unicodedata.category(letter)
    return kind in ("Cf", "Cc") or "VARIATION SELECTOR" in unicodedata.name(letter, "")


def _advice(letters: Sequence[str]) -> str:
    """Name fonts that have these letters."""
    names = [unicodedata.name(c, "?").split()[0] for c in letters]
    scripts = list(dict.fromkeys(SCRIPTS[name] for name in names if name in SCRIPTS))
    return f"a font that has them, such as Noto Sans {' and Noto Sans '.join(scripts) or 'Symbols'}"
