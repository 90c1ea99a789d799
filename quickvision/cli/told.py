"""Who is spoken to: the command at hand, its options, and what was typed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from quickvision.cli.spelling import COMMANDS, Spelling
from quickvision.cli.values import Named

# What the library calls an option, where that is another name.
_THEIRS = {"pattern": ("pat",), "host": ("hosts",), "show": (), "as_json": (), "table": ()}
_BOTH = {"opt": ("opt", "opts"), "schedule": ("schedule", "schedules")}
_PLACES = {**dict(COMMANDS.values()), "export": ("RUN", "MODEL")}


def spelling_for(commands: Mapping[str, Any], arguments: Sequence[str]) -> Spelling:
    """Return how to write what is said.

    Args:
        commands: Typer's commands by their names.
        arguments: Of the command line.
    """
    options = {name: _options(command) for name, command in commands.items()}
    name = arguments[0] if arguments and arguments[0] in commands else ""
    given: dict[str, str] = {}
    if name:
        words = _positional(commands[name], arguments[1:])
        places = _PLACES.get(name, ())
        given = dict(zip(places, words, strict=False))
        if name == "compare" and len(words) > 2:
            given["MODELS"] = shlex.join(words[1:])
    return Spelling(options, name, tuple(arguments[1:]), given)


def _options(command: Any) -> dict[str, Named]:
    """Return a command's options by the names that the library has for them."""
    found = {}
    for param in command.params:
        if param.param_type_name == "option" and param.name != "help":
            off = max(param.secondary_opts, key=len, default="")
            named = Named(max(param.opts, key=len), off, bool(param.is_flag))
            for name in _BOTH.get(param.name, _THEIRS.get(param.name, (param.name,))):
                found[name] = named
    return found


def _positional(command: Any, arguments: Sequence[str]) -> list[str]:
    """Return the words that are no options and no values of options."""
    takes_value = {
        flag
        for param in command.params
        if param.param_type_name == "option" and not param.is_flag
        for flag in param.opts
    }
    words, rest = [], iter(arguments)
    for word in rest:
        if word in takes_value:
            next(rest, None)
        elif word[:1] != "-":
            words.append(word)
    return words
