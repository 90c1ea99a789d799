from __future__ import annotations

import pytest


@pytest.fixture
def options(tiny_net, tmp_path):
    """One quick epoch of a tiny net, for any recipe."""
    quick = {"frozen_epochs": 0, "unfrozen_epochs": 1, "lr": 1e-2, "verbose": False}
    return {"arch": tiny_net, "weights": None, "size": 32, "bs": 4, "out": tmp_path / "o", **quick}


@pytest.fixture
def insects(tmp_path, picture):
    """`train` and `val` of ants and bees: eight pictures each, and four."""
    root = tmp_path / "insects" / "hymenoptera_data"
    for insect, colour in {"ants": "red", "bees": "green"}.items():
        for i in range(8):
            picture(root / "train" / insect / f"{i}.jpg", colour, seed=i)
        for i in range(4):
            picture(root / "val" / insect / f"{i}.jpg", colour, seed=100 + i)
    return root
