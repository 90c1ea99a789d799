from __future__ import annotations

import pandas as pd
import pytest

import quickvision as qv

pytestmark = pytest.mark.drawn
QUICK = {"size": 32, "bs": 6, "lr": 1e-2}


def test_the_history_and_the_summary_say_that_features_were_cached(run):
    assert run.history["cached"].tolist() == [True, True, False]
    assert "2 frozen (on cached features) + 1 unfrozen epochs" in str(run)


def test_the_seconds_of_each_stage_are_kept_and_said(run):
    assert list(run.timing) == [
        "model", "estimate", "features", "frozen rates", "frozen", "unfrozen", "report",
    ]  # fmt: skip
    assert min(run.timing.values()) >= 0
    assert run.timing["unfrozen"] >= run.history.query("stage == 'unfrozen'")["seconds"].sum()
    assert "report" in str(run).split("time ")[1].split("\n")[0]


def test_fastai_goes_on_from_a_saved_stage(run):
    assert run.learn.path == run.path
    run.learn.load("stage-1")
    assert len(qv.get_preds(run.learn)) == 7
    run.learn.load("stage-2")  # others look at it, too


def test_the_handle_shows_itself(run):
    assert "accuracy" in str(run)
    assert str(run.accuracy) in run._repr_html_()
    assert repr(run) == f"<Run {run.path}: tiny, accuracy {run.accuracy}>"
    for plot in (run.plot_confusion, run.plot_history, run.plot_lr_find, run.plot_top_losses):
        assert plot().get_figure() is not None
    assert list(run.top_losses(2)) == list(run.preds.to_frame())
    assert run.class_report()["support"].sum() == 7


@pytest.mark.slow
def test_names_are_escaped_in_html(class_folders, tiny_net, tmp_path):
    (class_folders / "red").rename(class_folders / "<b>red")
    run = qv.train(
        class_folders, arch=tiny_net, weights=None, out=tmp_path / "o", **QUICK, verbose=False
    )
    assert "<b>red" not in run._repr_html_()


@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
@pytest.mark.slow
def test_what_was_left_out_is_in_the_run(class_folders, tiny_net, tmp_path):
    (class_folders / "red" / "bad.jpg").write_text("x")
    run = qv.train(
        class_folders, arch=tiny_net, weights=None, out=tmp_path / "o", verbose=False, **QUICK
    )
    table = pd.read_csv(run.path / "skipped.csv")
    assert table["path"].str.endswith("bad.jpg").tolist() == [True]
    assert "1 picture" in str(run)
