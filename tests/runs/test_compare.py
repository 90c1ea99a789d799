from __future__ import annotations

import threading
import time
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.losses import CrossEntropyLossFlat
from fastai.optimizer import SGD
from fastai.vision.augment import Resize
from torch import nn

import quickvision as qv
from quickvision.base.figures import Accuracy
from quickvision.runs import compare as room

pytestmark = pytest.mark.slow

QUICK = {"frozen_epochs": 1, "unfrozen_epochs": 1, "lr": 3e-3, "size": 32, "bs": 6}


def broken(pretrained=False):
    raise RuntimeError("out of order")


@pytest.fixture
def compared(class_folders, tiny_net, tmp_path):
    def go(archs=None, **options):
        options = {**QUICK, "out": tmp_path / "o", "verbose": False, **options}
        return qv.compare(class_folders, archs or [tiny_net, "timm/test_resnet"], **options)

    return go


@pytest.fixture
def trainings(monkeypatch):
    """Count them."""
    seen, train = [], room.train

    def counted(*args, **options):
        seen.append({**options, "at": time.perf_counter()})
        return train(*args, **options)

    monkeypatch.setattr(room, "train", counted)
    return seen


@pytest.fixture(autouse=True)
def _no_downloads(monkeypatch):
    import timm

    create = timm.create_model
    offline = lambda name, pretrained=False, **options: create(name, **options)  # noqa: E731
    monkeypatch.setattr("quickvision.models.body.timm.create_model", offline)


def test_all_archs_with_all_optimisers_on_the_same_split(compared, trainings):
    found = compared(opts=["adamw", "sgd"], seeds=2)
    assert sorted(found.table["name"]) == [
        "timm/test_resnet adamw", "timm/test_resnet sgd", "tiny adamw", "tiny sgd",
    ]  # fmt: skip
    assert len(trainings) == 8
    splits = [pd.read_csv(file) for file in sorted(found.path.glob("*/split.csv"))]
    assert len(splits) == 8
    held = [set(split["path"][split["valid"]]) for split in splits]
    assert all(one == held[0] for one in held)
    assert (found.table["seeds"] == 2).all()
    assert found.table["accuracy"].is_monotonic_decreasing
    assert np.isnan(found.table["p_value"].iloc[0])
    assert found.table["p_value"].iloc[1:].between(0, 1).all()


def test_the_figures_are_those_of_the_runs(compared, trainings):
    found = compared()
    for row in found.table.to_dict("records"):
        assert row["n"] == 7
        right = Accuracy(round(row["accuracy"] * 7), 7)
        assert (row["low"], row["high"]) == pytest.approx(right.interval)
        assert row["seconds"] > 0
        assert 0 < row["latency"] < 10_000
    tables = [pd.read_csv(file) for file in found.path.glob("*/predictions.csv")]
    shares = sorted((table["actual"] == table["predicted"]).mean() for table in tables)
    assert found.table["accuracy"].tolist() == pytest.approx(shares[::-1])


def test_its_split_and_its_accuracy_are_those_of_train(class_folders, tiny_net, tmp_path, capsys):
    """NEWCOMER 7: 95.9 % here, 83.7 % there, of the same folder, model and options."""
    found = qv.compare(class_folders, tiny_net, out=tmp_path / "o", **QUICK)
    said = capsys.readouterr().out
    assert "split        29 to train, 7 to validate, as train draws it, seed 42" in said
    run = qv.train(class_folders, arch=tiny_net, out=tmp_path / "p", verbose=False, **QUICK)
    (mine,) = found.path.glob("*/predictions.csv")
    pd.testing.assert_frame_equal(pd.read_csv(mine), pd.read_csv(run.path / "predictions.csv"))
    assert found.table["accuracy"].item() == run.accuracy.value
    dls = qv.load_data(class_folders, seed=42, verbose=False)
    held = pd.read_csv(next(found.path.glob("split-*.csv")))
    assert held["valid"].tolist() == dls.split["valid"].tolist()
    sides = qv.check(class_folders).pictures.set_index("path")["side"]
    assert sides[held["path"]].tolist() == [("train", "valid")[v] for v in held["valid"]]


def test_another_seed_is_another_split_and_seeds_are_of_trainings(compared, trainings):
    first = compared(["timm/test_resnet"], seeds=2)
    assert [options["seed"] for options in trainings] == [42, 43]
    trainings.clear()
    compared(["timm/test_resnet"], seed=7, seeds=[42])
    assert [options["seed"] for options in trainings] == [42]  # trained, but on another split
    one, other = (pd.read_csv(file) for file in first.path.glob("split-*.csv"))
    assert one["valid"].tolist() != other["valid"].tolist()


