"""Names of models, read from the files of torchvision and timm: importing them takes seconds.

Only what is plainly no name is refused here; all else the library looks up itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import filter as matching
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from quickvision.base.errors import ModelError, did_you_mean

LIBRARIES = ("torchvision", "timm")
_REGISTERED = re.compile(r"^@register_model\b.*\n(?:@.*\n)*def (\w+)", re.MULTILINE)
_PLAIN = re.compile(r"(?:(timm|torchvision)/)?([\w]+)$")  # no tag, no address, no path


@cache
def _sources(library: str) -> str:
    """Return the text of a library's models; empty where it is not there as files."""
    found = find_spec(library)
    folders = found.submodule_search_locations if found else None
    files = sorted(Path(folders[0], "models").glob("*.py")) if folders else []
    return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)


@cache
def names_in(library: str) -> tuple[str, ...]:
    """Return the names of a library's models, as its source registers them."""
    return tuple(_REGISTERED.findall(_sources(library)))


def look_at_archs(archs: Sequence[str]) -> None:
    """See that each may be the name of a model, in an instant and without torch.

    Old names, which the sources have in tables, are let pass, and so is all that has a tag.

    Raises:
        ModelError: As `find_arch`, in its words: one is the name of none.
    """
    for arch in archs:
        said = _PLAIN.match(arch)
        libraries = LIBRARIES if said is None or said[1] is None else (said[1],)
        if said is None or not all(names_in(library) for library in libraries):
            continue
        name = re.sub(r"^se_(?=resne)", "se", said[2])
        if not any(re.search(rf"\b{name}\b", _sources(library)) for library in libraries):
            known = [each for library in libraries for each in names_in(library)]
            raise ModelError(
                f"expected a model of torchvision or timm, got {arch!r}{did_you_mean(name, known)};"
                " qv.list_models() lists them"
            )


def look_for_models(pattern: str) -> None:
    """See that some names may match a pattern of `list_models`, without torch.

    Raises:
        ModelError: None does.
    """
    library, _, plain = pattern.rpartition("/")
    plain = plain if set(plain) & set("*?[") else f"*{plain}*"
    libraries = [one for one in LIBRARIES if library in ("", one)]
    if "." in plain or not all(names_in(one) for one in libraries):
        return
    if not any(matching(names_in(one), plain) for one in libraries):
        raise no_models(pattern)


def no_models(pattern: str) -> ModelError:
    """Say that no name matches."""
    known = [each for library in LIBRARIES for each in names_in(library)]
    near = did_you_mean(pattern.strip("*"), known)
    return ModelError(f"expected models whose names match {pattern!r}, got none{near}")
