from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastai.learner import Learner
from fastai.metrics import accuracy
from old_run import ROWS, write_old_run
from torch import nn

import quickvision as qv

QUICK = {"size": 32, "bs": 6, "lr": 1e-2}


def test_weights_that_were_loaded_later_may_be_said(class_folders, tiny_net, tmp_path, capsys):
    def trained(**said):
        learn = qv.cnn_learner(qv.from_folder(class_folders, size=32, bs=6), tiny_net, weights=None)
        vars(learn).update(said)
        run = qv.train(learn, out=tmp_path, lr=1e-2, frozen_epochs=1, unfrozen_epochs=1)
        return run.stages["stage"].tolist(), capsys.readouterr().out

    stages, out = trained()
    assert stages == ["unfrozen"]
    assert "if you have loaded some into it, set the learner's `pretrained` to True" in out
    stages, out = trained(pretrained=True)
    assert stages == ["frozen", "unfrozen"]
    assert "no weights" not in out


def test_a_model_that_is_no_sequence_of_layers_is_trained(class_folders, tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.last = nn.Conv2d(3, 8, 3, 2), nn.Linear(8, 3)

        def forward(self, x):
            return self.last(self.conv(x).mean((2, 3)))

    learn = Learner(qv.from_folder(class_folders, size=32, bs=6), Net(), metrics=accuracy)
    how = {"frozen_epochs": 1, "unfrozen_epochs": 1, "lr": 1e-2, "verbose": False}
    assert qv.train(learn, out=tmp_path, **how).stages["stage"].tolist() == ["frozen", "unfrozen"]


def test_the_model_may_stand_in_second_place(class_folders, tiny_net, tmp_path):
    how = {"out": tmp_path, "verbose": False, "frozen_epochs": 0, "unfrozen_epochs": 1}
    assert qv.train(class_folders, tiny_net, **how, **QUICK).arch == "tiny"


def test_the_whole_job_leaves_everything_it_promises(run):
    assert run.path.parts[-2:] == ("runs", "net-001")
    assert {path.name for path in run.path.iterdir()} == {
        "config.json", "lock", "checkpoints", "log.csv", "split.csv",
        "predictions.csv", "predictions.npz", "confused.csv",
        "lr_find-frozen.csv", "lr_find-frozen.png",
        "confusion.png", "history.png", "top_losses.png",
        "report.html", "report.md", "suspects.csv", "features.npz", "run.json",
    }  # fmt: skip
    assert sorted(path.name for path in (run.path / "checkpoints").iterdir()) == [
        "best.pth", "last.pt", "stage-1.pth", "stage-2.pth",
    ]  # fmt: skip
    assert run.history["stage"].tolist() == ["frozen", "frozen", "unfrozen"]
    pd.testing.assert_frame_equal(run.history, pd.read_csv(run.path / "log.csv"))
    assert set(run.lr_finds) == {"frozen"}
    assert len(pd.read_csv(run.path / "predictions.csv")) == len(run.preds) == 7
    with np.load(run.path / "predictions.npz") as arrays:
        np.testing.assert_array_equal(arrays["probs"], run.preds.probs)
        np.testing.assert_array_equal(arrays["targs"], run.preds.targs)
    assert run.accuracy == run.preds.accuracy


def test_the_last_epochs_accuracy_is_the_passes_accuracy(run):
    assert run.history["accuracy"].iloc[-1] == pytest.approx(run.accuracy.value)


def test_without_weights_all_layers_train_from_the_start(class_folders, tiny_net, tmp_path, capsys):
    run = qv.train(
        class_folders, arch=tiny_net, weights=None, frozen_epochs=1, unfrozen_epochs=1,
        out=tmp_path / "runs", **QUICK,
    )  # fmt: skip
    assert run.history["stage"].tolist() == ["unfrozen", "unfrozen"]
    assert [p.name for p in (run.path / "checkpoints").glob("stage*")] == ["stage-2.pth"]
    out = capsys.readouterr().out
    assert "no weights to build on" in out
    assert str(run.accuracy) in out
    assert "\r" not in out
    with pytest.raises(qv.RunError, match="was given its rates"):
        run.plot_lr_find()


def test_a_pattern_makes_a_folder_of_names(named_files, tiny_net, tmp_path):
    run = qv.train(
        named_files,
        pat=r"(.+)_",
        arch=tiny_net,
        weights=None,
        out=tmp_path / "runs",
        verbose=False,
        **QUICK,
    )
    assert run.path.name == "named-001"
    assert run.preds.vocab == ("blue", "green", "red")


def test_one_stage_alone(class_folders, tiny_net, tmp_path):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    for frozen, unfrozen in ((1, 0), (0, 1)):
        learn = qv.cnn_learner(dls, tiny_net)
        run = qv.train(
            learn,
            frozen_epochs=frozen,
            unfrozen_epochs=unfrozen,
            lr=1e-3,
            out=tmp_path / "o",
            verbose=False,
        )
        assert run.history["stage"].tolist() == ["frozen" if frozen else "unfrozen"]


def test_a_number_for_the_unfrozen_stage_is_spread_over_the_groups(
    class_folders, tiny_net, tmp_path
):
    learn = qv.cnn_learner(qv.from_folder(class_folders, size=32, bs=6), tiny_net)
    qv.train(learn, frozen_epochs=0, unfrozen_epochs=1, lr=2e-3, out=tmp_path / "o", verbose=False)
    first, middle, head = (hyper["lr"] for hyper in learn.opt.hypers)
    assert head / first == pytest.approx(100)
    assert head / middle == pytest.approx(10)


def test_the_users_own_files_are_not_written_over(class_folders, tiny_net, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "stage-1.pth").write_text("mine")
    dls = qv.from_folder(class_folders, size=32, bs=6)
    learn = qv.cnn_learner(dls, tiny_net, model_dir=mine)
    rate = qv.LRFind(1e-3, "", [], [])
    run = qv.train(
        learn, lr=rate, frozen_epochs=1, unfrozen_epochs=0, out=tmp_path / "o", verbose=False
    )
    assert (mine / "stage-1.pth").read_text() == "mine"
    assert (run.path / "checkpoints" / "stage-1.pth").exists()


def test_plain_fastai_loaders_are_trained_on(class_folders, tiny_net, tmp_path):
    from fastai.vision.augment import Resize
    from fastai.vision.data import ImageDataLoaders

    options = {"item_tfms": Resize(32), "bs": 6, "num_workers": 0}
    dls = ImageDataLoaders.from_folder(class_folders, valid_pct=0.2, **options)
    run = qv.train(dls, arch=tiny_net, weights=None, lr=1e-3, out=tmp_path / "o", verbose=False)
    assert run.skipped.empty
    assert len(run.history) == 6


def test_a_run_of_before_the_move_goes_on(class_folders, tmp_path, capsys):
    folder = write_old_run(tmp_path / "runs" / "colours-001", class_folders)
    run = qv.resume(folder)
    assert "after unfrozen epoch 2" in capsys.readouterr().out
    assert run.history["stage"].tolist() == ["frozen"] * 2 + ["unfrozen"] * 3
    assert run.history["epoch"].tolist() == [1, 2, 1, 2, 3]
    assert run.history["train_loss"].tolist()[:4] == [row["train_loss"] for row in ROWS]
    steps = {state["step"] for state in run.learn.opt.state.values()}
    assert steps == {8 + 4}, "the optimiser goes on, four batches later"
    assert run.stages["stage"].tolist() == ["frozen", "unfrozen"]
    assert (run.config.lr, run.config.second_lr, run.best["accuracy"] >= 0.4286) == (
        3e-3,
        1.5e-3,
        True,
    )
    assert run.timing["frozen"] == 0.26


def table_of(folder, way=""):
    """The pictures of a folder as a table, one of them a second time, in a folder beside it."""
    files = sorted(path for path in folder.iterdir() if path.suffix == ".png")
    beside = folder.with_name("beside") / files[0].name
    beside.parent.mkdir()
    beside.write_bytes(files[0].read_bytes())
    names = [f"{way}{file.name}" for file in [*files, folder / "red_bad.png"]]
    names.append(f"{way}../beside/{beside.name}")
    return pd.DataFrame({"file": names, "label": [Path(n).name.split("_")[0] for n in names]})


DOORS = {
    "folder": lambda root: qv.from_folder(root.with_name("colours"), **DATA),
    "names": lambda root: qv.from_name_re(root, r"^(.+)_", **DATA),
    "table": lambda root: (
        table_of(root).to_csv(root / "t.csv", index=False) or qv.from_csv(root / "t.csv", **DATA)
    ),
    "table from the working folder": lambda root: (
        table_of(root).to_csv(root / "t.csv", index=False) or qv.from_csv("named/t.csv", **DATA)
    ),
    "frame": lambda root: qv.from_df(table_of(root, "named/"), images=root.parent, **DATA),
}
DATA = {"size": 32, "bs": 6, "max_bad": 1.0}


@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
@pytest.mark.parametrize("door_name", DOORS)
def test_all_tables_join_on_the_path_of_a_picture(
    door_name, named_files, class_folders, tiny_net, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for folder in (named_files, class_folders / "red"):
        (folder / "red_bad.png").write_text("no picture")
    dls = DOORS[door_name](named_files)
    learn = qv.cnn_learner(dls, tiny_net, weights=None)
    how = {"frozen_epochs": 0, "unfrozen_epochs": 1, "lr_unfrozen": 1e-3, "verbose": False}
    run = qv.train(learn, out=tmp_path / "runs", **how)
    names = ("split", "skipped", "predictions")
    split, skipped, said = (pd.read_csv(run.path / f"{name}.csv") for name in names)
    pd.testing.assert_frame_equal(split, dls.split, check_dtype=False)
    pd.testing.assert_frame_equal(skipped, dls.skipped, check_dtype=False)
    whole = split.merge(said, on="path", how="outer", validate="1:1")
    assert len(whole) == len(split)
    assert (whole["label"] == whole["actual"]).sum() == whole["valid"].sum() == len(said)
    checked = qv.check(dls).pictures
    monkeypatch.chdir("/")
    assert set(run.top_losses(None)["path"]) == set(said["path"])
    assert len(skipped) == 1
    assert not set(skipped["path"]) & set(split["path"])
    assert set(checked["path"]) == {*split["path"], *skipped["path"]}
    assert not any("\\" in path for path in whole["path"])
    assert ("beside/blue_0.png" in set(split["path"])) == (door_name not in ("folder", "names"))
    for index, path in run.top_losses()["path"].items():
        assert run.preds.paths[index].as_posix().endswith(path)
