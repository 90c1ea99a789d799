from __future__ import annotations

import random
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from fastai.torch_core import set_seed
from hypothesis import given, settings
from hypothesis import strategies as st
from made import made_up
from sklearn import metrics

import quickvision as qv
from quickvision.base.figures import Accuracy
from quickvision.base.tables import Table
from quickvision.results.predictions import worth_seeing, wrong

cases = st.builds(made_up, st.integers(1, 80), st.integers(2, 8), st.integers(0, 999))


@settings(max_examples=50, deadline=None)
@given(cases)
def test_counts_and_scores_match_scikit_learn(preds):
    labels = range(len(preds.vocab))
    cm = qv.confusion_matrix(preds)
    assert cm.dtype == np.int64
    np.testing.assert_array_equal(
        cm, metrics.confusion_matrix(preds.targs, preds.predicted, labels=labels)
    )
    expected = metrics.precision_recall_fscore_support(
        preds.targs, preds.predicted, labels=labels, zero_division=0
    )
    report = qv.class_report(preds)
    scores = report[["precision", "recall", "f1", "support"]]
    np.testing.assert_allclose(scores.to_numpy().T, expected)
    for row in report.itertuples():
        ends = (
            Accuracy(round(row.recall * row.support), row.support).interval if row.support else None
        )
        shown = (row.recall_low, row.recall_high)
        assert np.isnan(shown).all() if ends is None else shown == pytest.approx(ends)
    assert preds.accuracy.value == metrics.accuracy_score(preds.targs, preds.predicted)
    assert preds.right.mean() == preds.accuracy.value


@settings(max_examples=50, deadline=None)
@given(cases)
def test_most_confused_lists_every_mistake_once_worst_first(preds):
    pairs = qv.most_confused(preds)
    assert pairs["count"].sum() == (preds.predicted != preds.targs).sum()
    assert pairs["count"].is_monotonic_decreasing
    assert not (pairs["actual"] == pairs["predicted"]).any()
    assert (qv.most_confused(preds, min_val=2)["count"] >= 2).all()


def test_shows_itself_in_a_line():
    assert re.fullmatch(
        r"<Predictions: 60 pictures, 4 classes, accuracy .* n=60\)>", repr(made_up())
    )


def test_nothing_confused_is_an_empty_table():
    preds = qv.Predictions(
        np.eye(2, dtype=np.float32), np.arange(2), ("a", "b"), np.zeros(2), (Path("1"), Path("2"))
    )
    assert list(qv.most_confused(preds)) == ["actual", "predicted", "count"]
    assert qv.most_confused(preds).empty


def test_top_losses_name_files_worst_first():
    preds = made_up()
    worst = qv.top_losses(preds, 5)
    assert worst["loss"].tolist() == sorted(preds.losses, reverse=True)[:5]
    first = int(preds.losses.argmax())
    assert worst.iloc[0]["path"] == f"{first:03d}.jpg"
    assert worst.index[0] == first
    assert worst.iloc[0]["actual"] == preds.vocab[preds.targs[first]]
    assert len(qv.top_losses(preds, 1000)) == len(qv.top_losses(preds, None)) == 60


def test_the_wrong_ones_are_listed_worst_first():
    preds = made_up()
    table = wrong(preds)
    assert len(table) == (~preds.right).sum()
    assert (table["actual"] != table["predicted"]).all()
    assert table["loss"].is_monotonic_decreasing
    assert list(table) == list(qv.top_losses(preds))
    assert not preds.right[table.index].any()
    perfect = qv.Predictions(
        np.eye(2, dtype=np.float32), np.arange(2), ("a", "b"), np.zeros(2), (Path("1"), Path("2"))
    )
    assert wrong(perfect).empty
    assert list(wrong(perfect)) == list(table)


def test_tables_are_readable_where_they_are_printed():
    preds = made_up()
    for table in (
        qv.top_losses(preds),
        wrong(preds),
        qv.most_confused(preds),
        qv.class_report(preds),
    ):
        assert type(table) is Table
        assert max(map(len, repr(table).splitlines())) <= 80


def test_losses_that_are_no_numbers_are_the_worst():
    preds = made_up()
    preds.losses[[3, 7]] = np.nan
    preds.losses[5] = np.inf
    assert qv.top_losses(preds, 4).index[:3].tolist() == [3, 7, 5]
    assert qv.top_losses(preds, None).index[0] == 3


