"""What a run was asked for, as people read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from quickvision.runs.config import Spec
from quickvision.runs.options import RunConfig
from quickvision.runs.spoken import call_of, settings_of


def test_what_is_as_by_default_is_not_in_the_call():
    assert call_of(Spec("images")) == "qv.train('images', arch='resnet34')"
    assert "head" not in call_of(Spec("images", model={"head": "native", "opt": None}))


def test_the_call_has_what_was_asked_for_and_can_be_run():
    import quickvision as qv

    asked = Spec(
        Path("images"),
        "mobilenet_v2",
        "w.pth",
        model={"hidden": (64,)},
        pictures={"pat": r"^(.+)_\d+", "size": (32, 48), "valid": ["a.png", "b.png"]},
        train=RunConfig(unfrozen_epochs=5, lr_unfrozen=slice(1e-5, 1e-3)),
    )
    given = {}

    def train(data, **options):
        given.update(options, data=data)

    call = call_of(asked)
    eval(call, {"qv": type("qv", (), {"train": staticmethod(train)})})
    assert given == {
        "data": "images", "arch": "mobilenet_v2", "weights": "w.pth", "hidden": (64,),
        "pat": r"^(.+)_\d+", "size": (32, 48), "valid": ["a.png", "b.png"],
        "unfrozen_epochs": 5, "lr_unfrozen": slice(1e-5, 1e-3),
    }  # fmt: skip
    assert set(given) - {"data"} <= set(dir(qv)) | set(given)
    assert len(call.splitlines()) > 3  # too long for one line


@pytest.mark.parametrize("value", [nn.Linear(2, 2), lambda path: "a", object()])
def test_what_no_text_can_hold_is_to_be_filled_in(value):
    call = call_of(Spec("images", model={"loss": value}, has_cbs=True))
    assert call == "qv.train('images', arch='resnet34', loss=..., cbs=...)"


def test_all_settings_are_said_long_ones_in_short():
    said = settings_of(Spec("images", pictures={"valid": [f"{i}.png" for i in range(900)]}))
    assert said["valid"] == "900: '0.png', '1.png', '2.png', ..."
    assert (said["frozen_epochs"], said["lr"], said["report"]) == ("4", "'find'", "True")
