from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import quickvision as qv
from quickvision.ship.bundle import read_bundle
from quickvision.ship.onnx_engine import OnnxEngine


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_batches_of_any_size(shipped, learner, n):
    engine = OnnxEngine(shipped, read_bundle(shipped))
    opened = [engine.open(file) for file in learner.dls.valid_ds.items[:n]]
    probs = engine.probs(opened)
    assert (probs.shape, probs.dtype) == ((n, 3), np.float32)
    alone = np.concatenate([engine.probs([one]) for one in opened])
    np.testing.assert_allclose(probs, alone, atol=1e-5)


def test_several_threads_may_ask_at_once(shipped, learner):
    engine = OnnxEngine(shipped, read_bundle(shipped), threads=1)
    opened = [engine.open(file) for file in learner.dls.valid_ds.items[:6]]
    alone = [engine.probs([one]) for one in opened]
    with ThreadPoolExecutor(4) as pool:
        for i, said in enumerate(pool.map(engine.probs, [[one] for one in opened * 20])):
            np.testing.assert_allclose(said, alone[i % 6], atol=1e-6)


def test_without_onnxruntime_it_says_what_to_install(shipped, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(qv.BundleError, match="pip install onnxruntime"):
        OnnxEngine(shipped, read_bundle(shipped))
