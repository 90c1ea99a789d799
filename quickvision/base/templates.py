"""Jinja's environment for what is written as text: programs, Markdown. Pages need another."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment(room: str) -> Environment:
    """Return where a room's templates are read: a name that is not known is an error.

    Nothing is escaped: a template says what of the users' words is to be.

    Args:
        room: Name of the folder beside whose files the templates lie.
    """
    return Environment(
        loader=PackageLoader("quickvision", room),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
