from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

import quickvision as qv
from quickvision.data.options import Options
from quickvision.models.options import ModelOptions
from quickvision.runs.options import RunConfig


def test_an_option_stands_in_the_signature_and_its_docstring():
    shown = inspect.signature(qv.train).parameters
    for one in fields(RunConfig):
        assert shown[one.name].default == one.default
        assert f"        {one.name}: " in qv.train.__doc__


def test_rates_are_given_searched_or_halved():
    assert RunConfig(lr=np.float64(0.01)).second_lr == 0.005
    assert RunConfig().second_lr == "find"
    assert RunConfig(lr=slice(None, 1e-3)).second_lr == slice(None, 1e-3)
    for rate in (0, -1, "fast", float("inf"), slice(1e-3, None), np.ones(2), None):
        with pytest.raises(ValueError, match="lr: expected 'find', a rate such as 1e-3"):
            RunConfig(lr=rate)


def test_a_rate_for_both_stages_or_for_each():
    assert RunConfig(lr=1e-2).second_lr == 5e-3
    assert RunConfig(lr="find").second_lr == "find"
    assert RunConfig(lr=slice(1e-4, 1e-2)).second_lr == slice(1e-4, 1e-2)
    assert RunConfig(lr=1e-2, lr_unfrozen=1e-3).second_lr == 1e-3
    found = qv.LRFind(2e-3, "", [], [])
    assert RunConfig(lr=found).lr == 2e-3


def test_from_scratch_all_epochs_train_all_layers():
    scratch = RunConfig(frozen_epochs=3, unfrozen_epochs=2, lr=1e-2).from_scratch()
    assert (scratch.frozen_epochs, scratch.unfrozen_epochs, scratch.second_lr) == (0, 5, 1e-2)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"frozen_epochs": 0, "unfrozen_epochs": 0}, ValueError, "expected epochs to train"),
        ({"mixup": 0.4, "cutmix": 1.0}, TypeError, "expected mixup or cutmix, got both"),
        ({"gradual": True, "unfrozen_epochs": 0}, TypeError, "goes with unfrozen epochs"),
        ({"views": 1, "cache_features": False}, TypeError, "got cache_features=False"),
        ({"budget": "soon"}, ValueError, "budget: expected a time such as '10min'"),
        ({"mixup": 1e-9}, ValueError, "mixup: expected a strength such as 0.4"),
    ],
)
def test_what_does_not_go_together_is_refused(options, error, said):
    with pytest.raises(error, match=said):
        RunConfig(**options)


def test_the_tables_of_options_load_no_torch():
    rooms = ", ".join(f"quickvision.{table.__module__.split('.')[1]}.options" for table in TABLES)
    code = (
        f"import sys, {rooms}; print({{'torch', 'fastai', 'pandas', 'scipy'}} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


TABLES = (Options, ModelOptions, RunConfig)
