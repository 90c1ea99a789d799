"""The folder of our own in which what was read once is kept, so that it need not be read again."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Return the folder: `QUICKVISION_CACHE` where that is set, else the user's cache folder.

    What is in it can be deleted at any time; it is made again.
    """
    named = os.environ.get("QUICKVISION_CACHE")
    return Path(named).expanduser() if named else user_cache_path("quickvision", appauthor=False)
