from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional as F

from quickvision.training.logistic import lowest, put, solve_code, turn


def points(n, f, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = (rng.normal(0, 1, (n, f)) + rng.normal(0, 1, (classes, f))[y]) * np.geomspace(9, 0.01, f)
    return torch.from_numpy(x + 5).float(), torch.from_numpy(y)


@pytest.mark.parametrize(("n", "f", "r"), [(50, 8, 8), (20, 40, 19)])
def test_turned_features_are_as_far_apart_as_before(n, f, r):
    x, _ = points(n, f)
    mean, axes, z = turn(x)
    assert z.shape == (n, r)
    torch.testing.assert_close(torch.cdist(z, z), torch.cdist(x, x), rtol=1e-3, atol=1e-2)
    torch.testing.assert_close((x.double() - mean) @ axes, z.double(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("c", [1e-3, 1.0, 100.0])
@pytest.mark.parametrize(("n", "f"), [(60, 8), (30, 50)])
def test_the_head_is_scikit_learns(n, f, c):
    x, y = points(n, f)
    mean, axes, z = turn(x)
    layer = nn.Linear(f, 3)
    put(layer, lowest(z, y, 3, F.cross_entropy, 1 / (c * n), steps=1000, close=1e-7), mean, axes)
    theirs = LogisticRegression(C=c, tol=1e-10, max_iter=20_000).fit(x.double().numpy(), y.numpy())
    with torch.no_grad():
        ours = layer(x).softmax(1).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(x.double().numpy()), atol=5e-3)


def test_it_goes_on_from_a_start():
    x, y = points(60, 8)
    _, _, z = turn(x)
    far = lowest(z, y, 3, F.cross_entropy, 1e-2)
    near = lowest(z, y, 3, F.cross_entropy, 1e-2, start=far, steps=1)
    torch.testing.assert_close(near[0], far[0], rtol=1e-2, atol=1e-3)


def test_the_code_of_a_script_is_this_code_and_runs_alone():
    x, y = points(40, 6)
    names = {"torch": torch, "np": np, "nn": nn}
    exec("from __future__ import annotations\nfrom scipy.optimize import minimize", names)
    exec(compile("from __future__ import annotations\n" + solve_code(), "s", "exec"), names)
    ends = [
        find(space(x)[2], y, 3, F.cross_entropy, 0.1)
        for find, space in ((names["lowest"], names["turn"]), (lowest, turn))
    ]
    assert torch.equal(ends[0][0], ends[1][0])
    assert "quickvision" not in solve_code()
