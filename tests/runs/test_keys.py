from __future__ import annotations

import functools
import os
import subprocess
import sys
import textwrap
import threading
from types import ModuleType

import numpy as np
import pytest
import torch
from fastai.callback.tracker import EarlyStoppingCallback
from fastai.data.core import Transform
from fastai.losses import FocalLossFlat
from fastai.metrics import F1Score, error_rate
from fastai.torch_core import TensorImage
from fastai.vision.augment import Resize, aug_transforms
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import quickvision as qv
from quickvision.runs import keys
from quickvision.runs.keys import identify, stamp


def cell(code, name="f", **known):
    """What a notebook's cell leaves under a name."""
    names = {"__name__": "notebook", "nn": nn, "torch": torch, "functools": functools, **known}
    exec(textwrap.dedent(code), names)
    return names[name]


def key(value):
    found, untold = identify(value)
    assert not untold, untold
    return found


def module(code):
    made = ModuleType("mine")
    exec(textwrap.dedent(code), vars(made))
    return made


CHANGED = {
    "a constant": ("def f(): return nn.Linear(3, 8)", "def f(): return nn.Linear(3, 9)"),
    "the code": ("def f(x): return x + 1", "def f(x): return x - 1"),
    "a name": ("def f(): return nn.ReLU()", "def f(): return nn.GELU()"),
    "a default": ("def f(c=8): return c", "def f(c=9): return c"),
    "a keyword's default": ("def f(*, c=8): return c", "def f(*, c=9): return c"),
    "an annotation, on which fastai dispatches": ("def f(x: int): 0", "def f(x: float): 0"),
    "a lambda": ("f = lambda: nn.LeakyReLU(.1)", "f = lambda: nn.PReLU()"),
    "a function inside": ("def f(): return lambda: 1", "def f(): return lambda: 2"),
    "a closure": (
        "def g(c):\n  def h(): return c\n  return h\nf = g(1)",
        "def g(c):\n  def h(): return c\n  return h\nf = g(2)",
    ),
    "a global": ("C = 1\ndef f(): return C", "C = 2\ndef f(): return C"),
    "a function that it calls": (
        "def g(): return 1\ndef f(): return g()", "def g(): return 2\ndef f(): return g()",
    ),
    "a global of a function inside": (
        "C = 1\ndef f(): return [C for _ in '12']", "C = 2\ndef f(): return [C for _ in '12']",
    ),
    "a partial's argument": ("f = functools.partial(int, '1')", "f = functools.partial(int, '2')"),
    "a partial's function": (
        "f = functools.partial(lambda: 1)", "f = functools.partial(lambda: 2)",
    ),
    "a cached function": ("f = functools.cache(lambda: 1)", "f = functools.cache(lambda: 2)"),
    "what a decorator holds": (
        "def g(h):\n @functools.wraps(h)\n def w(): return h()\n return w\n@g\ndef f(): return 1",
        "def g(h):\n @functools.wraps(h)\n def w(): return h()\n return w\n@g\ndef f(): return 2",
    ),
    "a method": (
        "class f(nn.Module):\n  def forward(self, x): return x",
        "class f(nn.Module):\n  def forward(self, x): return -x",
    ),
    "a static method, a property": (
        "class f:\n  @staticmethod\n  def a(): return 1\n  @property\n  def b(self): return 1",
        "class f:\n  @staticmethod\n  def a(): return 1\n  @property\n  def b(self): return 2",
    ),
    "a base class": (
        "class g:\n  c = 1\nclass f(g): pass", "class g:\n  c = 2\nclass f(g): pass",
    ),
    "a callable object's code": (
        "class g:\n  def __call__(self): return 1\nf = g()",
        "class g:\n  def __call__(self): return 2\nf = g()",
    ),
    "a callable object's state": (
        "class g:\n  def __init__(self, c): self.c = c\nf = g(1)",
        "class g:\n  def __init__(self, c): self.c = c\nf = g(2)",
    ),
    "a bound method's object": ("f = [1].append", "f = [2].append"),
    "a set": ("f = {1, 2}", "f = {1, 3}"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), CHANGED.values(), ids=CHANGED)
def test_a_changed_thing_has_another_key(before, after):
    assert key(cell(before)) == key(cell(before)) != key(cell(after))


def test_a_module_of_ones_own_is_told_by_what_is_used_of_it():
    one, other = module("def g(): return 1\nu = 1"), module("def g(): return 2\nu = 1")
    unused = module("def g(): return 1\nu = 2")
    code = "def f(): return mine.g()"
    assert key(cell(code, mine=one)) == key(cell(code, mine=unused)) != key(cell(code, mine=other))


def test_a_module_that_is_not_loaded_yet_cannot_be_told(tmp_path, monkeypatch):
    (tmp_path / "mine_not_loaded.py").write_text("c = 1")
    monkeypatch.syspath_prepend(tmp_path)
    code = "def f():\n  import mine_not_loaded\n  return mine_not_loaded.c"
    assert identify(cell(code)) == ("", "the module mine_not_loaded, which is not loaded yet")
    assert key(cell("def f():\n  import this"))


def test_comments_and_places_change_nothing():
    assert key(cell("def f(): return 1")) == key(cell("\n\n# why\ndef f():\n    return 1  # this"))


def head(c):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, c), nn.BatchNorm1d(c))