def test_what_is_held_out_may_be_asked_for(compared):
    assert compared(["timm/test_resnet"], valid=0.5).table["n"].item() == 18


def test_other_fixes_are_another_split(compared, tmp_path):
    fixes = tmp_path / "fixes.csv"
    sizes = []
    for dropped in (1, 2, 2):
        rows = [f"red/red_{i:02d}.png,drop," for i in range(dropped)]
        fixes.write_text("\n".join(["path,action,label", *rows]))
        sizes.append(compared(["timm/test_resnet"], fixes=fixes).path)
    splits = [pd.read_csv(file) for file in sizes[0].glob("split-*.csv")]
    assert sorted(map(len, splits)) == [34, 35]


def test_results_of_before_are_not_mixed_with_those_of_another_split(compared, trainings, capsys):
    found = compared(["timm/test_resnet"])
    (split,), (row,) = found.path.glob("split-*.csv"), found.path.glob("*.json")
    split.rename(found.path / "split-0123456789ab.csv")
    row.write_text('{"right": [1, 1, 0], "failed": ""}')  # as they were, without their split
    trainings.clear()
    compared(["timm/test_resnet"], verbose=True, lr=1e-3)
    said = capsys.readouterr().out
    assert "results      1 in " in said
    assert "are of an earlier version, which split by other seeds: not used, and left there" in said
    assert len(trainings) == 1
    compared(["timm/test_resnet"], verbose=True, lr=1e-3)
    assert "earlier version" not in capsys.readouterr().out
    assert len(trainings) == 1


def test_each_warning_comes_once_and_points_here(class_folders, tiny_net, tmp_path):
    (class_folders / "red" / "red_00.png").write_bytes(b"none")
    with pytest.warns(qv.DataWarning) as warned:
        qv.compare(class_folders, tiny_net, seeds=2, out=tmp_path / "o", verbose=False, **QUICK)
    assert [str(one.message) for one in warned if "left out 1 of 36" in str(one.message)] == [
        str(warned[0].message)
    ]
    assert warned[0].filename == __file__


def test_one_that_fails_does_not_lose_the_others(compared):
    found = compared(["timm/test_resnet", broken])
    failed = found.table[found.table["failed"] != ""]
    assert failed["name"].tolist() == ["broken"]
    assert "out of order" in failed["failed"].iloc[0]
    assert found.best == "timm/test_resnet"
    assert str(found).count("broken failed: ") == 1
    assert str(found).count("out of order") == 1
    assert not failed["same"].any()


def test_a_second_call_trains_only_what_is_missing_or_failed(compared, tiny_net, trainings):
    first = compared(["timm/test_resnet", broken])
    trainings.clear()
    again = compared(["timm/test_resnet", broken, tiny_net])
    assert [options["arch"] for options in trainings] == [broken, tiny_net]
    row = first.table.set_index("name").loc["timm/test_resnet"]
    same = again.table.set_index("name").loc["timm/test_resnet"]
    assert row["seconds"] == same["seconds"]
    trainings.clear()
    compared(["timm/test_resnet"], lr=1e-3)
    assert len(trainings) == 1


def test_another_data_set_in_the_same_folder_has_its_own_split(compared, named_files, tmp_path):
    compared(["timm/test_resnet"])
    other = qv.compare(
        named_files, "timm/test_resnet", pat=r"^(.+)_", out=tmp_path / "o", verbose=False, **QUICK
    )
    assert other.table["n"].tolist() == [6]
    assert len(list(other.path.glob("split-*.csv"))) == 2


def test_recipes_are_compared_on_the_same_split(compared, trainings):
    recipes = {"head alone": {"unfrozen_epochs": 0, "lr": 1e-2}, "all layers": {}}
    found = compared(["timm/test_resnet"], recipes=recipes)
    names = ["timm/test_resnet all layers", "timm/test_resnet head alone"]
    assert sorted(found.table["name"]) == names
    assert [(one["unfrozen_epochs"], one["lr"]) for one in trainings] == [(0, 1e-2), (1, 3e-3)]
    (split,) = found.path.glob("split-*.csv")
    held = {path for path, _, valid in pd.read_csv(split).to_numpy().tolist() if valid}
    for file in found.path.glob("*/split.csv"):
        own = pd.read_csv(file)
        assert set(own["path"][own["valid"]]) == held
    compared(["timm/test_resnet"], recipes={**recipes, "all layers": {"lr": 1e-3}})
    assert [one["lr"] for one in trainings[2:]] == [1e-3]  # the other is known


