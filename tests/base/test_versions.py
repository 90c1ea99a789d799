from __future__ import annotations

import platform

import torch

from quickvision.base.versions import PACKAGES, versions


def test_python_and_the_packages_that_decide_what_comes_out():
    said = versions()
    assert [*said] == ["python", *PACKAGES]
    assert said["python"] == platform.python_version()
    assert torch.__version__.startswith(said["torch"])
