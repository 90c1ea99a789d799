from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made import BASE, same
from old_run import write_old_run

import quickvision as qv
from quickvision.runs.config import read_config

COLOURS = ("red", "green", "blue")


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"frozen_epochs": 0, "unfrozen_epochs": 0}, ValueError, "expected epochs to train"),
        ({"frozen_epochs": -1}, ValueError, "frozen_epochs: expected a whole number from 0"),
        ({"schedule": "one_cicle"}, ValueError, "schedule: expected .*did you mean 'one_cycle'"),
        ({"opt": "adma"}, ValueError, "opt: expected .*got 'adma'; did you mean 'adam'"),
        ({"momentum": 1}, ValueError, "momentum: expected a fraction such as 0.9"),
        ({"opt": "adadelta", "momentum": 0.9}, TypeError, "momentum: adadelta has none"),
        ({"patience": 0}, ValueError, "patience: expected a whole number from 1"),
        ({"mixup": -1}, ValueError, "mixup: expected a strength"),
        ({"mixup": 0.4, "cutmix": 1}, TypeError, "expected mixup or cutmix, got both"),
        ({"gradual": True, "unfrozen_epochs": 0}, TypeError, "goes with unfrozen epochs"),
        ({"tta": -1}, ValueError, "tta: expected a whole number"),
        ({"head": "lineal"}, ValueError, "did you mean 'linear'"),
        (
            {"head": "fastai", "hidden": 512},
            ValueError,
            r"hidden: expected sizes of layers, as \(512, 256\)",
        ),
        ({"head": "linear", "hidden": (8,)}, TypeError, "hidden: goes with head='fastai'"),
        ({"dropout": 1}, ValueError, "dropout: expected a fraction"),
        (
            {"head": "fastai", "activation": "rely"},
            ValueError,
            "activation: expected .*'rely'; did you mean 'relu'",
        ),
        ({"layer_groups": 1}, ValueError, "layer_groups: expected 2 or more"),
        ({"interpolation": "cubic"}, ValueError, "interpolation: expected .* 'bicubic'"),
        ({"crop_pct": 87.5}, ValueError, "crop_pct: expected a fraction"),
        ({"ps": 0.5}, TypeError, "ps: no such option"),
        ({"label_smothing": 0.1}, TypeError, "did you mean 'label_smoothing'"),
        ({"lr": "auto"}, ValueError, "expected 'find', a rate"),
        ({"lr": 0}, ValueError, "expected 'find', a rate"),
        ({"lr": None}, ValueError, "expected 'find', a rate"),
        ({"lr": [1e-3, 1e-2]}, ValueError, "expected 'find', a rate"),
        ({"lr": np.array([1e-3, 1e-2])}, ValueError, "expected 'find', a rate"),
        ({"lr_unfrozen": slice(None)}, ValueError, "expected 'find', a rate"),
        ({"lr_unfrozen": slice(-1e-4, 1e-3)}, ValueError, "expected 'find', a rate"),
        ({"seed": "a"}, ValueError, "seed: expected a whole number"),
        ({"valid": 5}, ValueError, "expected a fraction"),
        ({"views": -1}, ValueError, "views: expected a whole number"),
        ({"budget": "soon"}, ValueError, "budget: expected a time"),
        ({"precision": "int8"}, ValueError, "precision: expected 'auto'"),
        ({"nonsense": 1}, TypeError, "nonsense"),
        ({"arch": "resnte34"}, qv.ModelError, "did you mean 'resnet34'"),
    ],
)
def test_bad_options_stop_before_anything_is_written(
    class_folders, tmp_path, options, error, match
):
    with pytest.raises(error, match=match):
        qv.train(class_folders, out=tmp_path / "runs", **options)
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_is_no_run(tmp_path, stopped):
    with pytest.raises(qv.RunError, match=r"the folder of a run, got .*newest .*colours-001"):
        qv.resume(stopped.parent)
    with pytest.raises(qv.RunError, match="expected the folder of a run"):
        qv.resume(tmp_path / "gone")
    with pytest.raises(qv.RunError, match="got nothing at gone; the working folder is /"):
        qv.resume("gone")
    (stopped / "config.json").write_text("{")
    with pytest.raises(qv.RunError, match=r"expected a run's settings in .*config.json"):
        qv.resume(stopped)


