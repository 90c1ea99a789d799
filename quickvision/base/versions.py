"""The versions that decide what comes out, as files write them down."""

from __future__ import annotations

import platform
from importlib.metadata import version

PACKAGES = ("torch", "torchvision", "fastai", "timm", "numpy", "pillow")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide what comes out."""
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }
