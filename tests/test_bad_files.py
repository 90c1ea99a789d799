"""Damaged files at every door that reads one: an error that helps, or the picture left out."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from made import refused, tree
from PIL import Image

import quickvision as qv
from quickvision.base.errors import RunError
from quickvision.runs.checkpoints import load_checkpoint
from quickvision.runs.job import Job

pytestmark = pytest.mark.slow

FEW = settings(
    max_examples=100, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
VALUES = [
    None, True, -1, 0, 1.5, 10**30, float("inf"), "", "wrod", "/gone/away", [], [None], ["a"], {},
    {"a": 1}, {"slice": []}, {"slice": [1, 2, 3, 4]}, {"pattern": "(", "flags": 0}, {"items": 3},
    {"pattern": 1, "flags": "x"}, [[[]]], "\ud800",
]  # fmt: skip


@pytest.fixture
def stopped(class_folders, tmp_path, monkeypatch):
    """The folder of a run that has not begun to train."""
    with monkeypatch.context() as patch:
        patch.setattr(Job, "train", lambda self: self.checkpointer.save())
        qv.train(
            class_folders, arch="timm/test_resnet", weights=None, size=32, bs=6, lr=1e-3,
            frozen_epochs=0, unfrozen_epochs=1, out=tmp_path / "runs", verbose=False,
        )  # fmt: skip
    return tmp_path / "runs" / "colours-001"


def places(found, path=()):
    """Each place in a nest of dicts and lists."""
    for key, value in found.items() if isinstance(found, dict) else enumerate(found):
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def test_settings_with_another_value_anywhere(stopped, monkeypatch):
    monkeypatch.setattr(Job, "train", lambda self: None)
    file = stopped / "config.json"
    whole = file.read_bytes()
    found, refusals = json.loads(whole), 0
    before = tree(stopped)
    for *way, last in places(found):
        for value in VALUES:
            if way[:1] == ["split"] or last == "quickvision":
                continue
            changed = json.loads(whole)
            inner = changed
            for key in way:
                inner = inner[key]
            inner[last] = value
            file.write_text(json.dumps(changed))
            refusals += refused(lambda: qv.resume(stopped, verbose=False)) is not None
    file.write_bytes(whole)
    kept = tree(stopped)
    assert refusals > 200
    assert {n: h for n, h in kept.items() if n != "lock"} == {
        n: h for n, h in before.items() if n != "lock"
    }


@FEW
@given(st.binary(max_size=200))
@example(b"")
@example(b"[]")
@example(b"null")
@example(b'{"train": {}}')
@example(b"[" * 100_000)
@example('{"train": "ü"}'.encode("utf-16"))
def test_settings_that_are_something_else(stopped, data):
    (stopped / "config.json").write_bytes(data)
    assert isinstance(refused(lambda: qv.resume(stopped, verbose=False)), RunError)


@FEW
@given(st.data())
def test_a_checkpoint_with_changed_bytes(stopped, data):
    file = stopped / "checkpoints" / "last.pt"
    keep = stopped / "kept.pt"
    if not keep.exists():
        shutil.copy(file, keep)
    whole = bytearray(keep.read_bytes())
    way = data.draw(st.sampled_from(["cut", "flip", "insert", "zeros"]))
    at = data.draw(st.integers(0, len(whole) - 1))
    if way == "cut":
        del whole[at:]
    elif way == "flip":
        whole[at] ^= data.draw(st.integers(1, 255))
    elif way == "insert":
        whole[at:at] = data.draw(st.binary(min_size=1, max_size=50))
    else:
        whole[at : at + 100] = bytes(len(whole[at : at + 100]))
    file.write_bytes(whole)
    error = refused(lambda: load_checkpoint(file.parent))
    assert error is None or isinstance(error, RunError)


def encoded(kind):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file := io.BytesIO(), kind)
    return file.getvalue()


PICTURES = {kind: encoded(kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")}
SUFFIX = {"JPEG": "jpg", "TIFF": "tif"}


@FEW
@given(st.data())
def test_pictures_with_changed_bytes_are_read_or_left_out(class_folders, data):
    kind = data.draw(st.sampled_from(sorted(PICTURES)))
    whole = bytearray(PICTURES[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] ^= data.draw(st.integers(1, 255))
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole))) :]
    for older in class_folders.glob("red/odd.*"):
        older.unlink()
    file = class_folders / "red" / f"odd.{SUFFIX.get(kind, kind.lower())}"
    file.write_bytes(whole)
    before = tree(class_folders)
    error = refused(lambda: look(class_folders))
    assert error is None, f"one bad picture of 37 stops nothing: {error!r}"
    assert tree(class_folders) == before


def look(folder):
    assert qv.check(folder, size=32).to_json()
    dls = qv.from_folder(folder, size=32, bs=4, max_bad=0.1)
    for x, _ in (*dls.train, *dls.valid):
        assert x.shape[1:] == (3, 32, 32)
