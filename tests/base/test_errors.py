from __future__ import annotations

import pytest

import quickvision as qv
from quickvision.base.errors import did_you_mean, expect, some


def test_near_words_are_named_once():
    assert did_you_mean("resnte34", ["resnet34", "resnet34", "vgg"]) == "; did you mean 'resnet34'?"
    assert did_you_mean("zebra", ["resnet34"]) == ""
    names = ["one_cycle", "cosine", "step"]
    assert did_you_mean("one", names) == "; did you mean 'one_cycle'?"  # the word's beginning
    assert did_you_mean("on", names) == ""


def test_three_examples_and_a_count():
    assert some(["a", "b"]) == "a, b"
    assert some(list("abcde")) == "a, b, c and 2 more"


@pytest.mark.parametrize("error", [qv.DataError, qv.ModelError, qv.RunError])
def test_one_parent(error):
    assert issubclass(error, qv.QuickvisionError)


@pytest.mark.filterwarnings("default::quickvision.DataWarning")
@pytest.mark.parametrize("options", [{"size": 32}, {"size": 32, "valid": "split.csv"}])
def test_warnings_point_to_the_users_line_through_all_calls(class_folders, tmp_path, options):
    if "valid" in options:
        options = {**options, "valid": tmp_path / "split.csv"}
        (class_folders / "red" / "gone.png").write_bytes(
            (class_folders / "red" / "red_00.png").read_bytes()
        )
        qv.save_split(qv.from_folder(class_folders, size=32, bs=4), options["valid"])
        (class_folders / "red" / "gone.png").unlink()
    (class_folders / "red" / "bad.jpg").write_text("x")
    with pytest.warns(qv.DataWarning) as said:
        qv.load_data(class_folders, bs=64, verbose=False, **options)
    assert len(said) == (3 if "valid" in options else 2)
    assert {w.filename for w in said} == {__file__}


def test_what_has_the_thing_that_is_wanted_is_told_so():
    class Run:
        preds = ()

    with pytest.raises(TypeError, match=r"preds: expected tuple, got .*; give its \.preds$"):
        expect(Run(), tuple, "preds")
    with pytest.raises(TypeError, match=r"preds: expected tuple, got 3$"):
        expect(3, tuple, "preds")
