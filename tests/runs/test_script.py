from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from PIL import ExifTags, Image

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


def executed(code, names=None):
    """Run a script as a user would; return the error that it prints, and its probabilities."""
    said, names = io.StringIO(), {} if names is None else names
    names["__name__"] = "__main__"
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
    "a head that is solved, group by group": {
        "lr": "find", "gradual": True, "unfrozen_epochs": 3, "views": 1, "seed": 3,
    },
    "a head that is solved after patience has ended the stage": {
        "patience": 1, "schedule": "constant", "lr": 1.0, "lr_unfrozen": "find",
        "frozen_epochs": 6, "unfrozen_epochs": 4,
    },
    "batch norms that adapt": {"batch_norm": "adapt", "lr": "find", "views": 1},
    "fastai's head, batch norms that train": {"head": "fastai", "batch_norm": "train"},
    "a head of your sizes": {
        "head": "fastai", "hidden": (32, 16), "dropout": 0.2, "activation": "gelu",
    },
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
    "an activation that no layer has": {"head": "fastai", "hidden": (), "activation": "gelu"},
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
    np.testing.assert_array_equal(probs, run.preds.probs)


@pytest.fixture(scope="module")
def normed(tmp_path_factory):
    """Weights of a body whose batch norms have seen something."""
    import timm

    torch.manual_seed(0)
    body = timm.create_model("test_resnet")
    for module in body.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 2)
    file = tmp_path_factory.mktemp("normed") / "body.pth"
    torch.save(body.state_dict(), file)
    return file