def test_a_budget_is_shared_out(compared, trainings):
    compared(budget="20s")
    (first, began), (second, went_on) = [(one["budget"], one["at"]) for one in trainings]
    assert first == pytest.approx(10, abs=0.5)  # half of what is left
    assert second == pytest.approx(max(1.0, 2 * first - (went_on - began)), abs=0.5)


def test_schedules_and_loaders(class_folders, tiny_net, tmp_path):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    options = {k: v for k, v in QUICK.items() if k not in ("size", "bs")}
    found = qv.compare(
        dls, tiny_net, schedules=["one_cycle", "step"], out=tmp_path, verbose=False, **options
    )
    assert set(found.table["name"]) == {"tiny one_cycle", "tiny step"}


def test_what_all_fail_of_is_said_once(class_folders, tmp_path, capsys):
    names = ["timm/test_resnet", "timm/test_vit"]
    with pytest.raises(qv.RunError) as raised:
        qv.compare(class_folders, names, weights=tmp_path / "no.pth", out=tmp_path / "o", **QUICK)
    assert str(raised.value).count("no.pth") == 1
    assert str(raised.value).endswith("timm/test_vit failed for the same reason")
    said = [text for text in capsys.readouterr().out.splitlines() if "failed: ModelError" in text]
    assert len(said) == 2
    assert max(map(len, said)) < 100


def test_a_single_candidate_is_not_called_the_best(compared):
    found = compared(["timm/test_resnet"])
    assert "best" not in f"{found}{found!r}"
    assert "McNemar" not in str(found)
    assert " p " not in str(found)
    assert found.best == "timm/test_resnet"


def test_it_is_shown_as_text_page_and_picture(compared, tiny_net):
    found = compared(["timm/test_resnet", tiny_net, broken])
    assert max(map(len, str(found).splitlines())) <= 200
    assert "n=7" in str(found)
    assert "<table" in found._repr_html_()
    assert "same: no significant difference from the best (McNemar, 5 % level)" in str(found)
    assert repr(found).startswith(f"<Comparison of 3: best {found.best}")
    ax = found.plot()
    plt.close(ax.figure)


@pytest.mark.parametrize(
    ("archs", "options", "error", "match"),
    [
        ([], {}, ValueError, "archs: expected a model or several, got none"),
        (["timm/test_resnet"], {"seeds": 0}, ValueError, "seeds: expected 1 or more, got 0"),
        (["timm/test_resnet"], {"seeds": [1, 1]}, ValueError, "seeds: expected each once"),
        (["timm/test_resnet"], {"seed": -1}, ValueError, "seed: expected a whole number from 0"),
        (["timm/test_resnet"], {"budget": "soon"}, ValueError, "budget: expected a time"),
        ([broken], {}, qv.RunError, "expected a candidate that can be trained, got none: broken"),
    ],
)
def test_bad_input(class_folders, tmp_path, archs, options, error, match):
    with pytest.raises(error, match=match):
        qv.compare(class_folders, archs, out=tmp_path / "o", verbose=False, **QUICK, **options)


def test_on_the_command_line(command, class_folders):
    options = ["--weights", "none", "--size", "32", "--bs", "6", "--frozen-epochs", "0"]
    options += ["--unfrozen-epochs", "1", "--opt", "sgd", "--opt", "adamw"]
    done = command("compare", class_folders, "timm/test_resnet", *options)
    assert done.returncode == 0, done.stderr
    assert "timm/test_resnet sgd" in done.stdout
    assert "written to runs/compare" in done.stdout


def test_as_many_other_pictures_are_another_comparison(class_folders, tmp_path, trainings):
    for size in (32, 32, 40):
        dls = qv.from_folder(class_folders, size=size, bs=6)
        qv.compare(
            dls, "timm/test_resnet", weights=None, lr=3e-3, frozen_epochs=0, unfrozen_epochs=1,
            out=tmp_path, verbose=False,
        )  # fmt: skip
    assert len(trainings) == 2


ONCE = {
    "weights": None, "size": 32, "bs": 6, "lr": 3e-3, "frozen_epochs": 0, "unfrozen_epochs": 1,
    "verbose": False,
}  # fmt: skip
NET = """
def net(pretrained=False):
    return nn.Sequential(
        nn.Conv2d(3, WIDE, 3, 2), nn.BatchNorm2d(WIDE), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(WIDE, 10),
    )
"""


def net(channels, module="notebook"):
    """A function of this name, as a cell of a notebook defines it, over and over."""
    names = {"__name__": module, "nn": nn}
    exec(NET.replace("WIDE", str(channels)), names)
    return names["net"]


