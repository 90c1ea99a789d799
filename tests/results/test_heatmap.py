from __future__ import annotations

import copy
import io
import random

import numpy as np
import pytest
import torch
from fastai.layers import Flatten
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.vision.augment import Resize
from fastai.vision.data import ImageDataLoaders
from fastai.vision.learner import vision_learner
from PIL import Image
from torch import nn

import quickvision as qv
from quickvision.results.heatmap import heatmap, heatmaps

COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}
SIDE = 64


@pytest.fixture(scope="module")
def dls(colours):
    return qv.from_folder(colours, size=SIDE, bs=6, check=False)


@pytest.fixture
def by_hand(dls):
    """A learner that finds colours: a map of 8 x 8 with a feature for each, one linear layer."""
    point = nn.Conv2d(3, 3, 1)
    black = next(iter(dls.test_dl([Image.new("RGB", (SIDE, SIDE))])))[0].cpu()[0, :, 0, 0]
    with torch.no_grad():
        place = torch.tensor([[0, 0, 1.0], [0, 1, 0], [1, 0, 0]])  # of the channels, by class
        point.weight.copy_((1.5 * place - 0.5)[:, :, None, None])
        point.bias.copy_(-(1.5 * place - 0.5) @ black)
    body = nn.Sequential(point, nn.ReLU(), nn.AvgPool2d(8))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), Flatten(), nn.Linear(3, 3))
    with torch.no_grad():
        head[-1].weight.copy_(1.5 * torch.eye(3) - 0.5)
        head[-1].bias.zero_()
    return Learner(dls, nn.Sequential(body, head), loss_func=CrossEntropyLossFlat())


