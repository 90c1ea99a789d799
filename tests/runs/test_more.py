from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from made import Stop, copied, same

import quickvision as qv
from quickvision.runs import checkpointer
from quickvision.runs.checkpoints import load_checkpoint
from quickvision.runs.more import check_finished, how_to_go_further
from quickvision.runs.progress import Progress
from quickvision.training import settle

pytestmark = pytest.mark.usefixtures("each_epoch_is_kept")

TINY = {
    "arch": "timm/test_resnet", "size": 32, "bs": 6, "verbose": False, "plots": False,
    "frozen_epochs": 1, "unfrozen_epochs": 1, "lr": 4e-3,
}  # fmt: skip
WAYS = {
    "rates that are given": {},
    "a head that is solved": {"lr": "find"},
    "group by group before": {"lr": "find", "gradual": True, "unfrozen_epochs": 2},
    "rates that a finder has found": {"lr": "find", "head": "fastai", "batch_norm": "train"},
    "the frozen stage alone": {"lr": "find", "unfrozen_epochs": 0, "views": 1},
    "all layers at once": {"frozen_epochs": 0, "lr": 1e-3},
    "without weights": {"weights": None, "schedule": "plateau", "opt": "adadelta", "lr": 1.0},
    "blended pictures": {"mixup": 0.4, "schedule": "cosine", "opt": "sgd", "tta": 1},
    "patience": {
        "lr": 1.0, "lr_unfrozen": "find", "patience": 1, "schedule": "constant",
        "unfrozen_epochs": 3,
    },
}  # fmt: skip


@pytest.fixture
def trained(class_folders, body, tmp_path):
    """Train; all options but the pictures."""

    def train(out="o", **options):
        options = {"weights": body, **TINY, **options}
        return qv.train(class_folders, out=tmp_path / out, **options)

    return train


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
def test_a_run_that_is_killed_in_its_further_epochs_ends_the_same(trained, tmp_path, options):
    first = trained(**options)
    n = len(first.history)
    end = first.learn.model.state_dict()
    with copied(tmp_path / "killed") as killed:
        whole = qv.resume(first, more_epochs=2, verbose=False)
    name = "unfrozen-2" if options.get("unfrozen_epochs", 1) else "unfrozen"
    assert whole.history["stage"].tolist()[:n] == first.history["stage"].tolist()
    assert set(whole.history["stage"].tolist()[n:]) == {name}
    assert whole.history["epoch"].tolist()[n:] == [1, 2][: len(whole.history) - n]
    pd.testing.assert_frame_equal(
        whole.history.drop(columns="seconds"),
        pd.read_csv(whole.path / "log.csv").drop(columns="seconds"),
    )
    assert whole.stages["stage"].tolist() == [*first.stages["stage"], name]
    assert any(not torch.equal(end[key], w) for key, w in whole.learn.model.state_dict().items())
    folders = list(killed.values())[:-1]  # the last one is complete
    assert len(folders) >= 3
    for folder in folders:
        at = load_checkpoint(folder / "checkpoints").progress
        more = {"more_epochs": 2} if at.is_finished else {}  # nothing had been written down
        again = qv.resume(folder, verbose=False, **more)
        same(whole, again)
        assert again.done == whole.done


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
def test_the_script_has_the_further_epochs_too(trained, options):
    from runs.test_script import executed

    run = qv.resume(trained(**options), more_epochs=2, verbose=False)
    run = qv.resume(run, more_epochs=1, verbose=False)
    code = run.show_code()
    assert f"# The {run.done[-1].name} stage." in code
    np.testing.assert_array_equal(executed(code)[1], run.preds.probs)


def test_each_further_stage_is_told_apart(trained, capsys):
    run = trained(plots=True)
    assert "stage-3.pth" not in [p.name for p in (run.path / "checkpoints").iterdir()]
    capsys.readouterr()
    run = qv.resume(run.path, more_epochs=2)
    said = capsys.readouterr().out
    assert re.search(r"plan +2 more epochs of all layers, as stage unfrozen-2, into ", said)
    assert "unfrozen-2 2/2" in said
    assert "trains it further" not in said
    run = qv.resume(run.path, more_epochs=1)
    assert run.stages["stage"].tolist() == ["frozen", "unfrozen", "unfrozen-2", "unfrozen-3"]
    assert run.stages["epochs"].tolist() == [1, 1, 2, 1]
    assert run.stages["p_value"].notna().tolist() == [False, True, True, True]
    assert run.stages["gained"][1:].sum() == pytest.approx(
        run.accuracy.value - run.stages["accuracy"][0]
    )
    assert "+ 1 unfrozen + 2 unfrozen-2 + 1 unfrozen-3 epochs" in str(run)
    assert "unfrozen-2 " in run.summary()["stages"]
    assert run.plot_history().get_figure() is not None
    for number in (1, 2, 3, 4):
        run.learn.load(f"stage-{number}")
    assert json.loads((run.path / "config.json").read_text())["train"]["unfrozen_epochs"] == 1


@pytest.mark.slow
def test_further_epochs_of_a_frozen_run_are_its_unfrozen_stage(trained):
    """As if they had been asked for at the start."""
    for options in ({"lr": "find"}, {"cache_features": False}):
        whole = trained("whole", unfrozen_epochs=2, **options)
        frozen = trained("cut", unfrozen_epochs=0, **options)
        same(whole, qv.resume(frozen.path, more_epochs=2, verbose=False))


