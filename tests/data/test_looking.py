"""Pictures as validation sees them."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

import quickvision as qv
from quickvision.data.looking import Looking

CPU = torch.device("cpu")


@pytest.fixture
def dls(class_folders):
    return qv.from_folder(class_folders, size=32, bs=4, check=False)


def test_it_sees_what_validation_sees(dls):
    look, files = Looking(dls), dls.valid.items[:4]
    seen = look.batch([look.open(file) for file in files], CPU)
    (there, _) = next(iter(dls.valid))
    np.testing.assert_array_equal(seen.numpy(), there.as_subclass(torch.Tensor).numpy())
    assert type(seen) is torch.Tensor


def test_a_picture_is_the_same_in_whatever_form_and_thread(dls):
    look, file = Looking(dls), dls.valid.items[0]
    data = file.read_bytes()
    forms = [file, str(file), data, bytearray(data), io.BytesIO(data), Image.open(file)]
    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(look.open, forms)
    assert all(torch.equal(first, other) for other in others)


def test_loaders_and_random_state_stay_as_they_are(dls):
    look, before = Looking(dls), torch.get_rng_state()
    look.batch([look.open(dls.valid.items[0])], CPU)
    assert torch.equal(before, torch.get_rng_state())
    assert dls.valid.after_batch.split_idx != 0


@pytest.mark.parametrize("wrong", [3, None, ["a.png"]])
def test_what_is_no_picture_is_refused(dls, wrong):
    with pytest.raises(
        TypeError, match="expected a path, bytes, a file, a Pillow image or an array"
    ):
        Looking(dls).open(wrong)


def test_a_bad_file_is_named(dls, tmp_path):
    look, bad = Looking(dls), tmp_path / "bad.png"
    bad.write_text("x")
    with pytest.raises(qv.DataError, match=r"bad\.png"):
        look.open(bad)
    with pytest.raises(qv.DataError, match="got nothing at"):
        look.open(tmp_path / "gone.png")
    with pytest.raises(qv.DataError, match=r"got a folder, .*; predict_many\("):
        look.open(tmp_path)


def test_other_data_is_refused(dls):
    class Other:
        valid = type("Loader", (), {"dataset": [1]})()

    with pytest.raises(qv.DataError, match="expected a learner with labelled pictures"):
        Looking(Other())
