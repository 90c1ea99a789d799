from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import quickvision as qv


@pytest.fixture(scope="session")
def colours(tmp_path_factory, write_colours) -> Path:
    """Three class folders of twelve pictures each, for tests that change nothing."""
    return write_colours(tmp_path_factory.mktemp("ship") / "colours")


@pytest.fixture(scope="session")
def learner(colours):
    """A learner of a network that timm has, trained a little; tests leave it as it is."""
    import warnings

    from fastai.torch_core import no_random

    with warnings.catch_warnings(), no_random(3):
        warnings.simplefilter("ignore", qv.DataWarning)  # pictures of one seed are alike
        dls = qv.from_folder(colours, size=32, bs=6, valid=0.4, crop_pct=0.875)
        learn = qv.cnn_learner(dls, "timm/test_resnet", weights=None)
        qv.fit_unfrozen(learn, 2, lr_max=3e-3, verbose=False)
    return learn


@pytest.fixture(scope="session")
def _shipped(learner, tmp_path_factory) -> Path:
    return qv.export(learner, tmp_path_factory.mktemp("shipped") / "model", onnx=True)


@pytest.fixture
def shipped(_shipped, tmp_path) -> Path:
    """A copy of an exported folder with an ONNX file, to do with as one likes."""
    return Path(shutil.copytree(_shipped, tmp_path / "model"))
