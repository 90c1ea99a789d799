from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision

import quickvision as qv
from quickvision.runs.config import Spec
from quickvision.runs.script import write_script

QUICK = {"frozen_epochs": 2, "unfrozen_epochs": 2, "lr": 4e-3, "bs": 6, "size": 32}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "shufflenet.pth"
    torch.manual_seed(0)
    torch.save(torchvision.models.shufflenet_v2_x0_5().state_dict(), file)
    return file


def executed(code):
    """Run a script as a user would; return the error that it prints, and its probabilities."""
    said, names = io.StringIO(), {"__name__": "__main__"}
    with contextlib.redirect_stdout(said):
        exec(compile(str(code), "script.py", "exec"), names)
    error = float(re.search(r"error ([\d.e-]+)\s*$", said.getvalue())[1])
    return error, names["probs"].numpy()


CASES = {
    "the defaults, on cached features": {},
    "fastai's own frozen stage": {"cache_features": False},
    "found rates": {"lr": "find"},
    "a model that fastai cannot cut, with a file of weights": {
        "arch": "shufflenet_v2_x0_5", "cache_features": False,  # random weights amplify bits
    },
    "a linear head": {"arch": "shufflenet_v2_x0_5", "head": "linear"},
    "a head of your sizes": {"hidden": (32, 16), "dropout": 0.2, "activation": "gelu"},
    "gradual, cosine, with momentum": {
        "gradual": True, "schedule": "cosine", "opt": "sgd", "momentum": 0.8, "lr": 0.05,
    },
    "adadelta in steps": {"opt": "adadelta", "schedule": "step", "lr": 1.0},
    "mixed pictures, smoothed labels": {"mixup": 0.4, "label_smoothing": 0.1, "wd": 0.1},
    "weighted focal loss": {"loss": "focal", "class_weights": [1, 2, 3], "schedule": "flat_cos"},
    "uneven classes repeated": {"balance": "oversample", "schedule": "constant"},
    "the middle of the pictures, bicubic": {"crop_pct": 0.8, "interpolation": "bicubic"},
    "nothing pretrained": {"weights": None, "patience": 1, "schedule": "plateau"},
    "fastai's resnet, from nothing": {"arch": "resnet18", "weights": None, "frozen_epochs": 1},
    "batches of the default, changed a little, not mirrored": {
        "bs": None, "augment": "light", "flip": False,
    },
    "only resized, of which the middle": {"augment": "none", "crop_pct": 0.8},
    "classes in an order of their own": {"vocab": ["red", "blue", "green"]},
    "a group for each stage": {"layer_groups": None},
    "weights on the classes of the data": {"balance": "weights"},
    "slices of rates": {"lr": slice(1e-3, 4e-3), "lr_unfrozen": slice(1e-4, 1e-3)},
    "an activation that no layer has": {"hidden": (), "activation": "gelu"},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
@pytest.mark.slow
def test_the_script_ends_at_the_same_validation_error(class_folders, weights, tmp_path, options):
    for file in sorted((class_folders / "red").iterdir())[:4]:
        file.unlink()
    arch = options.get("arch", "timm/test_resnet")
    if arch == "timm/test_resnet" and "weights" not in options:
        import timm

        torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "body.pth")
        options = {"weights": tmp_path / "body.pth"} | options
    options = {"arch": arch, "weights": weights} | options
    run = qv.train(class_folders, out=tmp_path / "o", verbose=False, **(QUICK | options))
    code = run.show_code()
    assert "quickvision" not in re.sub(r"#.*", "", code).replace(str(tmp_path), "")
    error, probs = executed(code)
    assert error == pytest.approx(1 - run.accuracy.value, abs=1e-6), code
    np.testing.assert_allclose(probs, run.preds.probs, atol=5e-3)


@pytest.mark.slow
def test_the_script_has_the_runs_real_numbers(class_folders, tmp_path):
    options = QUICK | {"lr": "find", "weights": None, "frozen_epochs": 0}
    run = qv.train(class_folders, arch="resnet18", out=tmp_path, verbose=False, **options)
    code = run.show_code()
    assert f"learn.fit_one_cycle(2, {run.lr_finds['unfrozen'].lr!r})" in code
    assert "vision_learner(dls, models.resnet18, pretrained=False" in code
    assert repr(code) == str(code)


def test_it_says_that_features_were_cached(class_folders, weights, tmp_path):
    options = QUICK | {"arch": "shufflenet_v2_x0_5", "weights": weights, "unfrozen_epochs": 0}
    run = qv.train(class_folders, out=tmp_path, verbose=False, **options)
    assert "it is asked once" in run.show_code()
    assert "class of its own" not in run.show_code()


def test_what_is_yours_is_left_to_fill_in(class_folders, tiny_net, tmp_path):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    options = {"frozen_epochs": 0, "unfrozen_epochs": 1, "lr": 1e-3, "verbose": False}
    run = qv.train(dls, arch=tiny_net, out=tmp_path, **options)
    assert "dls = ...  # your own DataLoaders" in run.show_code()
    assert "body = ...  # what create_body makes of your tiny()" in run.show_code()
    learn = qv.cnn_learner(dls, tiny_net)
    code = qv.train(learn, out=tmp_path, **options).show_code()
    assert "learn = ...  # your own Learner" in code
    compile(code, "script.py", "exec")


def test_a_body_that_cannot_be_built_without_memory_is_written_too(class_folders):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    spec = Spec(dls, "regnet_y_400mf", None)
    learn = qv.cnn_learner(dls, "regnet_y_400mf", weights=None)
    before = torch.get_rng_state()
    code = write_script(learn, spec, [], Path("split.csv"))
    assert "body = nn.Sequential(model.stem, model.trunk_output)" in code
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::quickvision.DataWarning", "ignore::UserWarning")
def test_on_real_photos_too(real_data, tmp_path):
    run = qv.train(
        real_data / "data" / "hymenoptera", arch="mobilenet_v2", size=192, bs=32, lr=2e-3,
        weights=real_data / "weights" / "mobilenet_v2_imagenet.pth", unfrozen_epochs=1,
        out=tmp_path, verbose=False,
    )  # fmt: skip
    assert len(pd.read_csv(run.path / "split.csv")) == 397
    assert os.path.exists(run.learn.dls.path)
    assert abs(executed(run.show_code())[0] - (1 - run.accuracy.value)) < 2.5 / 153
