"""What class names say: their order, which are written in two ways, which a mirror makes wrong."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

NUMBERED = re.compile(r"(\D*?)(-?\d+(?:\.\d+)?)(\D.*)?", re.DOTALL)


def in_order(labels: Iterable[str]) -> list[str]:
    """Sort class names: by their numbers where all are numbered alike, else as text.

    Numbered alike are those that are numbers, and those with one text before the number, as
    `class_2` and `class_10`; more may follow it, as in `10. Warts`.

    >>> in_order(["10", "9", "0"])
    ['0', '9', '10']
    >>> in_order(["class_10", "class_2"])
    ['class_2', 'class_10']
    >>> in_order(["cat10", "dog2", "cat2"])
    ['cat10', 'cat2', 'dog2']
    """
    names = sorted(set(labels))
    found = [match for name in names if (match := NUMBERED.fullmatch(name))]
    before = {match[1].rstrip("-") for match in found}
    if len(found) < len(names) or len(before) != 1:
        return names
    # `part-2` is no negative number; `-2` is one.
    numbers = (float(match[2]) if not match[1] else abs(float(match[2])) for match in found)
    return [name for _, name in sorted(zip(numbers, names, strict=True))]


def look_alikes(labels: Iterable[str]) -> list[list[str]]:
    """Group class names that differ in case, blanks or the spelling of accents alone.

    Single letters are left alone: `A` beside `a` are two letters.

    >>> look_alikes(["Cat", "cat ", "dog", "great dane", "great_dane"])
    [['Cat', 'cat '], ['great dane', 'great_dane']]
    """
    alike: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        plain = unicodedata.normalize("NFC", label).casefold().strip()
        plain = re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", plain)
        if len(label.strip()) > 1 or label != label.strip():
            alike.setdefault(plain, []).append(label)
    return [group for group in alike.values() if len(group) > 1]


DIGITS = frozenset("0123456789")
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
EVEN = frozenset("ahimotuvwxy")  # letters that a mirror leaves as they are
MANY = 10  # letters, from which they are an alphabet and no A, B, C for want of names
SIDES = (
    *(("left", "right"), ("l", "r"), ("east", "west"), ("b", "d"), ("p", "q"), ("os", "od")),
    *(("clockwise", "counterclockwise"), ("clockwise", "anticlockwise")),
    *(("links", "rechts"), ("gauche", "droite"), ("izquierda", "derecha"), ("←", "→"), ("<", ">")),
)
ONE_SIDE = frozenset({"left", "right", "leftward", "rightward", "leftwards", "rightwards"})
NO_SIDE = frozenset({"whale", "angle", "angled"})  # a right whale


def mirrored(labels: Collection[str]) -> list[str]:
    """Return class names that a mirrored picture would make wrong; empty where none seems so.

    These are sides (`turn_left`; `l` beside `r`), the digits, and letters that are not the same in
    a mirror. `0`, `1`, `2` or `a`, `b`, `c` alone are taken for numbers of classes.

    >>> mirrored(["turn_left", "straight"]), mirrored(["right whale", "orca"])
    (['turn_left'], [])
    >>> mirrored(["3", "7"]), mirrored(["0", "1", "2"])
    (['3', '7'], [])
    """
    names = in_order(labels)
    words = {name: _words(name) for name in names}
    sided = [name for name, said in words.items() if _has_side(said)]
    if sided:
        return sided
    plain = [name.strip().casefold() for name in names]
    if len(plain) > 1 and set(plain) <= {*WORDS}:
        return names
    single = [name for name in plain if name in DIGITS or (len(name) == 1 and name in LETTERS)]
    if len(single) >= max(2, 0.8 * len(plain)):
        counts = any(name.isdecimal() and len(name) > 1 for name in plain)  # on to 10, 11
        return [] if counts or not _are_characters(single) else names
    forms = {tuple(said): name for name, said in words.items()}
    for one, other in SIDES:
        for said, name in forms.items():
            swapped = tuple(other if word == one else word for word in said)
            if swapped != said and swapped in forms:
                return [name, forms[swapped]]
    return []


def _are_characters(single: Sequence[str]) -> bool:
    """Say whether these are what is in the pictures, and no numbers of classes."""
    digits, letters = ([c for c in single if c.isdigit() == kind] for kind in (True, False))
    if digits and letters:
        return True
    if digits:
        return len(digits) == len(DIGITS) or not _first(digits, "0123456789")
    if len(set(letters)) >= MANY:
        return not set(letters) <= EVEN
    pair = any({*two} <= {*letters} for two in ("bd", "pq", "lr"))  # r, g, b are colours
    return pair and not _first(letters, LETTERS)


def _words(name: str) -> list[str]:
    """Split `turnLeft`, `turn_left` and `Turn left` into the same words."""
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[\s_\-.,;:/()\[\]]+", parts.casefold()) if word]


def _has_side(said: Sequence[str]) -> bool:
    pairs = zip(said, [*said[1:], ""], strict=True)
    return any(word in ONE_SIDE and after not in NO_SIDE for word, after in pairs)


def _first(found: Sequence[str], order: str) -> bool:
    """Say whether these are the first few, from 0, 1 or a: a way to number classes."""
    text = "".join(sorted(set(found)))
    return order.startswith(text) or order[1:].startswith(text)
