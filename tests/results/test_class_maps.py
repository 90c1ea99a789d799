from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import timm
import torch
import torchvision.models as tv
from fastai.layers import Flatten
from fastai.torch_core import no_random
from fastai.vision.learner import create_head
from torch import nn

import quickvision as qv
from quickvision.models.body import make_body
from quickvision.models.head import make_head
from quickvision.models.zoo import find_arch
from quickvision.results.class_maps import find_way


def made(arch, head="native", c=3, size=64, **options):
    """A model as `cnn_learner` puts it together, with random weights."""
    with no_random(0):
        body, features, pooled = make_body(
            find_arch(arch), None, torch.zeros(1, 3, size, size), native=head == "native"
        )
        return nn.Sequential(
            body, make_head(features, c, pooled=pooled, head=head, **options)
        ).eval()


def class_maps(model, x, classes):
    return find_way(model, x[:1]).maps(x, classes)


def noise(n=2, size=64, seed=0):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def all_classes(n, c=3):
    return np.tile(np.arange(c), (n, 1))


def outputs(model, x):
    with torch.no_grad():
        return model(x).numpy()


# What pools by a mean and then says its classes by one linear layer.
LINEAR = [
    ("timm/test_resnet", "native"),
    ("timm/test_resnet", "linear"),
    ("timm/test_efficientnet", "native"),
    ("timm/test_byobnet", "native"),
    ("resnet18", "native"),
    ("resnet18", "linear"),
    ("mobilenet_v2", "native"),
    ("densenet121", "native"),
    ("googlenet", "native"),
    ("efficientnet_b0", "native"),
    ("regnet_y_400mf", "native"),
    ("shufflenet_v2_x0_5", "native"),
    ("mnasnet0_5", "native"),
    ("squeezenet1_1", "linear"),
]


@pytest.mark.parametrize(("arch", "head"), LINEAR)
def test_a_linear_heads_maps_sum_to_its_outputs_less_the_bias(arch, head):
    model, x = made(arch, head), noise()
    maps = class_maps(model, x, all_classes(2))
    assert maps.dtype == np.float32
    assert maps.shape[:2] == (2, 3)
    assert maps.shape[2] == maps.shape[3] > 1
    bias = model[1][-1].bias.detach().numpy()
    scale = np.abs(maps).sum(axis=(2, 3)).max()
    np.testing.assert_allclose(
        maps.sum(axis=(2, 3)) + bias, outputs(model, x), atol=1e-4 * max(1, scale)
    )


def test_it_is_what_class_activation_mapping_says():
    """CAM: each class's weights times the features, place by place (arXiv 1512.04150)."""
    model, x = made("resnet18", "linear"), noise()
    with torch.no_grad():
        features, weight = model[0](x), model[1][-1].weight
        expected = torch.einsum("cf,nfhw->nchw", weight, features) / features[0, 0].numel()
    np.testing.assert_allclose(
        class_maps(model, x, all_classes(2)), expected.numpy(), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("arch", "head", "size", "grid"),
    [
        ("resnet18", "native", 224, 7),
        ("vgg11", "native", 64, 2),
        ("alexnet", "native", 96, 2),
        ("convnext_tiny", "native", 64, 2),
        ("mobilenet_v3_small", "native", 64, 2),
        ("timm/test_convnext", "native", 64, 2),
        ("timm/test_nfnet", "native", 64, 2),
        ("timm/mobilenetv3_small_050", "native", 64, 2),
        ("inception_v3", "native", 107, 2),
        ("maxvit_t", "native", 224, 7),
        ("vit_b_16", "native", 224, 14),
        ("vit_b_16", "linear", 224, 14),
        ("timm/test_vit", "native", 160, 10),
        ("timm/test_vit", "fastai", 160, 10),
        ("timm/test_vit3", "native", 160, 10),
        ("swin_t", "native", 224, 7),
        ("timm/swin_tiny_patch4_window7_224", "native", 224, 7),
        ("timm/swin_tiny_patch4_window7_224", "linear", 224, 7),
        ("timm/mixer_s32_224", "native", 224, 7),
        ("resnet18", "fastai", 64, 2),
    ],
)
@pytest.mark.slow
def test_all_kinds_of_models_have_maps(arch, head, size, grid):
    model, x = made(arch, head, size=size), noise(2, size)
    maps = class_maps(model, x, all_classes(2))
    assert maps.shape == (2, 3, grid, grid)
    assert np.isfinite(maps).all()
    for one in maps.reshape(6, -1):
        assert np.ptp(one) > 1e-3 * np.abs(one).max() > 0, "not the same everywhere"
    assert np.abs(maps[:, 0] - maps[:, 1]).max() > 1e-3 * np.abs(maps).max(), "nor for all classes"
    alone = class_maps(model, x[1:], all_classes(1))
    np.testing.assert_allclose(alone[0], maps[1], rtol=1e-2, atol=1e-4 * np.abs(maps).max())