def test_the_folder_has_all_that_is_needed_to_go_on(stopped):
    assert sorted(path.name for path in stopped.iterdir()) == [
        "checkpoints", "config.json", "features.npz", "lock", "log.csv", "split.csv",
    ]  # fmt: skip
    found = json.loads((stopped / "config.json").read_text())
    assert found["arch"] == "timm/test_resnet"
    assert found["train"]["lr"] == 4e-3
    assert Path(found["data"]).is_absolute()
    assert Path(found["weights"]).is_absolute()
    assert {"python", "torch", "fastai"} <= set(found["versions"])
    assert pd.read_csv(stopped / "log.csv")["stage"].tolist() == ["frozen", "frozen", "unfrozen"]
    assert len(qv.resume(stopped, verbose=False).history) == 4
    assert (stopped / "predictions.npz").exists()


def test_a_run_from_before_goes_on_with_the_batches_of_its_day(tmp_path, class_folders):
    """Its checkpoint counts steps of 64, or of what that was lowered to."""
    folder = write_old_run(tmp_path / "old", class_folders)
    file = folder / "config.json"
    written = json.loads(file.read_text())
    assert read_config(folder).spec.pictures["bs"] == 6
    del written["pictures"]["bs"]
    file.write_text(json.dumps(written))
    assert read_config(folder).spec.pictures["bs"] == 64
    file.write_text(json.dumps(written | {"pictures": {"bs": None}}))
    assert read_config(folder).spec.pictures["bs"] is None


def test_which_files_a_run_was_given(stopped, class_folders, body, tmp_path):
    assert read_config(stopped).files == {"data": class_folders, "weights": body}
    file = stopped / "config.json"
    written = json.loads(file.read_text())
    table = str(tmp_path / "split.csv")
    written["pictures"] |= {"valid": table, "class_names": {"items": [["red", "rot"]]}}
    file.write_text(json.dumps(written | {"weights": "default", "data": None}))
    assert read_config(stopped).files == {"valid": Path(table)}
    written["pictures"]["valid"] = "valid"  # a folder's name, or a column's
    file.write_text(json.dumps(written | {"weights": None}))
    assert read_config(stopped).files == {"data": class_folders}


@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
@pytest.mark.parametrize("valid", [0.3, [f"{c}/{c}_{i:02d}.png" for c in COLOURS for i in (1, 2)]])
def test_a_run_keeps_what_its_fixes_said(class_folders, body, tmp_path, valid):
    """The file may be gone tomorrow, or be another one."""
    file = tmp_path / "fixes.csv"
    rows = "red/red_01.png,relabel,blue", "green/green_02.png,drop,", "blue/blue_03.png,keep,"
    file.write_text("\n".join(["path,action,label", *rows]))
    options = BASE | {"weights": body, "lr": 4e-3, "frozen_epochs": 1, "unfrozen_epochs": 1}
    options |= {"plots": False, "valid": valid, "fixes": file}
    run = qv.train(class_folders, out=tmp_path / "runs", **options)
    kept = json.loads((run.path / "config.json").read_text())["pictures"]["fixes"]
    assert kept == {
        "items": [
            ["red/red_01.png", "blue"],
            ["green/green_02.png", None],
            ["blue/blue_03.png", "blue"],
        ]
    }
    assert "fixes" not in read_config(run.path).files
    for change in (
        lambda: file.write_text("path,action,label\nred/red_05.png,drop,\n"),
        file.unlink,
    ):
        change()
        again = qv.resume(run.path, verbose=False)
        same(run, again)
        pd.testing.assert_frame_equal(again.learn.dls.split, run.learn.dls.split)
        pd.testing.assert_frame_equal(again.learn.dls.fixed, run.learn.dls.fixed)
    with pytest.raises(TypeError, match="fixes: the run goes on as it began"):
        qv.resume(run.path, fixes={"red/red_05.png": None}, verbose=False)
    split = pd.read_csv(run.path / "split.csv").set_index("path")  # which `show_code` reads
    assert split.loc["red/red_01.png", "label"] == "blue"
    assert "green/green_02.png" not in split.index
    assert "dropped by fixes.csv" in (run.path / "skipped.csv").read_text()