def test_a_thousand_classes_need_no_cube():
    rng = np.random.default_rng(0)
    n, c = 5_000, 1_000
    probs = rng.random((n, c), dtype=np.float32)
    paths = (Path("x.jpg"),) * n
    names = tuple(map(str, range(c)))
    preds = qv.Predictions(probs, rng.integers(0, c, n), names, np.zeros(n, np.float32), paths)
    assert qv.confusion_matrix(preds).sum() == n


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"targs": np.array([0, 7])}, r"expected targs in \[0, 2\), got 0 to 7"),
        ({"losses": np.zeros(3)}, "for 2 targs and 2 classes"),
        ({"paths": ()}, "expected probs"),
        ({"vocab": ("a", "b", "c")}, "and 3 classes"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(change, match):
    parts = {
        "probs": np.eye(2, dtype=np.float32),
        "targs": np.arange(2),
        "vocab": ("a", "b"),
        "losses": np.zeros(2),
        "paths": (Path("1"), Path("2")),
    }
    with pytest.raises(ValueError, match=match):
        qv.Predictions(**(parts | change))


class TestOnePass:
    @pytest.fixture
    def learn(self, class_folders, tiny_net):
        dls = qv.from_folder(class_folders, size=32, bs=4)
        learn = qv.cnn_learner(dls, tiny_net, weights=None)
        qv.fit_unfrozen(learn, 1, verbose=False)
        return learn

    def test_arrays_have_the_documented_types(self, learn, capsys):
        preds = qv.get_preds(learn)
        assert (preds.probs.dtype, preds.targs.dtype, preds.losses.dtype) == (
            np.float32, np.int64, np.float32,
        )  # fmt: skip
        assert preds.probs.shape == (7, 3)
        assert preds.vocab == ("blue", "green", "red")
        assert list(preds.paths) == list(learn.dls.valid.items)
        np.testing.assert_allclose(preds.probs.sum(axis=1), 1, rtol=1e-5)
        assert capsys.readouterr() == ("", "")

    def test_a_loss_of_nothing_has_no_sign(self, learn, tmp_path, monkeypatch):
        seen = learn.get_preds

        def sure(*args, **kwargs):
            probs, targs, losses = seen(*args, **kwargs)
            return probs, targs, -torch.zeros_like(losses)

        monkeypatch.setattr(learn, "get_preds", sure)
        preds = qv.get_preds(learn)
        assert not np.signbit(preds.losses).any()
        preds.to_frame().to_csv(tmp_path / "predictions.csv")
        assert "-0.0" not in (tmp_path / "predictions.csv").read_text()

    def test_fastais_interpretation_gives_the_same_numbers(self, learn):
        preds = qv.get_preds(learn)
        with learn.no_bar(), learn.no_logging():
            interp = qv.ClassificationInterpretation.from_learner(learn)
            np.testing.assert_array_equal(interp.confusion_matrix(), qv.confusion_matrix(preds))
            pairs = interp.most_confused(min_val=1)
        losses, order = interp.top_losses(3)
        ours = qv.top_losses(preds, 3)
        np.testing.assert_allclose(ours["loss"], losses, rtol=1e-5)
        assert ours.index.tolist() == order.tolist()
        mine = [tuple(row) for row in qv.most_confused(preds).to_numpy().tolist()]
        assert sorted(mine) == sorted((a, p, int(n)) for a, p, n in pairs)

    def test_augmented_looks_follow_the_seed_and_are_fastais(self, learn):
        one, again, other = (qv.get_preds(learn, tta=2, seed=seed).probs for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, again)
        assert (one != other).any()
        set_seed(1)
        with learn.no_bar(), learn.no_logging():
            np.testing.assert_array_equal(learn.tta(n=2)[0], one)

    @pytest.mark.parametrize("options", [{}, {"ds_idx": 0}, {"tta": 1}])
    def test_the_global_random_state_stays(self, learn, options):
        states = [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()]
        qv.get_preds(learn, **options)
        now = [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()]
        assert states[:2] == now[:2]
        assert torch.equal(states[2], now[2])

    def test_training_pictures_are_seen_without_augmentation(self, learn):
        one, two = (qv.get_preds(learn, ds_idx=0) for _ in range(2))
        assert len(one) == len(learn.dls.train_ds)
        np.testing.assert_array_equal(one.probs, two.probs)
        assert list(one.paths) == list(learn.dls.train.items)

    def test_files_of_ones_own_can_be_looked_at(self, learn, class_folders):
        files = sorted((class_folders / "red").iterdir())
        preds = qv.get_preds(learn, dl=learn.dls.test_dl(files, with_labels=True))
        assert list(preds.paths) == files
        assert set(preds.targs) == {2}

    def test_plain_fastai_loaders_of_rows_and_tuples_give_file_names(self, class_folders, tiny_net):
        import pandas as pd
        from fastai.vision.augment import Resize
        from fastai.vision.data import ImageDataLoaders

        files = sorted(class_folders.rglob("*.png"))
        labels = [file.parent.name for file in files]
        names = [str(file.relative_to(class_folders)) for file in files]
        options = {"item_tfms": Resize(32), "bs": 6, "num_workers": 0, "seed": 1}
        table = pd.DataFrame({"name": names, "label": labels})
        rows = ImageDataLoaders.from_df(table, class_folders, **options)
        tuples = ImageDataLoaders.from_lists(class_folders, files, labels, **options)
        for dls in (rows, tuples):
            preds = qv.get_preds(qv.cnn_learner(dls, tiny_net, weights=None))
            actual = [preds.vocab[t] for t in preds.targs]
            assert [path.parent.name for path in preds.paths] == actual
            assert set(preds.paths) < set(files)

    def test_a_loss_of_torchs_own_gives_probabilities(self, class_folders, tiny_net):
        import torch

        dls = qv.from_folder(class_folders, size=32, bs=4)
        loss = torch.nn.CrossEntropyLoss()
        preds = qv.get_preds(qv.cnn_learner(dls, tiny_net, weights=None, loss_func=loss))
        np.testing.assert_allclose(preds.probs.sum(axis=1), 1, rtol=1e-5)
        own = -np.log(preds.probs[np.arange(len(preds)), preds.targs])
        np.testing.assert_allclose(preds.losses, own, rtol=1e-4)


@pytest.mark.slow
def test_predictions_need_no_training_before_them(named_files):
    code = (
        "import quickvision as qv;"
        f"dls = qv.from_name_re({str(named_files)!r}, r'^(.+)_', size=32, bs=4);"
        "learn = qv.cnn_learner(dls, 'resnet18', weights=None);"
        "print(len(qv.get_preds(learn)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.stdout.strip() == "6", out.stderr


def test_the_recorder_still_knows_the_last_fit(learn):
    qv.fit_unfrozen(learn, 2, verbose=False)
    values = list(learn.recorder.values)
    qv.get_preds(learn)
    assert learn.recorder.values == values
    assert len(learn.recorder.losses) == 2 * len(learn.dls.train)


def test_a_thousand_classes_and_fifty_thousand_predictions_take_little_memory():
    n, c = 50_000, 1_000
    rng = np.random.default_rng(0)
    preds = qv.Predictions(
        probs=rng.random((n, c), dtype=np.float32),
        targs=rng.integers(0, c, n),
        vocab=tuple(map(str, range(c))),
        losses=np.zeros(n, dtype=np.float32),
        paths=(Path("x.jpg"),) * n,
    )
    tracemalloc.start()
    matrix = qv.confusion_matrix(preds)
    qv.most_confused(preds)
    qv.class_report(preds)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert matrix.sum() == n
    assert peak < 100 * 2**20  # fastai's formula compares c x c x n booleans: 47 GiB


@settings(max_examples=50, deadline=None)
@given(cases, st.integers(1, 90))
def test_what_is_worth_seeing_is_wrong_or_was_close_the_largest_loss_first(preds, most):
    seen = worth_seeing(preds, most, least=0.5)
    losses, right = preds.losses[seen], preds.right[seen]
    asked = ~preds.right | (preds.losses >= 0.5)
    assert len(seen) == min(most, asked.sum())
    assert asked[seen].all()
    assert (np.diff(right.astype(int)) >= 0).all()  # the wrong ones come first
    for part in (losses[~right], losses[right]):
        assert (np.diff(part) <= 0).all()
