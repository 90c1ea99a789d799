from __future__ import annotations

import numpy as np
import torch

from quickvision.ship.bundle import read_bundle
from quickvision.ship.torch_engine import TorchEngine, load_network


def test_it_answers_as_the_network_does(shipped, learner):
    bundle = read_bundle(shipped)
    engine, model = TorchEngine(shipped, bundle), load_network(shipped, bundle)
    opened = [engine.open(file) for file in learner.dls.valid_ds.items[:5]]
    x = torch.from_numpy(np.stack(opened)).permute(0, 3, 1, 2) / 255
    x = (x - torch.tensor(bundle.mean).view(3, 1, 1)) / torch.tensor(bundle.std).view(3, 1, 1)
    with torch.no_grad():
        expected = model(x.float()).softmax(1)
    np.testing.assert_allclose(engine.probs(opened), expected, atol=1e-5)


def test_loading_draws_no_random_numbers(shipped):
    before = torch.get_rng_state()
    model = load_network(shipped, read_bundle(shipped))
    assert torch.equal(torch.get_rng_state(), before)
    assert not model.training
    assert all(p.dtype == torch.float32 for p in model.parameters())
