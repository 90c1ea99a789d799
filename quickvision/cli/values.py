"""An option as a command has it, and values of Python as a shell takes them."""

from __future__ import annotations

import ast
import shlex
from dataclasses import dataclass
from typing import Any

QUOTES = "'\""
RAW = ("r'", 'r"')


@dataclass(frozen=True)
class Named:
    """An option as a command has it.

    Attributes:
        yes: Such as `--cache-features`.
        no: What turns a flag off, such as `--no-cache-features`; empty where nothing does.
        is_flag: It takes no value.
    """

    yes: str
    no: str = ""
    is_flag: bool = False


def shell(node: Any) -> str:
    """Write a value of a call for a shell: a name or dots are a word to be filled in."""
    if isinstance(node, ast.Name):
        return node.id.upper()
    if isinstance(node, ast.List | ast.Tuple):
        return " ".join(map(shell, node.elts))
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float):
        return shlex.quote(str(node.value))
    return "..."


def with_value(option: Named, node: Any) -> str | None:
    """Write an option with a value that was parsed; None where a command takes no such value."""
    if isinstance(node, ast.Constant) and node.value in (True, False, None):
        return with_text(option, str(node.value))
    if isinstance(node, ast.Lambda | ast.Call):
        return None
    return None if option.is_flag else f"{option.yes} {shell(node)}"


def with_text(option: Named, value: str) -> str | None:
    """Write an option with the text of a value; None where a command takes no such value."""
    if not value:
        return option.yes
    if value in ("True", "False"):
        if not option.is_flag:
            return None
        return option.yes if value == "True" else option.no or f"no {option.yes}"
    if option.is_flag:
        return None
    if value == "None":
        return f"{option.yes} none" if option.yes == "--weights" else f"no {option.yes}"
    if value.startswith("{"):
        return f"{option.yes} FILE"
    if value[0] in "([" or value.startswith("re.compile"):
        return None
    value = value[1:] if value[:2] in RAW else value
    return f"{option.yes} {shlex.quote(value[1:-1]) if value[0] in QUOTES else value}"
