from __future__ import annotations

import threading
import time

import pytest

from quickvision.base import progress as parallel
from quickvision.base.progress import mapped


def test_results_come_in_order(monkeypatch):
    monkeypatch.setattr(parallel, "AHEAD", 3)
    assert list(mapped(lambda x: x * x, range(10), "squares")) == [x * x for x in range(10)]
    assert list(mapped(str, [], "nothing")) == []


def test_an_error_comes_through_and_the_rest_is_not_begun(monkeypatch):
    begun, hold = [], threading.Event()

    def work(x):
        begun.append(x)
        if x == 0:
            raise KeyError("first")
        hold.wait(0.05)

    with pytest.raises(KeyError):
        list(mapped(work, range(1000), "work"))
    time.sleep(0.2)
    assert len(begun) < 100
