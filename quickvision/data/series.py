"""Names that belong together: frames of a track, slices of a patient, copies of one picture.

Pure functions of names and labels. What is found is a hint, so that it is better to miss one than
to cry wolf: what cameras call their pictures, dates, and prefixes that are the label are let be.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

# Words before a number that say what the number counts; a frame is counted within one of these.
WORDS = (
    *("patient", "subject", "subj", "person", "pat", "pid", "case", "donor", "animal", "mouse"),
    *("slide", "wsi", "specimen", "lesion", "track", "video", "vid", "clip", "scene", "sequence"),
    *("seq", "session", "study", "scan", "plant", "site"),
)
# What programs and people add to the name of a copy, or of another look at the same thing.
MADE = (
    r"\d+deg\w*|new\d+deg\w*|rot\w*|turned\w*|[hv]?flip\w*|mirror\w*|aug\w*|copy\w*|crop\w*|noise\w*"
    r"|blur\w*|bright\w*|dark\w*|left|right|top|side|front|back"
)
NO_GROUP = re.compile(
    r"(img|dsc[fn]?|pxl|mvimg|screenshot|whatsapp|image|photo|pic)[-_ ]?\d*$"  # cameras
    r"|(\D*[-_ ])?(19|20)\d\d[-_.]?(0\d|1[012])[-_.]?[0-3]\d\b.*$"  # days
    r"|n\d{8}$",  # classes of ImageNet
    re.IGNORECASE,
)
SEPARATOR = r"[-_. ]"
SAMPLE, RUN = 2_000, 50  # names that are looked at at least, in runs: what belongs together is near


class Series(NamedTuple):
    """Names that belong together and are on both sides.

    Attributes:
        pattern: For `groups=`: its group is what they share.
        what: What that is, in a word.
        held: Places of the held-out pictures that share it with a training picture.
        keys: What each picture's group is.
    """

    pattern: str
    what: str
    held: list[int]
    keys: list[str]


def find_series(names: Sequence[str], labels: Sequence[str], held: Sequence[bool]) -> Series | None:
    """Find names that belong together and are on both sides; None where there are none.

    Args:
        names: The pictures' paths below the root, with `/`.
        labels: Their labels.
        held: True for each picture that is held out.
    """
    if not names or any("\\" in name for name in names[:100]):
        return None
    step = RUN * max(1, len(names) // SAMPLE)
    starts = range(0, len(names), step)
    some = [i for start in starts for i in range(start, min(start + RUN, len(names)))]
    few = [names[i] for i in some]
    files = [name.rpartition("/")[2] for name in few]
    for what, pattern in _candidates(few, files, [labels[i] for i in some]):
        keys = _keys(pattern, names)
        if not all(keys):
            continue
        train = {key for key, out in zip(keys, held, strict=True) if not out}
        both = [i for i, key in enumerate(keys) if held[i] and key in train]
        if both:
            return Series(pattern, what, both, keys)
    return None


def _keys(pattern: str, names: Sequence[str]) -> list[str]:
    regex = re.compile(pattern)
    texts = [f"/{name}" if "/" in pattern else name.rpartition("/")[2] for name in names]
    return [(match[1] or "") if (match := regex.search(text)) else "" for text in texts]


def _candidates(
    names: Sequence[str], files: Sequence[str], labels: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield what names may share, and its pattern, the surest first."""
    yield from _by_word(names, files, labels)
    yield from _by_folder(names, labels)
    yield from _by_copies(names, files, labels)
    numbered = rf"^(.+){SEPARATOR}\d+\.\w+$"
    keys = _keys(numbered, files)
    if _are_groups(keys, labels):
        pattern = _within_class(".+", rf"{SEPARATOR}\d+\.\w+$", names, keys)
        yield "first part of the name", pattern