@pytest.mark.slow
def test_rates_are_those_of_the_unfrozen_stage(trained):
    for options in ({}, {"lr": "find"}, {"lr": "find", "head": "fastai"}):
        run = qv.resume(trained(**options), more_epochs=1, verbose=False)
        assert run.done[2].lr == run.done[1].lr
        assert run.done[2].solved == run.done[1].solved


@pytest.mark.slow
def test_a_stage_that_harms_is_undone_and_the_next_one_is_more_careful(
    trained, tmp_path, monkeypatch, capsys
):
    before = trained(lr="find")
    monkeypatch.setattr(settle, "WORSE", 0.0)  # whatever is found is too little
    with copied(tmp_path / "killed") as killed:
        run = qv.resume(before.path, more_epochs=1)
    assert "undone: left-out training pictures say that it harmed" in capsys.readouterr().out
    old, new = (r.learn.model.state_dict() for r in (before, run))
    body = [name for name in old if name.startswith("0.")]
    assert all(torch.equal(old[name], new[name]) for name in body)
    assert [stage.way for stage in run.done] == [1.0, 0.75, 0.0]
    for folder in killed.values():  # behind the last epoch, too
        if not load_checkpoint(folder / "checkpoints").progress.is_finished:
            assert qv.resume(folder, verbose=False).done == run.done
    assert "to 0 % of the way" in run.show_code()
    again = qv.resume(run, more_epochs=1, verbose=False)
    assert again.done[3].lr.stop == pytest.approx(run.done[2].lr.stop / 3)


def test_it_is_judged_by_what_the_body_says_before_it(trained, monkeypatch):
    before = trained(lr="find")
    solved = load_checkpoint(before.path / "checkpoints").progress.solved
    seen = []
    real = settle.judge
    monkeypatch.setattr(settle, "judge", lambda *a, **k: seen.append(real(*a, **k)) or seen[-1])
    run = qv.resume(before.path, more_epochs=1, verbose=False)
    now = load_checkpoint(run.path / "checkpoints").progress.solved
    assert len(seen) == 2, "before and after"
    assert (now.loss, now.accuracy) == (seen[0].loss, seen[0].accuracy)
    assert (now.c, now.left_open) == (solved.c, solved.left_open)


def test_a_run_in_hand_has_what_no_file_can_hold(class_folders, tiny_net, tmp_path):
    options = {"frozen_epochs": 1, "unfrozen_epochs": 1, "lr": 1e-3, "verbose": False}
    for given in ("dls", "learn", "arch"):
        data = class_folders
        how = {"size": 32, "bs": 6} if given == "arch" else {}
        if given != "arch":
            data = qv.from_folder(class_folders, size=32, bs=6)
        if given == "learn":
            data = qv.cnn_learner(data, tiny_net)
        else:
            how["arch"] = tiny_net
        run = qv.train(data, out=tmp_path / given, **how, **options)
        copy = shutil.copytree(run.path, tmp_path / f"{given}-copy")
        with pytest.raises(qv.RunError, match="which no file can hold"):
            qv.resume(copy, more_epochs=1, verbose=False)
        more = qv.resume(run, more_epochs=1, verbose=False)
        assert more.stages["stage"].tolist()[-1] == "unfrozen-2"
        if given == "learn":
            assert more.learn is data
            again = qv.cnn_learner(qv.from_folder(class_folders, size=32, bs=6), tiny_net)
            same(more, qv.resume(copy, data=again, more_epochs=1, verbose=False))


def test_callbacks_are_given_again(trained):
    run = trained(cbs=Stop("never", 0))
    with pytest.raises(qv.RunError, match="expected cbs as the run was given"):
        qv.resume(run, more_epochs=1)
    assert len(qv.resume(run, cbs=Stop("never", 0), more_epochs=1, verbose=False).history) == 3


def test_a_run_that_was_stopped_is_finished_first(stopped, monkeypatch):
    with pytest.raises(qv.RunError, match=r"expected a finished run.*after unfrozen epoch 1; fin"):
        qv.resume(stopped, more_epochs=1, verbose=False)
    assert len(qv.resume(stopped, verbose=False).history) == 4

    def stop(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpointer.Checkpointer, "after_batch", stop, raising=False)
        with pytest.raises(KeyboardInterrupt):
            qv.resume(stopped, more_epochs=1, verbose=False)
    with pytest.raises(qv.RunError, match=r"expected a finished run.*finish it with resume\("):
        qv.resume(stopped, more_epochs=1, verbose=False)  # the same once more: not two epochs
    assert len(qv.resume(stopped, verbose=False).history) == 5
    with pytest.raises(qv.RunError, match="from its start"):
        check_finished(stopped, Progress())


@pytest.mark.parametrize("epochs", [0, -1, 1.5, "3", True])
def test_epochs_are_counted_from_one(stopped, epochs):
    with pytest.raises((ValueError, TypeError), match="more_epochs: expected"):
        qv.resume(stopped, more_epochs=epochs)


def test_a_complete_run_says_how_it_is_trained_further(trained, capsys):
    run = trained()
    assert "more_epochs" not in capsys.readouterr().out
    qv.resume(run.path)
    said = capsys.readouterr().out
    assert re.search(r"\ncomplete +resume\('.*colours-001', more_epochs=3\) trains it", said)
    assert f"quickvision resume {run.path} --more-epochs 3" in said
    assert how_to_go_further(run.path) in said
