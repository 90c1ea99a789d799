"""Folders as a tree, made of pictures' names alone; and what folders' names say of them.

A folder is its path below the root, with `/` at the end; the root itself is an empty text.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

TRAIN, VALID, TEST = "train", "valid", "test"
# Folders, files and rows of tables are called so; `test` is validated on where it has labels and
# none else is there.
TRAIN_NAMES = ("train", "training", "trn", "train_set", "training_set")
VALID_NAMES = ("valid", "val", "validation", "dev", "valid_set", "val_set", "validation_set")
TEST_NAMES = ("test", "testing", "tst", "test_set", "holdout", "eval", "evaluation")
_SIDES = {
    **dict.fromkeys(TRAIN_NAMES, TRAIN),
    **dict.fromkeys(VALID_NAMES, VALID),
    **dict.fromkeys(TEST_NAMES, TEST),
    **dict.fromkeys(("pred", "predict", "prediction", "unlabeled", "unlabelled"), TEST),
}
# `trainset`, `test_images`, `Training Set`: what may stand beside such a word.
_THINGS = r"(set|sets|data|dataset|folder|split|images?|imgs?|pics?|pictures?|photos?)"
_GLUED = re.compile(rf"^([a-z]+?){_THINGS}$")
_BLANKS = re.compile(rf"^[A-Za-z]+ {_THINGS}$", re.IGNORECASE)
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")

IMAGES = frozenset(
    {"images", "image", "imgs", "img", "jpegimages", "pictures", "photos", "pics"}
    | {"jpg", "jpeg", "jpgs", "jpegs", "png", "pngs"}
)
# What lies beside pictures and is none of the data.
BESIDE = frozenset(
    {"annotation", "annotations", "mask", "masks", "label", "labels", "trimap", "trimaps"}
    | {"segmentation", "segmentations", "bbox", "bboxes", "boxes", "gt", "groundtruth", "xml"}
    | {"xmls", "depth", "contours", "keypoints", "landmarks", "heatmaps", "saliency"}
)
# What lies beside a data set in a repository.
_DOCS = frozenset(
    {"doc", "docs", "asset", "assets", "figure", "figures", "figs", "paper", "papers", "logo"}
    | {"readme", "screenshots", "documentation", "notebooks", "demo"}
)
# The same pictures once more: seen otherwise, or made of them.
_VERSIONS = frozenset(
    {"color", "colour", "grayscale", "greyscale", "gray", "grey", "rgb", "bgr", "hsv", "bw"}
    | {"segmented", "masked", "augmented", "aug", "original", "originals", "raw", "processed"}
    | {"preprocessed", "cropped", "crops", "resized", "small", "large", "medium", "thumbnails"}
    | {"thumbs", "hd", "lowres", "highres", "clean", "noisy", "denoised", "enhanced", "filtered"}
    | {"nir", "thermal", "infrared", "ir", "copy", "backup", "old", "version", "px"}
)
_PARTS = re.compile(r"^(part|parts|batch|fold|chunk|split|set|subset|shard|volume|vol|year)$")
_YEAR = re.compile(r"^(19|20)\d\d([-_. ]\d\d([-_. ]\d\d)?)?$")  # or a day
_SIZE = re.compile(r"^\d+\s*[x\u00d7](\s*\d+)?$", re.IGNORECASE)  # `40X` is a magnification
# People, things and recordings of which there are several pictures: no classes, but groups.
_IDS = re.compile(
    r"^(patient|pat|pt|subject|subj|case|slide|scan|session|video|clip|track|frame|sequence|seq"
    r"|lesion|specimen|sample|study|series|visit|exam|mouse|animal|img|image)s?$"
)


def words(name: str) -> list[str]:
    """Split a folder's name: `seg_train2017` is seg, train, 2017; `TestSet` is test, set."""
    return [word.casefold() for word in _WORDS.findall(name)]


def side_of(name: str) -> str:
    """Say which side a folder is called like: "train", "valid", "test"; or an empty text.

    >>> side_of("seg_train"), side_of("Testing"), side_of("validation-images"), side_of("val2017")
    ('train', 'test', 'valid', 'valid')
    >>> side_of("invalid"), side_of("test strip"), side_of("train_or_test"), side_of("TrainSet")
    ('', '', '', 'train')
    """
    name = name.rpartition("/")[2]
    if " " in name.strip() and not _BLANKS.match(name.strip()):
        return ""  # two words are a label: `train ticket`
    found = set()
    for word in words(name):
        glued = _GLUED.match(word)
        found |= {_SIDES[w] for w in (word, glued[1] if glued else "") if w in _SIDES}
    return found.pop() if len(found) == 1 else ""