def test_an_edited_function_is_trained_anew(class_folders, tmp_path, trainings):
    sizes = []
    for channels in (4, 8, 4):
        found = qv.compare(class_folders, net(channels), out=tmp_path, **ONCE)
        sizes.append(found.table["parameters"].item())
    assert sizes[0] == sizes[2] < sizes[1]
    assert len(trainings) == 2


def test_two_functions_of_one_name_are_told_apart(class_folders, tmp_path, trainings):
    archs = [net(4, "mine"), net(8, "yours"), partial(net(8)), partial(net(16))]
    found = qv.compare(class_folders, archs, out=tmp_path, **ONCE)
    table = found.table.set_index("name")["parameters"]
    assert sorted(table.index) == ["mine.net", "notebook.net#1", "notebook.net#2", "yours.net"]
    assert table["mine.net"] < table["yours.net"] == table["notebook.net#1"]
    assert len(trainings) == 4


OPTIONS = {
    "activation": (lambda: nn.LeakyReLU(0.1), lambda: nn.LeakyReLU(0.2)),
    "metrics": ([lambda p, t: (p > 0).float().mean()], [lambda p, t: (p > 1).float().mean()]),
    "loss_func": (CrossEntropyLossFlat(), CrossEntropyLossFlat(weight=torch.tensor([1.0, 2, 3]))),
    "item_tfms": ([Resize(32)], [Resize(32, method="squish")]),
    "opt_func": (partial(SGD, mom=0.9), partial(SGD, mom=0.8)),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_with_a_function_in_it_is_told_by_what_it_does(
    class_folders, tmp_path, trainings, option
):
    for value in (*OPTIONS[option], OPTIONS[option][0]):
        head = {"head": "fastai"} if option == "activation" else {}
        found = qv.compare(class_folders, net(4), out=tmp_path, **ONCE, **{option: value}, **head)
        assert found.table["failed"].item() == ""
    assert len(trainings) == 2


def test_what_cannot_be_told_is_trained_each_time_and_said(
    class_folders, tmp_path, trainings, capsys
):
    class Locked(Callback):
        def __init__(self):
            self.key = threading.Lock()

    for _ in range(2):
        qv.compare(class_folders, net(4), cbs=[Locked()], out=tmp_path, **ONCE | {"verbose": True})
    assert len(trainings) == 2
    said = "always trained, as it may have changed: cbs (a _thread.lock)"
    assert capsys.readouterr().out.splitlines().count(said) == 2


def test_an_edited_rule_of_who_is_held_out_makes_another_split(class_folders, tmp_path, trainings):
    held = []
    for last in "12":
        found = qv.compare(
            class_folders, net(4), valid=lambda path, n=last: path.stem.endswith(n), out=tmp_path,
            **ONCE,
        )  # fmt: skip
        held.append(found.table["n"].item())
    assert held == [6, 3]
    assert len(list((tmp_path / "compare").glob("split-*.csv"))) == 2


def as_folder(folder):
    return folder


def as_csv(folder):
    lines = [f"{p.relative_to(folder.parent)},{p.parent.name}" for p in folder.glob("*/*.png")]
    (folder.parent / "table.csv").write_text("\n".join(["path,label", *sorted(lines)]))
    return folder.parent / "table.csv"


def as_loaders(folder):
    return qv.from_folder(folder, size=32, bs=6)


@pytest.mark.parametrize("given", [as_folder, as_csv, as_loaders])
def test_pictures_that_are_replaced_under_their_names_are_others(
    class_folders, picture, tmp_path, trainings, given
):
    options = (
        ONCE if given is not as_loaders else {k: ONCE[k] for k in ONCE if k not in ("size", "bs")}
    )

    def go():
        qv.compare(given(class_folders), net(4), out=tmp_path / "o", **options)
        return len(trainings)

    assert [go(), go()] == [1, 1]
    picture(class_folders / "red" / "red_03.png", "blue", seed=77)
    assert [go(), go()] == [2, 2]


def test_a_changed_label_in_a_table_is_other_data(class_folders, tmp_path, trainings):
    table = as_csv(class_folders)
    qv.compare(table, net(4), out=tmp_path / "o", **ONCE)
    table.write_text(table.read_text().replace("red_03.png,red", "red_03.png,blue"))
    qv.compare(table, net(4), out=tmp_path / "o", **ONCE)
    assert len(trainings) == 2


def test_data_that_nobody_can_train_on_is_said_at_once(tmp_path):
    with pytest.raises(qv.DataError, match="expected a folder of pictures"):
        qv.compare(tmp_path / "gone", ["timm/test_resnet"], out=tmp_path / "o", verbose=False)
    assert not (tmp_path / "o").exists()
