"""The first look: where there is nothing to read at a path, that is answered at once.

Typer alone takes a third of a second to load, and torch several.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from quickvision.base.errors import QuickvisionError
from quickvision.data.paths import look

WANT_DATA = ("train", "check", "compare")  # commands whose first argument is the data


def answer_at_once(arguments: Sequence[str]) -> None:
    """End with `error: ...` and exit code 1 where a command's path is plainly none.

    Args:
        arguments: Of the command line. Those that begin with an option are left to Typer.
    """
    command, path = [*arguments, "", ""][:2]
    if command not in WANT_DATA or path[:1] in ("", "-") or "--help" in arguments:
        return
    if "RANK" in os.environ:  # one of several processes: it says who it is, in `commands`
        return
    try:
        look(path)
    except QuickvisionError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    except (TypeError, ValueError):  # `commands` says it
        return