EXACT = {
    "cached features": {},
    "augmented views": {"views": 2},
    "augmented looks": {"tta": 2, "cache_features": False},
    "all together, from another seed": {"views": 1, "tta": 1, "seed": 7, "num_workers": 1},
    "torch's loss, which knows no probabilities": {"loss_func": torch.nn.CrossEntropyLoss()},
    "a rate that falls, with torch's optimiser": {
        "opt": "adadelta", "schedule": "plateau", "lr": 1.0, "weights": None, "frozen_epochs": 5,
    },
    "groups of one's own": {
        "arch": "resnet18", "weights": None, "lr_unfrozen": slice(1e-5, 4e-3),
        "splitter": lambda model: [[*model[0].parameters()], [*model[1].parameters()]],
    },
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("options", EXACT.values(), ids=EXACT)
@pytest.mark.slow
def test_the_script_gives_the_very_probabilities(class_folders, normed, tmp_path, options):
    options = QUICK | {"arch": "timm/test_resnet", "weights": normed} | options
    run = qv.train(class_folders, out=tmp_path / "o", verbose=False, **options)
    code = str(run.show_code()).replace("loss_func=...", "loss_func=nn.CrossEntropyLoss()")
    np.testing.assert_array_equal(executed(code)[1], run.preds.probs)


def write_photos(folder):
    """Pictures of all kinds in two classes: large, turned, transparent, grey of 16 bits."""
    rng = np.random.default_rng(0)
    for i, name in enumerate(["a", "b"] * 8):
        (folder / name).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (12, 20, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((120 + 10 * i, 90 + 20 * i))
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 1 + i // 2
        image.save(folder / name / f"{i}.jpg", exif=exif)
        wide = np.asarray(image.convert("L"), dtype=np.uint16) * 200
        Image.fromarray(wide).save(folder / name / f"{i}-16.png")
        image.putalpha(image.convert("L"))
        image.save(folder / name / f"{i}-clear.png")
        image.quantize(9).save(folder / name / f"{i}.gif")
    return folder


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("cache", ["auto", True])
@pytest.mark.slow
def test_the_script_opens_pictures_as_the_run_did(tmp_path, normed, cache):
    options = {
        "arch": "timm/test_resnet",
        "weights": normed,
        "cache": cache,
    }
    run = qv.train(
        write_photos(tmp_path / "p"), out=tmp_path / "o", verbose=False, **(QUICK | options)
    )
    names: dict = {}
    _, probs = executed(run.show_code(), names)
    files = sorted((tmp_path / "p" / "a").iterdir())
    opener = run.learn.dls.train.dataset.tls[0].tfms.fs[0]
    for file in files:
        ours, theirs = opener(file), names["open_picture"](file)
        np.testing.assert_array_equal(np.asarray(theirs), np.asarray(ours), err_msg=file.name)
    np.testing.assert_array_equal(probs, run.preds.probs)


@pytest.mark.slow
def test_the_script_shows_macro_f1_where_the_run_did(class_folders, tmp_path):
    for file in sorted((class_folders / "red").iterdir())[2:]:
        file.unlink()
    run = qv.train(
        class_folders, arch="resnet18", weights=None, unfrozen_epochs=1, out=tmp_path / "o",
        verbose=False, **{k: QUICK[k] for k in ("lr", "bs", "size")},
    )  # fmt: skip
    assert "f1_score" in run.history
    assert "metrics=[error_rate, accuracy, F1Score(average='macro')]" in run.show_code()


@pytest.mark.slow
def test_the_script_has_the_runs_real_numbers(class_folders, tmp_path):
    options = QUICK | {"lr": "find", "weights": None, "frozen_epochs": 0, "head": "fastai"}
    run = qv.train(class_folders, arch="resnet18", out=tmp_path, verbose=False, **options)
    code = run.show_code()
    assert f"learn.fit_one_cycle(2, {run.lr_finds['unfrozen'].lr!r})" in code
    assert "vision_learner(dls, models.resnet18, pretrained=False" in code
    assert repr(code) == str(code)


def test_it_says_that_features_were_cached(class_folders, weights, tmp_path):
    options = QUICK | {"arch": "shufflenet_v2_x0_5", "weights": weights, "unfrozen_epochs": 0}
    run = qv.train(class_folders, out=tmp_path, verbose=False, **options)
    code = run.show_code()
    assert "it is asked once" in code
    assert "body = fuse(body)" in code
    shutil.rmtree(class_folders)
    assert run.show_code() == code
    assert "class of its own" not in run.show_code()


def test_what_is_yours_is_left_to_fill_in(class_folders, tiny_net, tmp_path):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    options = {"frozen_epochs": 0, "unfrozen_epochs": 1, "lr": 1e-3, "verbose": False}
    run = qv.train(dls, arch=tiny_net, out=tmp_path, **options)
    assert "dls = ...  # your own DataLoaders" in run.show_code()
    assert "body = ...  # your tiny(), without its last layer" in run.show_code()
    learn = qv.cnn_learner(dls, tiny_net)
    code = qv.train(learn, out=tmp_path, **options).show_code()
    assert "learn = ...  # your own Learner" in code
    compile(code, "script.py", "exec")


def test_the_script_of_your_own_learner_runs_once_it_is_filled_in(class_folders, weights, tmp_path):
    def learner():
        dls = qv.from_folder(class_folders, size=32, bs=6)
        return qv.cnn_learner(dls, "shufflenet_v2_x0_5", weights=weights, seed=3)

    run = qv.train(learner(), out=tmp_path, verbose=False, frozen_epochs=2, unfrozen_epochs=1)
    code = str(run.show_code())
    assert "put(head" in code  # solved
    _, probs = executed(code.replace("learn = ...", "learn = given"), {"given": learner()})
    np.testing.assert_allclose(probs, run.preds.probs, atol=1e-5)


def test_a_body_that_cannot_be_built_without_memory_is_written_too(class_folders):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    spec = Spec(dls, "regnet_y_400mf", None)
    learn = qv.cnn_learner(dls, "regnet_y_400mf", weights=None)
    before = torch.get_rng_state()
    code = write_script(learn, spec, [], Path("split.csv"))
    assert "body.set_submodule('fc', nn.Identity())" in code
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
    assert abs(executed(run.show_code())[0] - (1 - run.accuracy.value)) < 1.5 / 153