def is_version(name: str) -> bool:
    """Say whether a folder is called like a version of pictures: `grayscale`, `224x224`."""
    return bool(_SIZE.match(name) or set(words(name)) & _VERSIONS)


def is_part(name: str) -> bool:
    """Say whether a folder is called like a part of a data set: `part_1`, `fold2`, `2019`."""
    found = words(name)
    numbered = any(word.isdecimal() for word in found)
    return bool(_YEAR.match(name)) or (numbered and any(map(_PARTS.match, found)))


def is_id(name: str) -> bool:
    """Say whether a name is that of a patient, a slide, a recording: `patient_07`, `slide-3b`."""
    found = words(name)
    return bool(found and _IDS.match(found[0]) and any(c.isdecimal() for c in name))


class Tree:
    """Where pictures lie.

    Attributes:
        names: The pictures' names.
        own: How many lie in each folder itself, by folder.
        all: How many lie in each folder and those in it.
        inside: The folders in each folder that hold pictures, in their order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.own = Counter(name[: name.rfind("/") + 1] for name in names)
        self.all: Counter[str] = Counter()
        self.inside: dict[str, dict[str, None]] = {}
        for folder, n in self.own.items():
            self.all[folder] += n
            while folder:
                above = parent(folder)
                self.inside.setdefault(above, {})[folder] = None
                self.all[above] += n
                folder = above

    def kids(self, folder: str) -> list[str]:
        """Return the folders in a folder that hold pictures."""
        return list(self.inside.get(folder, ()))

    def kinds(self, folder: str) -> set[str]:
        """Return the names of the folders in a folder, wrappers entered: its classes, perhaps."""
        return {fold(base(kid)) for kid in self.kids(self.entered(folder))}

    def entered(self, folder: str) -> str:
        """Go into wrappers: folders that hold a single folder, or `images` beside its masks."""
        kids = self.kids(folder)
        several = any(len(self.kids(kid)) > 1 for kid in kids)  # a logo beside it is no picture
        stray = self.own[folder] > max(self.all[folder] / 20, 2 if several else 0)
        if stray or not kids:
            return folder
        inner = pictures_beside(kids) or (kids[0] if len(kids) == 1 else self._beside_docs(kids))
        return self.entered(inner) if inner else folder

    def _beside_docs(self, kids: Sequence[str]) -> str:
        """Return the folder of folders that all others are documents to; or an empty text."""
        rest = [kid for kid in kids if fold(base(kid)) not in _DOCS]
        return rest[0] if len(rest) == 1 and self.kids(rest[0]) else ""

    def below(self, folder: str) -> Iterator[str]:
        """Yield the names of pictures in a folder, as seen from it."""
        n = len(folder)
        return (name[n:] for name in self.names if name.startswith(folder))


def parent(folder: str) -> str:
    """Return the folder that a folder lies in."""
    return folder[: folder.rstrip("/").rfind("/") + 1]


def base(folder: str) -> str:
    """Return a folder's own name."""
    return folder.rstrip("/").rpartition("/")[2]


def fold(name: str) -> str:
    """Return a name without what people overlook: case, blanks around it, macOS's spelling of é."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def pictures_beside(kids: Sequence[str]) -> str:
    """Return the folder of pictures where all others hold masks or the like; or an empty text."""
    pictures = [kid for kid in kids if fold(base(kid)) in IMAGES]
    others = [kid for kid in kids if kid not in pictures]
    beside = [kid for kid in others if set(words(base(kid))) & BESIDE]
    return pictures[0] if len(pictures) == 1 and others and len(beside) == len(others) else ""


def share_kinds(sets: Mapping[str, set[str]]) -> set[str]:
    """Return the names that folders have in common, where they have most of theirs in common."""
    filled = [kinds for kinds in sets.values() if kinds]
    if len(filled) < 2:
        return set()
    counted = Counter(kind for kinds in filled for kind in kinds)
    common = {kind for kind, n in counted.items() if n > len(filled) / 2}
    alike = [kinds for kinds in filled if 2 * len(kinds & common) > len(kinds)]
    return common if len(alike) == len(filled) and len(common) > 1 else set()


def are_sets(folders: Sequence[str]) -> bool:
    """Say whether folders are called like data sets: `lung_image_sets`."""
    return all(words(base(folder))[-1:] in (["sets"], ["datasets"]) for folder in folders)


def are_letters(kinds: Mapping[str, set[str]]) -> bool:
    """Say whether folders are the letters that the folders in them begin with: `a/abbey`."""
    letters = {fold(base(folder)): inside for folder, inside in kinds.items()}
    return all(len(x) == 1 and all(k.startswith(x) for k in letters[x]) for x in letters)
