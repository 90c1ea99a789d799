from __future__ import annotations

import platform
import subprocess
import sys

import numpy as np
import pytest

from quickvision.base import memory


@pytest.fixture(autouse=True)
def asked_anew():
    memory.keep_freed_memory.cache_clear()
    yield
    memory.keep_freed_memory.cache_clear()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_glibc_takes_it():
    assert memory.keep_freed_memory() is True


def test_elsewhere_nothing_is_asked(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: pytest.fail("asked the C library"))
    assert memory.keep_freed_memory() is False


def test_a_c_library_without_the_call_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory.keep_freed_memory() is False


@pytest.mark.slow
def test_results_are_the_same_to_the_bit():
    code = """
import torch
from torch import nn
from quickvision.base.memory import keep_freed_memory

def step():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(7200, 2)]
    net = nn.Sequential(*layers)
    for _ in range(3):
        loss = net(torch.randn(4, 3, 32, 32)).square().mean()
        loss.backward()
    return [loss, *(p.grad for p in net.parameters())]

before = step()
print(keep_freed_memory(), all(map(torch.equal, before, step())))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split()[-1] == "True"


def test_where_no_memory_can_be_seen_there_is_no_number(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    monkeypatch.setattr(memory.torch.cuda, "is_available", lambda: False)
    with memory.peak_memory() as seen:
        pass
    assert seen == []


def test_peak_memory_sees_what_was_taken_although_freed_memory_is_kept():
    memory.keep_freed_memory()
    for _ in range(2):
        with memory.peak_memory() as seen:
            block = np.ones(200 * 2**20, dtype=np.uint8)
        assert block.nbytes == 200 * 2**20
        assert not seen or seen[0] > 150
        del block
