from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import made_up
from PIL import Image

import quickvision as qv
from quickvision.base.tables import width_of
from quickvision.results.heatmap import heatmaps
from quickvision.results.tiles import draw_tiles, grid, tiles, worst

pytestmark = pytest.mark.drawn


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def sure(losses, right, vocab=("cat", "dog")):
    """Answers with these losses; where one is not right the other class is predicted."""
    n = len(losses)
    predicted = np.where(right, 0, 1)
    probs = np.where(predicted[:, None] == np.arange(2), 0.9, 0.1).astype(np.float32)
    paths = tuple(Path(f"{i}.png") for i in range(n))
    return qv.Predictions(probs, np.zeros(n, int), vocab, np.array(losses, np.float32), paths)


@pytest.fixture
def shapes(tmp_path):
    """Wrong answers on wide, tall and square pictures."""
    preds = sure([5, 4, 3, 2, 1, 0.9], [False] * 5 + [True])
    sizes = [(90, 30), (30, 90), (60, 60), (80, 60), (200, 20), (20, 200)]
    for path, size in zip(preds.paths, sizes, strict=True):
        Image.new("RGB", size, "green").save(tmp_path / path)
    paths = tuple(tmp_path / path for path in preds.paths)
    return qv.Predictions(preds.probs, preds.targs, preds.vocab, preds.losses, paths)


def draw(preds, k=9, learn=None):
    found = tiles(preds, worst(preds, k))
    laid = grid(found)
    _, ax = plt.subplots(figsize=laid.figure, layout="constrained")
    ax.set_axis_off()
    draw_tiles(ax, preds, found, laid, learn)
    ax.figure.canvas.draw()
    return ax


def test_wrong_ones_come_first_and_no_right_one_that_lost_nothing():
    preds = sure([0.1, 0.9, 0.004, 0.6, 0.0], [False, True, True, False, True])
    assert worst(preds, 9).index.tolist() == [3, 0, 1]
    assert worst(preds, 2).index.tolist() == [3, 0]


def test_where_all_are_right_it_is_the_largest_losses():
    assert worst(sure([0.0, 0.001, 0.002], [True] * 3), 2).index.tolist() == [2, 1]


def test_a_loss_that_is_no_number_is_worth_a_look():
    assert worst(sure([0.5, np.nan, 0.7], [False, True, False]), 9).index.tolist() == [2, 0, 1]


@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 50))
def test_whatever_was_answered_the_wrong_ones_come_first(n, k, seed):
    preds = made_up(n, 3, seed)
    table = worst(preds, k)
    right = preds.right[table.index]
    assert len(table) <= k
    assert (np.diff(right.astype(int)) >= 0).all()
    assert (~right).sum() == min(k, (~preds.right).sum())


@pytest.mark.parametrize(
    ("n", "columns", "rows"), [(0, 1, 1), (1, 1, 1), (4, 2, 2), (9, 3, 3), (10, 5, 2), (36, 5, 8)]
)
def test_tiles_are_laid_in_rows_and_columns(n, columns, rows):
    laid = grid(tiles(made_up(40), worst(made_up(40), 40).head(n)))
    assert (laid.columns, laid.rows) == (columns, rows)


def test_long_names_get_a_line_each_in_all_tiles():
    vocab = ("a class whose name has exactly fifty letters in it", "a dog")
    preds = sure([3, 2, 1], [False, False, True], vocab)
    found = tiles(preds, worst(preds, 9))
    assert {len(tile.lines) for tile in found} == {4}
    assert found[0].lines[1].startswith("a class whose")
    assert found[0].lines[2] == "\N{RIGHTWARDS ARROW} a dog"
    assert all(width_of(line) <= 42 for tile in found for line in tile.lines)
    assert {
        len(tile.lines) for tile in tiles(sure([3], [False]), worst(sure([3], [False]), 1))
    } == {3}