def test_whole_networks_and_plain_stacks_have_maps():
    x = noise()
    with no_random(0):
        whole = [
            timm.create_model("test_resnet", num_classes=3),
            tv.resnet18(num_classes=3),
            nn.Sequential(
                *(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, 2, 1)),
                *(nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), Flatten(), nn.Linear(8, 3)),
            ),
        ]
        wrapped = nn.Module()
        wrapped.net = tv.resnet18(num_classes=3)
        wrapped.forward = lambda x: wrapped.net(x)
    for model in [*whole, wrapped]:
        maps = class_maps(model.eval(), x, all_classes(2))
        bias = [m for m in model.modules() if isinstance(m, nn.Linear)][-1].bias.detach().numpy()
        np.testing.assert_allclose(
            maps.sum(axis=(2, 3)) + bias, outputs(model, x), rtol=1e-4, atol=1e-4
        )


def test_without_classes_it_is_the_one_with_the_largest_output():
    model, x = made("timm/test_resnet"), noise(5)
    best = outputs(model, x).argmax(1)
    np.testing.assert_allclose(
        class_maps(model, x, None), class_maps(model, x, best[:, None]), rtol=1e-5
    )


def test_a_class_may_be_asked_for_twice_and_rows_have_their_own():
    model, x = made("timm/test_resnet"), noise(2)
    every = class_maps(model, x, all_classes(2))
    maps = class_maps(model, x, np.array([[2, 2], [0, 1]]))
    for i, row in enumerate([[2, 2], [0, 1]]):
        for j, one in enumerate(row):
            np.testing.assert_allclose(maps[i, j], every[i, one], rtol=1e-4, atol=1e-5)


def test_a_heads_dropout_and_norms_are_as_in_evaluation():
    with no_random(0):
        body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        model = nn.Sequential(body, create_head(8, 3, ps=0.9)).eval()
    x = noise(3)
    maps = [class_maps(model, x, all_classes(3)) for _ in range(2)]
    np.testing.assert_array_equal(*maps)


def test_it_goes_where_no_gradients_are_kept_and_leaves_none():
    model, x = made("timm/test_vit", size=160), noise(1, 160)
    plain = class_maps(model, x, None)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            np.testing.assert_allclose(
                class_maps(model, x * 1.0, None), plain, rtol=1e-4, atol=1e-6
            )
            assert not torch.is_grad_enabled()
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(class_maps(model, x, None), plain)
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())


class Tokens(nn.Module):
    """A network of timm's kind that has tokens and no blocks."""

    def __init__(self, n=16):
        super().__init__()
        self.layer, self.n = nn.Linear(n, 3), n

    def forward_features(self, x):
        return x.flatten(1)[:, : 17 * self.n].unflatten(1, (17, self.n))

    def forward_head(self, x):
        return self.layer(x[:, 0])

    def forward(self, x):
        return self.forward_head(self.forward_features(x))


class Apart(nn.Module):
    """A network whose parts are no map."""

    def __init__(self):
        super().__init__()
        self.flat, self.layer = nn.Flatten(), nn.Linear(3 * 64 * 64, 3)

    def forward(self, x):
        return self.layer(self.flat(x))


class Further(Tokens):
    """One that says other things than its features do."""

    def forward_features(self, x):
        return nn.functional.avg_pool2d(x, 8)

    num_features = 3

    def forward_head(self, x):
        return x.mean((2, 3))

    def forward(self, x):
        return 1 + super().forward(x)