def _by_word(
    names: Sequence[str], files: Sequence[str], labels: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Find `patient12` in a name, or in the same folder of each path."""
    plain = [name.casefold() for name in names]
    count = rf"{SEPARATOR}?[A-Za-z]?\d+"
    for word in WORDS:
        found = rf"(?<![A-Za-z]){word}{count}"
        if sum(word in name for name in plain) < len(names) / 2:
            continue
        seen = re.compile(found, re.IGNORECASE)
        if sum(bool(seen.search(file)) for file in files) >= len(files) / 2:
            simple = (rf"({word}\d+)", rf"(?i)({word}{SEPARATOR}?\d+)", rf"(?i)({found})")
            rest = rf"(?i)^(?:.*?(?={found}))?({found}|.+)"  # one without it is a group of its own
            pattern = next((one for one in simple if all(_keys(one, names))), rest)
            if _several(_keys(pattern, names), labels):
                yield word, pattern
        depths = Counter(
            depth
            for name in names
            for depth, part in enumerate(reversed(name.split("/")[:-1]), 1)
            if seen.search(part)
        )
        for depth, n in depths.items():
            pattern = "/([^/]+)" + "/[^/]+" * depth + "$"
            if n == len(names) and _several(_keys(pattern, names), labels):
                yield word, pattern


def _several(keys: Sequence[str], labels: Sequence[str]) -> bool:
    """Say whether a class has several of them, so that they are not the classes themselves."""
    by_label = defaultdict(set)
    for key, label in zip(keys, labels, strict=True):
        by_label[label].add(key.casefold())
    return any(len(found) > 1 for found in by_label.values())


def _by_folder(names: Sequence[str], labels: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Find folders with numbers in them below each class folder."""
    parts = [name.split("/") for name in names]
    if any(len(part) < 3 for part in parts):
        return
    pieces = re.compile(r"(part|batch|fold|split|set|year|dir)[\W_]?\d", re.IGNORECASE)
    if any(pieces.match(part[-2]) for part in parts):
        return
    keys = [f"{part[-3]}/{part[-2]}" if _has_id(part[-2]) else "" for part in parts]
    if _are_groups(keys, labels) and len({part[-3] for part in parts}) > 1:
        yield "folder", r"/([^/]+/[^/]+)/[^/]+$"


def _by_copies(
    names: Sequence[str], files: Sequence[str], labels: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Find `0a5e1_90deg.jpg` beside `0a5e1.jpg`: what is added is read off the names themselves."""
    stems = [file.rpartition(".")[0] for file in files]
    there, added = set(stems), Counter[str]()
    known = re.compile(rf"(.+?)((?:{SEPARATOR}(?:{MADE}))+)$", re.IGNORECASE)
    for stem in stems:
        for place in (m.start() for m in re.finditer(SEPARATOR, stem)):
            rest = stem[place:]
            if stem[:place] in there and _has_id(stem[:place]) and re.search(r"[^\W\d_]", rest):
                added[_generalised(rest)] += 1
        if match := known.match(stem):
            for word in re.findall(rf"{SEPARATOR}(?:{MADE})(?={SEPARATOR}|$)", match[2], re.I):
                added[_generalised(word)] += 1
        if ".rf." in stem:  # Roboflow: a hash for each changed copy
            added[r"\.rf\.\w+"] += 1
    if not added or len(added) > 40:
        return
    ends = "|".join(sorted(added, key=lambda end: (-len(end), end)))
    keys = _keys(rf"^(.+?)(?:{ends})*\.\w+$", files)
    groups = Counter(zip(keys, labels, strict=True))
    sizes = [n for n in groups.values() if n > 1]
    if len(sizes) > 1 and len(groups) > 2 and sum(sizes) / len(sizes) <= 16:
        yield "stem", _within_class(".+?", rf"(?:{ends})*\.\w+$", names, keys)


def _generalised(text: str) -> str:
    """Turn `_90deg` into a pattern for all angles."""
    return re.sub(r"\d+", lambda _: r"\d+", re.escape(text).replace(r"\ ", " "))


def _within_class(key: str, rest: str, names: Sequence[str], keys: Sequence[str]) -> str:
    """Return a pattern for names; with the folder before it where folders begin to count anew."""
    folders = defaultdict(set)
    for name, found in zip(names, keys, strict=True):
        folders[found].add(name.rpartition("/")[0])
    again = sum(len(where) > 1 for where in folders.values())
    plain = all(found.isdecimal() for found in keys)
    parents = {name.split("/")[-2] if "/" in name else "" for name in names}
    if plain and again > len(folders) / 2 and "" not in parents and len(parents) > 1:
        return rf"/([^/]+/{key.replace('.', '[^/]')}){rest}"
    return rf"^({key}){rest}"


def _has_id(text: str) -> bool:
    """Say whether there is a number in it that no camera and no calendar has put there."""
    return any(c.isdecimal() for c in text) and not NO_GROUP.match(text)


def _are_groups(keys: Sequence[str], labels: Sequence[str]) -> bool:
    """Say whether these cut classes into groups: several of each, with several pictures."""
    groups = Counter(zip(labels, keys, strict=True))
    of_label = Counter(label for label, _ in groups)
    several = sum(n for (_, key), n in groups.items() if n > 1 and _has_id(key))
    return (
        several >= 0.5 * len(keys)
        and len(keys) >= 2 * len(groups)
        and 2 * sum(n > 1 for n in of_label.values()) >= len(of_label)
        and max(of_label.values()) > 2
    )
