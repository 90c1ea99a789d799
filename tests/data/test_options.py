from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

import quickvision as qv
from quickvision.data.options import Options, too_many


@pytest.mark.parametrize(
    ("option", "value", "match"),
    [
        ("resize", "stretch", "expected 'crop', 'squish' or 'pad'"),
        ("balance", "auto", "expected None, 'weights' or 'oversample'"),
        ("max_bad", 5, "expected a fraction such as 0.05"),
    ],
)
def test_options_out_of_range(class_folders, option, value, match):
    with pytest.raises(ValueError, match=match):
        qv.from_folder(class_folders, **{option: value})


def test_a_misspelt_option_is_no_option(class_folders):
    with pytest.raises(TypeError, match="sise"):
        qv.from_folder(class_folders, sise=32)


def test_help_shows_every_option_with_its_default():
    import inspect

    for door in (qv.from_folder, qv.from_name_re, qv.from_csv, qv.from_df, qv.load_data):
        shown = inspect.signature(door).parameters
        assert "kwargs" not in shown
        assert (shown["max_bad"].default, shown["resize"].default) == (0.05, "crop")
        for field in fields(Options):  # all doors take the same
            assert shown[field.name].default == field.default


def test_numpys_numbers_are_numbers(class_folders):
    dls = qv.from_folder(
        class_folders, valid=np.float32(0.25), size=np.int64(32), bs=np.int64(4), seed=np.int32(1)
    )
    assert (len(dls.valid_ds), dls.train.bs) == (9, 4)


def test_a_single_bad_file_stops_only_where_none_may_be():
    assert not too_many(1, 3, 0.05)
    assert too_many(1, 3, 0)
    assert not too_many(5, 100, 0.05)
    assert too_many(6, 100, 0.05)


def test_the_longer_side():
    assert Options(size=64).side == 64
    assert Options(size=[32, np.int64(48)]).side == 48
