from __future__ import annotations

import pytest

import quickvision as qv
from quickvision.data.tables import list_csv
from tests.made import files, table


def rows(side, n, labels="ab"):
    return [f"{side}/{i}.jpg,{labels[i % len(labels)]}" for i in range(n)]


@pytest.fixture
def train(tmp_path):
    """`train.csv` with twelve pictures in `train`; four are in each of `valid` and `test`."""
    files(tmp_path, [f"train/{i}.jpg" for i in range(12)])
    files(tmp_path, [f"{side}/{i}.jpg" for side in ("valid", "test") for i in range(4)])
    return table(tmp_path / "train.csv", ["file,label", *rows("train", 12)])


@pytest.mark.parametrize(("name", "side"), [("valid", "valid"), ("val", "valid"), ("test", "test")])
def test_a_second_table_is_held_out(train, name, side):
    second = table(train.with_name(f"{name}.csv"), ["file,label", *rows(side, 4)])
    listing = list_csv(train)
    held = [n for n, is_held in zip(listing.names, listing.held, strict=True) if is_held]
    assert held == [f"{side}/{i}.jpg" for i in range(4)]
    assert (len(listing.names), listing.split_from) == (16, str(second))
    assert listing.get_y(listing.root / held[1]) == "b"
    assert list_csv(train, beside=False).held is None


def test_names_alone_in_both_tables(train):
    table(train, ["file,label", *(row[6:] for row in rows("train", 12))])
    table(train.with_name("valid.csv"), ["file,label", *(row[6:] for row in rows("valid", 4))])
    listing = list_csv(train)
    assert listing.root == train.parent
    assert (listing.names[0], listing.names[-1]) == ("train/0.jpg", "valid/3.jpg")


def test_a_table_of_tests_beside_one_to_validate_is_a_third_side(train):
    table(train.with_name("valid.csv"), ["file,label", *rows("valid", 4)])
    table(train.with_name("test.csv"), ["file,label", *rows("test", 4)])
    listing = list_csv(train)
    assert listing.tests == [f"test/{i}.jpg" for i in range(4)]
    assert (len(listing.names), sum(listing.held)) == (16, 4)


def test_pictures_of_both_tables_are_held_out_once(train):
    table(train.with_name("valid.csv"), ["file,label", *rows("train", 4)])
    listing = list_csv(train)
    assert (len(listing.names), sum(listing.held)) == (12, 4)


@pytest.mark.parametrize(
    ("name", "lines", "why"),
    [
        ("test", ["file", "test/0.jpg", "test/1.jpg"], "it has no column 'label' of labels"),
        ("test", ["file,label", *rows("test", 4, "0")], r"its labels 0 are none of train\.csv's"),
        ("valid", ["file,label", *rows("valid", 4, "a")], "all its labels are 'a'"),
        ("valid", ["file,label", *rows("gone", 4)], "there is no 'gone/0.jpg'"),
    ],
)
def test_a_second_table_that_does_not_fit_is_said(train, name, lines, why):
    table(train.with_name(f"{name}.csv"), lines)
    with pytest.warns(qv.DataWarning, match=rf"{name}\.csv is not used, neither .*: .*{why}"):
        assert list_csv(train).held is None


def test_a_sample_of_a_submission_is_never_asked(train):
    table(train.with_name("sample_submission.csv"), ["file,label", *rows("test", 4)])
    assert list_csv(train).held is None


@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
def test_what_the_user_says_is_held_out_is(tmp_path, picture):
    for side, n in (("train", 12), ("valid", 4)):
        for i in range(n):
            picture(tmp_path / side / f"{i}.jpg", ("red", "blue")[i % 2], seed=i + n)
        table(tmp_path / f"{side}.csv", ["file,label", *rows(side, n)])
    options = {"size": 32, "bs": 2}
    dls = qv.from_csv(tmp_path / "train.csv", **options)
    assert (len(dls.train_ds), len(dls.valid_ds)) == (12, 4)
    dls = qv.from_csv(tmp_path / "train.csv", valid=lambda path: path.stem in "01", **options)
    assert (len(dls.train_ds), len(dls.valid_ds)) == (10, 2)