def planted(colour, quadrant, size=(SIDE, SIDE), second=None):
    """A black picture with a patch in one quarter (0 to 3, row by row), perhaps one opposite."""
    image = Image.new("RGB", size)
    for name, where in ((colour, quadrant), (second, 3 - quadrant)):
        if name is not None:
            row, column = divmod(where, 2)
            left, top = (size[0] // 2 * column + 8, size[1] // 2 * row + 8)
            image.paste(COLOURS[name], (left, top, left + 16, top + 16))
    return image


def lit(found):
    """The quarter of a map with the largest sum."""
    h, w = (side // 2 for side in found.shape)
    return int(np.argmax([found[r : r + h, c : c + w].sum() for r in (0, h) for c in (0, w)]))


@pytest.mark.parametrize("quadrant", range(4))
@pytest.mark.parametrize("colour", COLOURS)
def test_a_patch_of_a_class_lights_its_quarter(by_hand, colour, quadrant):
    found = heatmap(by_hand, planted(colour, quadrant))
    assert (found.shape, found.dtype) == ((8, 8), np.float32)
    assert lit(found) == quadrant
    assert (found >= 0).all()
    assert np.count_nonzero(found) == 4, "the patch's places, and no other"


def test_of_two_patches_each_speaks_for_its_class_and_against_the_other(by_hand):
    for quadrant in range(4):
        picture = planted("red", quadrant, second="green")
        red, green = (heatmap(by_hand, picture, label) for label in ("red", "green"))
        assert (lit(red), lit(green)) == (quadrant, 3 - quadrant)
        assert lit(-red) == 3 - quadrant
        assert np.abs(red - green).max() > 0.1 * np.abs(red).max()


def test_without_a_label_it_is_the_predicted_class(by_hand):
    picture = planted("green", 1)
    np.testing.assert_array_equal(heatmap(by_hand, picture), heatmap(by_hand, picture, "green"))
    assert not np.array_equal(heatmap(by_hand, picture), heatmap(by_hand, picture, "red"))


def logits(learn, files):
    dl = learn.dls.test_dl(files, num_workers=0)
    with learn.no_bar(), learn.no_logging():
        return learn.get_preds(dl=dl, act=lambda out: out)[0].numpy()


@pytest.mark.parametrize("head", ["native", "linear"])
def test_with_a_linear_head_the_map_sums_to_the_output_less_the_bias(dls, head, tmp_path):
    learn = qv.cnn_learner(dls, "timm/test_resnet", weights=None, head=head, path=tmp_path)
    files = list(dls.valid_ds.items[:3])
    maps = heatmaps(learn, files, [[0, 1, 2]] * 3)
    bias = learn.model[1][-1].bias.detach().cpu().numpy()
    np.testing.assert_allclose(
        maps.sum(axis=(2, 3)) + bias, logits(learn, files), rtol=1e-4, atol=1e-4
    )


def test_a_mirrored_picture_has_the_mirrored_map(by_hand):
    picture = planted("red", 0, second="blue")
    found = heatmap(by_hand, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "red")
    np.testing.assert_allclose(found[:, ::-1], heatmap(by_hand, picture, "red"), atol=1e-6)


def test_a_head_of_other_weights_has_another_map(learn, class_folders):
    file = next(class_folders.rglob("*.png"))
    first, alike = heatmap(learn, file, "red"), []
    for _ in range(20):
        learn.model[1][-1].reset_parameters()
        alike.append(np.corrcoef(first.ravel(), heatmap(learn, file, "red").ravel())[0, 1])
    assert np.mean(alike) < 0.5
    assert min(alike) < 0


def test_a_picture_is_the_same_by_all_doors_and_of_any_size(by_hand, tmp_path):
    picture = planted("blue", 2, (160, 200))
    picture.save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    expected = heatmap(by_hand, tmp_path / "a.png", "blue")
    doors = [str(tmp_path / "a.png"), data, bytearray(data), io.BytesIO(data), picture]
    for door in [*doors, np.asarray(picture)]:
        np.testing.assert_array_equal(heatmap(by_hand, door, "blue"), expected)
    sizes = [(65, 300), (31, 33), (640, 81), (8, 8)]
    maps = heatmaps(by_hand, [planted("blue", 2, size) for size in sizes], [[0]] * 4)
    assert maps.shape == (4, 1, 8, 8)


def test_several_are_what_each_is_alone(by_hand):
    pictures = [planted([*COLOURS][i % 3], i % 4, (64 + i, 80)) for i in range(19)]
    classes = np.array([[i % 3, (i + 1) % 3] for i in range(19)])
    maps = heatmaps(by_hand, pictures, classes)
    assert (maps.shape, maps.dtype) == ((19, 2, 8, 8), np.float32)
    for picture, two, found in zip(pictures, classes, maps, strict=True):
        for one, alone in zip(two, found, strict=True):
            label = by_hand.dls.vocab[one]
            np.testing.assert_allclose(heatmap(by_hand, picture, label), alone, atol=1e-6)


def test_of_no_picture_there_is_no_map(by_hand):
    assert heatmaps(by_hand, [], np.empty((0, 2), dtype=int)).shape == (0, 2, 0, 0)
    assert heatmaps(by_hand, [], []).shape == (0, 0, 0, 0)


def test_validations_view_is_what_the_map_is_of(by_hand):
    """The middle of a picture three times as wide as tall is the middle third of it."""
    wide = Image.new("RGB", (3 * SIDE, SIDE))
    wide.paste(planted("red", 1), (SIDE, 0))
    np.testing.assert_allclose(
        heatmap(by_hand, wide, "red"), heatmap(by_hand, planted("red", 1), "red"), atol=1e-6
    )


def test_fastais_own_learner_has_maps(colours):
    dls = ImageDataLoaders.from_folder(
        colours, valid_pct=0.3, seed=0, item_tfms=Resize(SIDE), bs=6, num_workers=0
    )
    learn = vision_learner(dls, "resnet18", pretrained=False)
    files = list(dls.valid_ds.items[:2])
    maps = heatmaps(learn, files, [[0, 2], [1, 0]])
    assert maps.shape == (2, 2, 2, 2)
    assert np.isfinite(maps).all()
    assert np.ptp(maps) > 0


def state(learn):
    """All that a look at pictures might change."""
    model = learn.model
    return (
        {name: value.clone() for name, value in model.state_dict().items()},
        [module.training for module in model.modules()],
        [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        [p.requires_grad for p in model.parameters()],
        [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
        {name: value for name, value in vars(learn).items() if name != "opt"},
        (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()),
        learn.dls.valid.after_item.fs,
    )


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one is other or bool(one == other)


@pytest.mark.parametrize("arch", ["timm/test_resnet", "timm/test_vit"])
def test_the_learner_is_left_as_it_was_on_failure_too(colours, tmp_path, arch):
    size = 160 if "vit" in arch else 32
    dls = qv.from_folder(colours, size=size, bs=6, check=False)
    learn = qv.cnn_learner(dls, arch, weights=None, path=tmp_path)
    qv.fit_unfrozen(learn, 1, verbose=False)
    learn.freeze()
    learn.model.train()
    next(m for m in learn.model[0].modules() if not len(list(m.children()))).eval()  # set apart
    first = next(iter(learn.model.parameters()))
    first.grad = torch.ones_like(first)
    file, before = dls.valid_ds.items[0], state(learn)
    heatmap(learn, file)
    heatmaps(learn, [file] * 3, [[0, 1]] * 3)
    assert same(state(learn), before)
    (tmp_path / "bad.png").write_bytes(file.read_bytes()[:100])
    with pytest.raises(qv.DataError):
        heatmaps(learn, [file, tmp_path / "bad.png"], [[0], [0]])
    learn.model[1].append(nn.Identity())
    learn.model[1][-1].forward = lambda out: 1 / 0  # a head that fails
    before = state(learn)
    with pytest.raises(ZeroDivisionError):
        heatmap(learn, file)
    assert same(state(learn), before)


def test_a_name_that_is_no_class_is_an_error_with_a_near_one(by_hand):
    with pytest.raises(ValueError, match="expected one of 3 classes, got 'gren'; did you mean 'gr"):
        heatmap(by_hand, planted("red", 0), "gren")
    with pytest.raises(ValueError, match="expected one of 3 classes, got 1"):
        heatmap(by_hand, planted("red", 0), 1)


def test_what_cannot_be_opened_is_an_error_that_says_so(by_hand, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    for picture, kind, text in (
        (tmp_path / "gone.jpg", qv.DataError, "got nothing at .*gone.jpg"),
        (tmp_path / "text.jpg", qv.DataError, "that can be read, got .*text.jpg"),
        (b"no picture", qv.DataError, "that can be read, got .*bytes"),
        (None, TypeError, "expected a path, bytes, .* got NoneType"),
        (np.zeros(7), ValueError, r"expected an array \[height, width, 3\]"),
    ):
        with pytest.raises(kind, match=text):
            heatmap(by_hand, picture)
        with pytest.raises(kind, match=text):
            heatmaps(by_hand, [planted("red", 0), picture], [[0], [0]])


@pytest.mark.parametrize(
    ("classes", "kind", "text"),
    [
        ([[0.5]], TypeError, "expected whole numbers, places in the vocab, got float64"),
        ([["red"]], TypeError, "expected whole numbers"),
        ([0], ValueError, r"expected \[1, k\], k classes for each of 1 pictures, got \[1\]"),
        ([[0], [1]], ValueError, r"got \[2, 1\]"),
        ([[]], ValueError, r"got \[1, 0\]"),
        ([[3]], ValueError, "expected places from 0 to 2, got 3"),
        ([[-1]], ValueError, "got -1"),
    ],
)
def test_classes_that_make_no_sense_are_an_error(by_hand, classes, kind, text):
    with pytest.raises(kind, match=text):
        heatmaps(by_hand, [planted("red", 0)], classes)


def test_other_arguments_that_make_no_sense_are_an_error(by_hand, tmp_path):
    with pytest.raises(TypeError, match="learn: expected Learner, got"):
        heatmap("learner", planted("red", 0))
    with pytest.raises(TypeError, match="expected a list of pictures, got str; one goes to"):
        heatmaps(by_hand, "a.jpg", [[0]])
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 3))
    other = Learner(by_hand.dls, flat, loss_func=CrossEntropyLossFlat())
    with pytest.raises(qv.ModelError, match="whose classes are read from a map of places"):
        heatmap(other, planted("red", 0))


@pytest.fixture(scope="module")
def ants(real_data, tmp_path_factory):
    """mobilenet_v2 with ImageNet's weights, and a head that tells ants from bees."""
    dls = qv.from_folder(real_data / "data" / "hymenoptera", size=224, bs=32, check=False)
    weights = real_data / "weights" / "mobilenet_v2_imagenet.pth"
    learn = qv.cnn_learner(
        dls, "mobilenet_v2", weights=weights, path=tmp_path_factory.mktemp("out")
    )
    qv.fit_frozen(learn, 2, verbose=False)
    return learn


@pytest.mark.real
@pytest.mark.slow
def test_maps_of_real_photos_say_what_the_model_saw(ants):
    files = list(ants.dls.valid_ds.items[::4])[:36]
    mirrored = [Image.open(file).transpose(Image.Transpose.FLIP_LEFT_RIGHT) for file in files]
    both = [[0, 1]] * len(files)
    maps, turned = heatmaps(ants, files, both), heatmaps(ants, mirrored, both)
    assert maps.shape == (36, 2, 7, 7)
    bias = ants.model[1][-1].bias.detach().numpy()
    np.testing.assert_allclose(
        maps.sum(axis=(2, 3)) + bias, logits(ants, files), rtol=1e-3, atol=1e-3
    )

    def alike(some, other):
        n = len(some) * some.shape[1] if some.ndim == 4 else len(some)
        pairs = zip(some.reshape(n, -1), other.reshape(n, -1), strict=True)
        return np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs])

    # each stride of 2 takes the left one of two pixels: cells look at their left edge, mirrored
    # ones at their right, so that these are the neighbour's
    assert alike(maps[..., 1:], turned[..., ::-1][..., :-1]) > 0.7
    assert alike(maps[:, 0], maps[:, 1]) < 0.5
    before = copy.deepcopy(ants.model[1].state_dict())
    ants.model[1][-1].reset_parameters()
    try:
        assert alike(maps, heatmaps(ants, files, both)) < 0.5
    finally:
        ants.model[1].load_state_dict(before)