def test_rows_line_up_whatever_the_pictures_shapes(shapes):
    ax = draw(shapes)
    boxes = [tile.get_window_extent() for tile in ax.child_axes]
    titles = [tile.title.get_window_extent() for tile in ax.child_axes]
    for row in (slice(0, 3), slice(3, 6)):
        for side in ("y0", "y1", "height", "width"):
            assert np.ptp([getattr(box, side) for box in boxes[row]]) < 1
        assert np.ptp([title.y0 for title in titles[row]]) < 1
    assert not any(a.overlaps(b) for i, a in enumerate(titles) for b in [*titles[:i], *boxes])
    figure = ax.figure.get_window_extent()
    assert all(figure.y0 <= box.y0 and box.y1 <= figure.y1 for box in [*boxes, *titles])


def test_no_picture_is_cut(shapes):
    ax = draw(shapes)
    for tile, path in zip(ax.child_axes, shapes.paths, strict=True):
        shown = np.asarray(tile.images[0].get_array())
        green = (shown[..., 1] < 200) & (shown[..., 0] < 60)
        wide, tall = Image.open(path).size
        assert np.ptp(np.flatnonzero(green.any(0))) + 1 == wide
        assert np.ptp(np.flatnonzero(green.any(1))) + 1 == tall
        assert green[0].any()  # right below its text


def test_a_file_that_is_gone_is_named(shapes):
    shapes.paths[0].unlink()
    with pytest.raises(qv.DataError, match="0.png"):
        draw(shapes)


class TestMaps:
    @pytest.fixture
    def preds(self, learner):
        return qv.get_preds(learner)

    def test_the_cells_of_the_predicted_class_lie_upon_what_the_model_looked_at(
        self, learner, preds
    ):
        ax = draw(preds, 4, learner)
        table = worst(preds, 4)
        paths = [preds.paths[i] for i in table.index]
        maps = heatmaps(learner, paths, preds.predicted[table.index][:, None])[:, 0]
        scale = np.quantile(np.abs(maps), 0.98)
        for tile, cells in zip(ax.child_axes, maps, strict=True):
            view, overlay = tile.images
            assert view.get_array().shape[:2] == (32, 32)
            assert view.get_extent() == overlay.get_extent()
            colours = np.asarray(overlay.get_array())
            assert colours.shape == (*cells.shape, 4)
            np.testing.assert_allclose(
                colours[..., 3], 0.7 * (np.abs(cells) / scale).clip(0, 1), atol=1e-6
            )
            orange = colours[..., 0] > colours[..., 2]
            np.testing.assert_array_equal(orange, cells > 0)
            assert overlay.get_interpolation() == "nearest"

    def test_the_view_is_that_of_validation(self, learner, preds):
        ax = draw(preds, 1, learner)
        index = worst(preds, 1).index[0]
        item = learner.dls.valid.after_item(learner.dls.valid_ds[index])
        seen = np.asarray(item[0]).transpose(1, 2, 0).mean(axis=2)
        shown = np.asarray(ax.child_axes[0].images[0].get_array()).mean(axis=2)
        np.testing.assert_allclose(
            shown, seen, atol=1.5
        )  # its colours are faded, its greys are not

    def test_the_learner_stays_as_it_is(self, learner, preds):
        before = {name: value.clone() for name, value in learner.model.state_dict().items()}
        split = learner.dls.valid.after_item.split_idx
        draw(preds, 2, learner)
        after = learner.model.state_dict()
        assert all((after[name] == value).all() for name, value in before.items())
        assert learner.dls.valid.after_item.split_idx == split


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
def test_real_photos_with_heat_maps_are_drawn(real_data, tmp_path):
    dls = qv.from_folder(real_data / "data" / "hymenoptera", size=96, bs=16)
    weights = real_data / "weights" / "mobilenet_v2_imagenet.pth"
    learn = qv.cnn_learner(dls, "mobilenet_v2", weights=weights)
    files = list(dls.valid.items)[::20]
    preds = qv.get_preds(learn, dl=dls.test_dl(files, with_labels=True))
    ax = draw(preds, 6, learn)
    assert all(tile.images[1].get_array().shape == (3, 3, 4) for tile in ax.child_axes)
