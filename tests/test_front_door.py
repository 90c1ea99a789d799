from __future__ import annotations

import subprocess
import sys
import types

import pytest

import quickvision as qv


def test_importing_loads_neither_torch_nor_fastai():
    code = "import quickvision, sys; print({'torch', 'fastai', 'pandas'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


def test_every_public_name_is_listed_and_loads():
    assert {"train", "from_folder", "train_pets", "Run", "ClassificationInterpretation"} <= set(
        dir(qv)
    )
    for name in dir(qv):
        assert getattr(qv, name) is not None
        assert not isinstance(getattr(qv, name), types.ModuleType)


def test_a_typo_gets_near_names():
    with pytest.raises(AttributeError, match="no 'train_pet'; did you mean 'train_pets'"):
        qv.train_pet  # noqa: B018


@pytest.mark.slow
def test_upstream_import_warnings_do_not_reach_the_user():
    code = "import quickvision as qv; qv.train"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stderr == ""


def test_every_public_function_has_a_docstring_with_its_arguments():
    for name in dir(qv):
        thing = getattr(qv, name)
        if isinstance(thing, types.FunctionType):
            doc = thing.__doc__ or ""
            arguments = thing.__code__.co_varnames[: thing.__code__.co_argcount]
            assert not [a for a in arguments if f"{a}:" not in doc], name


@pytest.mark.slow
def test_the_first_touch_of_a_name_draws_no_random_number():
    code = (
        "import random, quickvision as qv; random.seed(1); before = random.getstate();"
        "qv.train; assert random.getstate() == before;"
        "import numpy, torch; numpy.random.seed(1); torch.manual_seed(1);"
        "states = numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist();"
        "[getattr(qv, name) for name in dir(qv)];"
        "assert random.getstate() == before;"
        "assert states == (numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
