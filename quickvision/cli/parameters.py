"""The command line's options: made of the library's own declarations, parsed and checked at once.

`takes` adds the fields of a dataclass of options to a command. What only a command line needs is
here: how text becomes a value (`_SPELLED`), and how a message names an option (`spelled`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from quickvision.base.choices import OPTS, SCHEDULES
from quickvision.base.figures import to_seconds


def takes(table: type, *names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add a dataclass's options to a command, whose `**options` gets them.

    Args:
        table: The dataclass; its fields with a help text are options.
        names: Which of them; by default all. Those that the command has already are left alone.
    """

    def add(command: Callable[..., None]) -> Callable[..., None]:
        given = inspect.signature(command, eval_str=True).parameters.values()
        own = {p.name: p for p in given if p.kind is not inspect.Parameter.VAR_KEYWORD}
        for one in fields(table):
            wanted = one.name in names if names else one.metadata.get("help")
            if wanted and one.name not in own:
                own[one.name] = _parameter(one)
        command.__signature__ = inspect.Signature(list(own.values()))  # type: ignore[attr-defined]
        return command

    return add


def _parameter(one: Field[Any]) -> inspect.Parameter:
    """Make the parameter that Typer reads of a declared option."""
    said, name = one.metadata, f"--{one.name.replace('_', '-')}"
    how: dict[str, Any] = {"help": said["help"]}
    default = one.default
    if one.name in _SPELLED:
        kind, default, more = _SPELLED[one.name]
        how |= more
    elif said["words"]:
        kind = Literal[said["words"]]
    elif one.type == "bool":
        kind, name = bool, name if default is False else f"{name}/--no-{name[2:]}"
    else:
        kind = float if str(one.type).startswith("float") else int
        most = said["high"] if (said["high"] or 0) <= 1 else None  # a seed's end tells nobody much
        how |= {"min": said["low"], "max": most}
    if default is None:
        kind = kind | None
    keyword = inspect.Parameter.KEYWORD_ONLY
    annotation = Annotated[kind, typer.Option(name, **how)]  # type: ignore[valid-type]
    return inspect.Parameter(one.name, keyword, default=default, annotation=annotation)


def spelled(text: str, names: set[str]) -> str:
    """Name options in a message as the command line writes them.

    >>> spelled("views: goes with cached features, got cache_features=False", {"views"})
    '--views goes with cached features, got --no-cache-features'
    """
    text = re.sub(r"^(\w+): (?=goes with)", r"\1 ", text)
    text = re.sub(r"\b(\w+)=False", lambda m: f"--no-{m[1].replace('_', '-')}", text)
    said = re.compile(rf"(?<![-\w'])({'|'.join(sorted(names))})(?=:| goes with|$| or |, got)")
    return said.sub(lambda m: f"--{m[1].replace('_', '-')}", text)


def _refused_by(check: Callable[[str], object]) -> Callable[[str | None], str | None]:
    """Let the library check a text, and refuse it in its words."""

    def checked(text: str | None) -> str | None:
        try:
            if text is not None:
                check(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        return text

    return checked


def _pattern(text: str) -> None:
    from quickvision.data.labels import NameLabel  # it loads numpy

    NameLabel(text)


def _fraction(text: str | None) -> float | str | None:
    """Read a fraction; anything else is a folder or a split file."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return text
    if not 0 < value < 1:
        raise typer.BadParameter(f"expected a fraction such as 0.2 (20 %), got {value:g}")
    return value


def _rate(text: str) -> float | str:
    try:
        rate = text if text == "find" else float(text)
    except ValueError:
        rate = 0.0
    if isinstance(rate, float) and not rate > 0:
        raise typer.BadParameter(f"expected 'find' or a rate such as 1e-3, got {text!r}")
    return rate


def _batch(text: str | None) -> int | str | None:
    if text is None:
        return None
    if text != "auto" and not (text.isdecimal() and int(text) > 1):
        raise typer.BadParameter(f"expected 'auto' or a whole number from 2, got {text!r}")
    return text if text == "auto" else int(text)


def _among(known: tuple[str, ...]) -> Callable[[list[str] | None], list[str] | None]:
    """Check each of several choices: Typer does so for single ones only."""

    def check(names: list[str] | None) -> list[str] | None:
        for name in names or ():
            if name not in known:
                raise typer.BadParameter(f"expected {', '.join(known)}, got {name!r}")
        return names

    return check


# Where text becomes something else: its type, its default, and what Typer is told besides.
_SPELLED: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "budget": (str, None, {"callback": _refused_by(to_seconds)}),
    "bs": (
        *(str, None),
        {"callback": _batch, "help": "Pictures in a batch; 'auto': what fits. By default 64."},
    ),
    "cache": (bool, False, {"callback": lambda on: on or "auto"}),
    "class_names": (Path, None, {}),
    "lr": (str, "find", {"callback": _rate}),
    "size": (int, None, {"min": 2, "help": "Pixels of a side; by default what the model wants."}),
    "valid": (str, None, {"callback": _fraction}),
}

Where = Annotated[Path, typer.Argument(help="Class folders, train and val, names, or a CSV file.")]
Out = Annotated[Path, typer.Option(help="Folder in which the run's folder is made.")]
Pattern = Annotated[
    str | None,
    typer.Option(
        callback=_refused_by(_pattern),
        help=r"Labels are in the names: a regex with one group, as '^(.+)_\d+\.jpg$'.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        callback=lambda text: None if text.lower() == "none" else text,
        help="'default' (downloaded), 'none', or a file.",
    ),
]
Size = Annotated[int, typer.Option(min=2, help="Pixels of a side.")]
BatchSize = Annotated[int | None, typer.Option(min=2, help="Pictures in a batch.")]
Gpus = Annotated[int | None, typer.Option(min=1, help="GPUs to train on, a process each.")]
Opts = Annotated[
    list[str] | None,
    typer.Option("--opt", callback=_among(OPTS), help="Optimisers; may be repeated."),
]
Schedules = Annotated[
    list[str] | None,
    typer.Option("--schedule", callback=_among(SCHEDULES), help="Schedules; may be repeated."),
]