@pytest.mark.parametrize(
    ("model", "got"),
    [
        (Tokens(), "Tokens with no block with a norm before its attention"),
        (Apart(), "Apart with no layer whose output is a map"),
        (nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 3)), "no layer whose output is a map"),
        (Further(), "a head that does not simply follow its body"),
    ],
    ids=["token", "flat", "linear", "further"],
)
def test_a_model_without_places_is_an_error_that_says_what_can_be_done(model, got):
    with pytest.raises(qv.ModelError, match=f"{got}; a heat map is made of nn.Sequential"):
        class_maps(model.eval(), noise(), None)
    assert not any(m._forward_hooks for m in model.modules())


SIDE, PATCH = 64, 24


def planted(n, rng, both=False):
    """Black pictures with a patch in one quadrant: stripes of class 0 lie, those of class 1 stand.

    Returns:
        Pictures; the class; the quadrant (0 to 3, row by row). With `both` the other class's patch
        is in the opposite quadrant.
    """
    x = np.zeros((n, 3, SIDE, SIDE), dtype=np.float32)
    label, quadrant = rng.integers(0, 2, n), rng.integers(0, 4, n)
    stripes = np.zeros((2, PATCH, PATCH), dtype=np.float32)
    stripes[0, np.arange(PATCH) % 6 < 3] = 1
    stripes[1] = stripes[0].T
    for i in range(n):
        put = [(label[i], quadrant[i])] + both * [(1 - label[i], 3 - quadrant[i])]
        for c, where in put:
            top, left = (SIDE // 2 * part + rng.integers(0, 9) for part in divmod(where, 2))
            noisy = stripes[c] * rng.uniform(0.6, 1) + rng.uniform(0, 0.2, (3, PATCH, PATCH))
            x[i, :, top : top + PATCH, left : left + PATCH] = noisy
    return torch.from_numpy((x - 0.2) / 0.3), label, quadrant


def trained(model, steps):
    rng, lr = np.random.default_rng(0), 2e-3
    opt = torch.optim.AdamW(model.parameters(), lr)
    rate = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=steps)
    for _ in range(steps):
        x, label, _ = planted(32, rng)
        loss = nn.functional.cross_entropy(model.train()(x), torch.from_numpy(label))
        opt.zero_grad()
        loss.backward()
        opt.step()
        rate.step()
    return model.eval()


def small_swin(**options):
    sizes = {"img_size": SIDE, "patch_size": 8, "window_size": 4, "embed_dim": 32}
    return timm.models.SwinTransformer(
        depths=(2,), num_heads=(2,), num_classes=2, **sizes, **options
    )


def small_vit(**options):
    sizes = {"img_size": SIDE, "patch_size": 8, "embed_dim": 32, "depth": 1, "num_heads": 2}
    return timm.models.VisionTransformer(num_classes=2, **sizes, **options)


def found(maps):
    """The quarter of each map with the largest sum, [n, k]."""
    h, w = (side // 2 for side in maps.shape[2:])
    parts = [maps[..., r : r + h, c : c + w].sum((2, 3)) for r in (0, h) for c in (0, w)]
    return np.argmax(parts, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [
        small_vit,
        partial(small_vit, global_pool="avg", class_token=False),
        partial(small_vit, reg_tokens=2),
        small_swin,
    ],
    ids=["vit", "vit_mean", "vit_registers", "swin"],
)
def test_a_planted_patch_is_found_again_by_transformers(build):
    """Trained on one patch at a time, asked about two: each speaks for its own class.

    Softmax does not see what all outputs have in common, and training leaves it to chance.
    """
    with no_random(0):
        model = trained(build(), 250)
    x, label, quadrant = planted(60, np.random.default_rng(1), both=True)
    maps = class_maps(model, x, np.stack([label, 1 - label], 1))
    assert maps.shape[2:] == (8, 8)
    rather = maps - maps[:, ::-1]
    right = found(rather) == np.stack([quadrant, 3 - quadrant], 1)
    assert right.mean() > 0.9, "0.25 by chance"
