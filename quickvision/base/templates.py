"""Jinja's environment: programs and Markdown as text, pages with all that is users' escaped."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment(room: str, *, page: bool = False) -> Environment:
    """Return where a room's templates are read: a name that is not known is an error.

    Args:
        room: Name of the folder beside whose files the templates lie.
        page: Escape whatever is put in, for HTML. Else a template says what of the users' words is
            to be.
    """
    return Environment(
        loader=PackageLoader("quickvision", room),
        undefined=StrictUndefined,
        autoescape=page,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
