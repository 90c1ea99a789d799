"""What was mistyped, said as the library says what is wrong: expected, got, do this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from quickvision.base.errors import did_you_mean

# Typer has two homes for it, by its version: its own and Click.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def said_of(error: Any, commands: Mapping[str, Any]) -> str:
    """Say what a usage error of Typer is, in one line.

    Args:
        error: A `UsageError`.
        commands: The commands by their names.
    """
    kind, param, context = type(error).__name__, getattr(error, "param", None), error.ctx
    name = context.info_name if context and context.info_name in commands else ""
    command = f"quickvision {name}".strip()
    shows = f"{command} --help shows how"
    if kind == "NoSuchOption":
        known = [flag for one in context.command.get_params(context) for flag in one.opts]
        near = did_you_mean(error.option_name, known).replace("'", "")
        return f"expected an option of {command}, got {error.option_name}{near or f'; {shows}'}"
    if kind == "MissingParameter" and param is not None:
        help = param.help or ""
        what = f" ({help[:1].lower()}{help[1:].rstrip('.')})" if help else ""
        return f"expected {_called(param)}{what}, got nothing; {shows}"
    if kind == "BadParameter" and param is not None:
        return f"{_called(param)}: {error.message.removeprefix(f'{param.name}: ')}"
    if kind == "BadOptionUsage":
        return f"{error.option_name}: expected a value, got none"
    if error.message.startswith("No such command"):
        typed = error.message.split("'")[1]
        near = did_you_mean(typed, commands).replace("'", "")
        return f"expected a command, got {typed}{near or '; quickvision --help lists them'}"
    if "unexpected extra argument" in error.message:
        more = error.message.rpartition("(")[2].rstrip(").")
        wanted = [
            _called(one)
            for one in context.command.get_params(context)
            if one.param_type_name == "argument"
        ]
        return f"expected {command} {' '.join(wanted)}, got more: {more}; {shows}"
    return f"{error.message.rstrip('.')}"


def _called(param: Any) -> str:
    """Name a parameter: `--bs`, or `PATH`."""
    if param.param_type_name == "argument":
        return str(param.metavar or param.name).upper()
    return str(max(param.opts, key=len))
