"""The command line's options: made of the library's own declarations, parsed and checked at once.

`takes` adds the fields of a dataclass of options to a command. What only a command line needs is
here: how text becomes a value (`_READ`), and the group in which `--help` shows an option.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from quickvision.base.choices import OPTS, SCHEDULES, one_of
from quickvision.base.figures import to_seconds
from quickvision.cli.helping import GROUPS

DATA, MODEL, TRAINING, SPEED = GROUPS
_GROUPS = {"Options": DATA, "ModelOptions": MODEL, "RunConfig": TRAINING}
_SPEEDS = (
    *("budget", "cache", "cache_features", "compile", "deterministic", "log", "num_workers"),
    *("plots", "precision", "report"),
)


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
                group = SPEED if one.name in _SPEEDS else _GROUPS.get(table.__name__)
                own[one.name] = _parameter(one, group)
        command.__signature__ = inspect.Signature(list(own.values()))  # type: ignore[attr-defined]
        return command

    return add


def _parameter(one: Field[Any], group: str | None) -> inspect.Parameter:
    """Make the parameter that Typer reads of a declared option."""
    said, name = one.metadata, f"--{one.name.replace('_', '-')}"
    how: dict[str, Any] = {"help": said["help"], "rich_help_panel": group}
    kind: Any
    default = one.default
    if one.name in _READ:
        kind, default, more = _READ[one.name]
        how |= more
    elif said["words"]:
        kind = str
        how |= {"parser": word(*said["words"]), "metavar": "|".join(said["words"])}
    elif one.type == "bool":
        kind, name = bool, name if default is False else f"{name}/--no-{name[2:]}"
    else:
        kind = float if str(one.type).startswith("float") else int
        how |= {"parser": number(said["low"], said["high"], whole=kind is int), "metavar": "N"}
    if default is None:
        kind = kind | None
    keyword = inspect.Parameter.KEYWORD_ONLY
    annotation = Annotated[kind, typer.Option(name, **how)]
    return inspect.Parameter(one.name, keyword, default=default, annotation=annotation)


def number(
    low: float | None = None, high: float | None = None, *, whole: bool = True
) -> Callable[[Any], int | float]:
    """Return what reads a number, whole or not, from `low` to `high`.

    >>> number(1, 8)("3")
    3
    """
    kind = int if whole else float
    start = "" if low is None else f" from {low:,}"
    end = "" if high is None or high > 10**9 else f" to {high:,}"  # a seed's end tells nobody much
    wanted = f"expected a {'whole ' if whole else ''}number{start}{end}"

    def read(text: Any) -> int | float:
        try:
            value = kind(text)
        except (TypeError, ValueError):
            raise typer.BadParameter(f"{wanted}, got {text!r}") from None
        if not (-float("inf") if low is None else low) <= value:
            raise typer.BadParameter(f"{wanted}, got {text}")
        if high is not None and not value <= high:
            raise typer.BadParameter(f"{wanted}, got {text}")
        return value

    return read


def word(*words: str) -> Callable[[str], str]:
    """Return what reads one of these words, and names near ones where it is none."""

    def read(text: str) -> str:
        try:
            return one_of("", text, words)
        except ValueError as error:
            raise typer.BadParameter(str(error).removeprefix(": ")) from None

    return read


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


# Where text becomes something else: its type, its default, and what Typer is told besides.
_READ: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "budget": (str, None, {"callback": _refused_by(to_seconds), "metavar": "TIME"}),
    "bs": (
        *(str, None),
        {"callback": _batch, "help": "Pictures in a batch, or 'auto': what fits.", "metavar": "N"},
    ),
    "cache": (bool, False, {"callback": lambda on: on or "auto"}),
    "class_names": (Path, None, {"metavar": "FILE"}),
    "fixes": (Path, None, {"metavar": "FILE"}),
    "groups": (str, None, {"metavar": "WHAT"}),
    "lr": (str, "find", {"callback": _rate, "metavar": "RATE"}),
    "size": (
        *(int, None),
        {
            "parser": number(2),
            "metavar": "N",
            "help": "Pixels of a side; by default what the model wants.",
        },
    ),
    "valid": (str, None, {"callback": _fraction, "metavar": "WHAT"}),
}

Where = Annotated[Path, typer.Argument(help="Class folders, train and val, names, or a CSV file.")]
Out = Annotated[
    Path,
    typer.Option(
        help="Folder in which the run's folder is made.", metavar="FOLDER", rich_help_panel=SPEED
    ),
]
Pattern = Annotated[
    str | None,
    typer.Option(
        callback=_refused_by(_pattern),
        help=r"Labels are in the names, as '^(.+)_\d+\.jpg$'.",
        metavar="REGEX",
        rich_help_panel=DATA,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        callback=lambda text: None if text.lower() == "none" else text,
        help="A file, 'none', or 'default': downloaded.",
        metavar="FILE",
        rich_help_panel=MODEL,
    ),
]
Size = Annotated[int, typer.Option(parser=number(2), help="Pixels of a side.", metavar="N")]
BatchSize = Annotated[
    int | None, typer.Option(parser=number(2), help="Pictures in a batch.", metavar="N")
]
Gpus = Annotated[
    int | None,
    typer.Option(
        parser=number(1),
        help="GPUs to train on, a process each.",
        metavar="N",
        rich_help_panel=SPEED,
    ),
]
Opts = Annotated[
    list[str] | None,
    typer.Option(
        "--opt", parser=word(*OPTS), help="Optimisers; may be repeated.", metavar="|".join(OPTS)
    ),
]
Schedules = Annotated[
    list[str] | None,
    typer.Option(
        *("--schedule",),
        parser=word(*SCHEDULES),
        help="Schedules; may be repeated.",
        metavar="|".join(SCHEDULES),
    ),
]
Engine = Annotated[
    Literal["auto", "onnx", "torch"],
    typer.Option(
        parser=word("auto", "onnx", "torch"), help="What computes.", metavar="auto|onnx|torch"
    ),
]
UnsureBelow = Annotated[
    float,
    typer.Option(
        parser=number(0, 1, whole=False),
        help="Probability below which an answer is not sure.",
        metavar="P",
    ),
]
