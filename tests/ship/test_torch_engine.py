from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

import quickvision as qv
from quickvision.ship.bundle import read_bundle
from quickvision.ship.network import last_linear
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


def test_its_maps_sum_to_the_outputs_less_the_bias(shipped, learner):
    bundle = read_bundle(shipped)
    engine, model = TorchEngine(shipped, bundle), load_network(shipped, bundle)
    assert engine.has_maps
    opened = [engine.open(file) for file in learner.dls.valid_ds.items[:3]]
    maps = engine.maps(opened, np.tile(np.arange(3), (3, 1)))
    outputs = maps.sum(axis=(2, 3)) + last_linear(model).bias.detach().numpy()
    probs = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probs, engine.probs(opened), atol=1e-4)


def test_several_threads_may_ask_for_maps_of_a_transformer(colours, tmp_path):
    """Their way to a map is a hook, which other threads must not meet."""
    dls = qv.from_folder(colours, size=160, bs=6, check=False)
    learn = qv.cnn_learner(dls, "timm/test_vit", weights=None)
    folder = qv.export(learn, tmp_path / "model", calibrate=False, verbose=False)
    engine = TorchEngine(folder, read_bundle(folder))
    opened = [engine.open(file) for file in dls.valid_ds.items[:4]]
    alone = [engine.maps([one], None) for one in opened]
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda one: engine.maps([one], None), opened * 3))
    for found, expected in zip(again, alone * 3, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_loading_draws_no_random_numbers(shipped):
    before = torch.get_rng_state()
    model = load_network(shipped, read_bundle(shipped))
    assert torch.equal(torch.get_rng_state(), before)
    assert not model.training
    assert all(p.dtype == torch.float32 for p in model.parameters())
