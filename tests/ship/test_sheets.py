from __future__ import annotations

from pathlib import Path

import pytest

import quickvision as qv
from quickvision.ship.sheets import ID, LABEL, Classes, as_sample, plain

VOCAB = ("cat", "dog")
NAMED = Classes(VOCAB, VOCAB)


@pytest.fixture
def read(tmp_path):
    """Lay out a table as this sample is, of pictures of these names."""

    def read(text, names, classes=NAMED, id_col=None, label_col=None):
        (tmp_path / "sample.csv").write_text(text)
        return as_sample(tmp_path / "sample.csv", Path("test"), names, id_col, label_col, classes)

    return read


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["10.jpg", "2.jpg", "003.jpg"], ["2.jpg", "003.jpg", "10.jpg"]),
        (["a/10.jpg", "b/2.jpg"], ["b/2.jpg", "a/10.jpg"]),
        (["x10.jpg", "x2.jpg"], ["x10.jpg", "x2.jpg"]),
    ],
)
def test_numbers_are_in_their_order_and_names_in_that_of_the_folder(names, order):
    sheet = plain(names, ["id", "label"], "name", NAMED, probs=False)
    assert sheet.ids == sheet.pictures == order
    assert (sheet.header, sheet.holds) == (["id", "label"], [ID, LABEL])


def test_ids_that_are_no_numbers():
    with pytest.raises(qv.DataError, match="ids: expected names that are numbers, got a.jpg; say"):
        plain(["1.jpg", "a.jpg"], ["id", "label"], "number", NAMED, probs=False)


def test_numbers_of_a_sample_are_names_where_the_model_has_numbers(read):
    digits = ("0", "1")
    sheet = read("id,label\n1,0\n2,0\n", ["1.jpg", "2.jpg"], Classes(digits, digits))
    assert sheet.holds == [ID, LABEL]
    with pytest.raises(qv.DataError, match="look like probabilities: say of which class, as posit"):
        read("id,label\n1,0.5\n2,1e-3\n", ["1.jpg", "2.jpg"], Classes(digits, digits))


def test_of_two_classes_the_sample_may_want_the_probability_of_one(read):
    text = "id,label\n1,0\n2,1\n"
    with pytest.raises(qv.DataError, match="first=0 or first=1; or positive='dog' for its prob"):
        read(text, ["1.jpg", "2.jpg"])
    assert read(text, ["1.jpg", "2.jpg"], Classes(VOCAB, VOCAB, 1)).holds == [ID, 1]
    with pytest.raises(ValueError, match="positive: goes with one column beside the ids, got 2"):
        read("id,cat,dog\n1,0,1\n", ["1.jpg"], Classes(VOCAB, VOCAB, 1))


def test_ids_tell_folders_apart(read):
    names = ["a/1.jpg", "b/1.jpg"]
    for ids in (("b/1", "a/1"), ("test/b/1.jpg", "test/a/1.jpg"), ("b\\1.jpg", "a\\1.jpg")):
        sheet = read("id,label\n" + "".join(f"{text},cat\n" for text in ids), names)
        assert sheet.pictures == ["b/1.jpg", "a/1.jpg"]
        assert sheet.ids == list(ids)


def test_what_is_not_there_is_counted(read):
    text = "id,label\n" + "".join(f"{i},cat\n" for i in range(1, 11))
    with pytest.raises(
        qv.DataError,
        match="got 6 ids without a picture: 5, 6, 7 and 3 more; and 1 picture without an id: x.jpg",
    ):
        read(text, ["1.jpg", "2.jpg", "3.jpg", "4.jpg", "x.jpg"])


def test_a_column_that_is_a_class_twice_or_none(read):
    with pytest.raises(qv.DataError, match="got dig; did you mean 'dog'.?, and none for dog"):
        read("id,cat,dig\n1,0,1\n", ["1.jpg"])
    with pytest.raises(qv.DataError, match="with a name of its own for each column"):
        read("id,cat,cat\n1,0,1\n", ["1.jpg"])