class Twice(Transform):
    def __init__(self, by=2):
        super().__init__()
        self.by = by

    def encodes(self, x: TensorImage):
        return x * self.by


MADE = {
    "a module": (head, 2, 3),
    "fastai's metrics": (lambda beta: [error_rate, F1Score(average=beta)], "macro", "micro"),
    "a metric of one's own": (lambda c: lambda p, t: (p > c).float().mean(), 0.1, 0.2),
    "a loss": (lambda gamma: FocalLossFlat(gamma=gamma), 1, 2),
    "a callback": (lambda patience: EarlyStoppingCallback(patience=patience), 1, 2),
    "fastai's transforms": (lambda size: [Resize(size), *aug_transforms(size=size)], 8, 9),
    "a transform of one's own": (Twice, 2, 3),
    "a tensor": (lambda x: torch.full((2,), x, dtype=torch.bfloat16), 1.0, 2.0),
    "an array of objects": (lambda x: np.array([x, None], dtype=object), "a", "b"),
    "a type": (lambda x: x | None, int, str),
}  # fmt: skip


@pytest.mark.parametrize(("make", "one", "other"), MADE.values(), ids=MADE)
def test_an_object_is_told_by_its_state(make, one, other):
    assert key(make(one)) == key(make(one)) != key(make(other))


def test_weights_count():
    one, other = head(3), head(3)
    with torch.no_grad():
        other[0].weight[0, 0] += 1e-3
    assert key(one) != key(other)


@pytest.mark.parametrize("what", [threading.Lock(), (i for i in "ab"), [{"a": threading.Lock()}]])
def test_what_cannot_be_told_is_said(what):
    found, untold = identify(what)
    assert found == ""
    assert untold in ("a _thread.lock", "a generator")


def test_an_object_that_fails_cannot_be_told():
    class Bad:
        def __getstate__(self):
            return self

    assert identify(functools.reduce(lambda a, _: [a], range(9999), []))[1]
    assert identify(Bad())[0] == identify(Bad())[0]


words = st.text(max_size=3)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=2),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(plain, plain)
def test_plain_values_have_one_key_each(one, other):
    assert (key([one]) == key([other])) == (repr(one) == repr(other))


@pytest.mark.slow
def test_keys_are_those_of_another_process():
    code = (
        "from quickvision.runs.keys import identify; from fastai.vision.all import *;"
        "print(identify({'a', 'b', 'c'}, [Resize(3), *aug_transforms()], nn.GELU, error_rate)[0])"
    )
    told = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed}, check=True,
        ).stdout
        for seed in "12"
    ]  # fmt: skip
    assert told[0] == told[1] != "\n"


class TestFiles:
    @pytest.fixture(params=[keys.CONTENTS, 0], ids=["by contents", "by times"])
    def file(self, tmp_path, monkeypatch, request):
        monkeypatch.setattr(keys, "CONTENTS", request.param)
        (tmp_path / "a.bin").write_bytes(b"1")
        return tmp_path / "a.bin"

    def test_a_file_replaced_under_its_name_is_another(self, file):
        for name in (file, str(file), [file], {"weights": str(file)}):
            before = [key(name), stamp([file])]
            assert [key(name), stamp([file])] == before
            when = file.stat().st_mtime_ns
            (file.parent / "new").write_bytes(bytes([file.read_bytes()[0] + 1]))  # as long
            os.utime(file.parent / "new", ns=(when, when))  # and as old
            os.replace(file.parent / "new", file)
            assert key(name) != before[0]
            assert stamp([file]) != before[1]

    def test_one_that_comes_or_goes_is_another(self, file):
        before = stamp([file])
        file.unlink()
        assert stamp([file]) != before

    def test_the_home_folder_is_known(self, file, monkeypatch):
        monkeypatch.setenv("HOME", str(file.parent))
        before = key("~/a.bin")
        file.write_bytes(b"22")
        assert key("~/a.bin") != before


def test_a_file_that_was_merely_touched_is_the_same(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    before = stamp([tmp_path / "a"])
    os.utime(tmp_path / "a", (0, 0))
    assert stamp([tmp_path / "a"]) == before


class TestLoaders:
    def test_they_are_the_same_after_training(self, class_folders, tiny_net, tmp_path):
        dls = qv.from_folder(class_folders, size=32, bs=6)
        before = key(dls)
        learn = qv.cnn_learner(dls, tiny_net, weights=None, path=tmp_path)
        qv.fit_unfrozen(learn, 1, verbose=False)
        assert key(dls) == before == key(qv.from_folder(class_folders, size=32, bs=6))

    def test_other_pictures_labels_transforms_sizes_are_another(self, class_folders, picture):
        def made(**options):
            return key(qv.from_folder(class_folders, **({"size": 32, "bs": 6} | options)))

        told = [made(), made(bs=7), made(size=33), made(seed=1), made(batch_tfms=[])]
        told += [made(item_tfms=[Resize(40, method="squish")]), made(batch_tfms=[Twice(3)])]
        told += [made(balance="oversample"), made(num_workers=1), made(batch_tfms=[Twice(4)])]
        picture(class_folders / "red" / "red_00.png", "red", seed=99)
        told.append(made())
        os.rename(class_folders / "red" / "red_00.png", class_folders / "blue" / "x.png")
        told.append(made())
        assert len({*told}) == len(told)
