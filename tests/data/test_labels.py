from __future__ import annotations

import re

import pandas as pd
import pytest

from quickvision.base.errors import DataError, DataWarning
from quickvision.data.labels import NameLabel, read_class_names

CARS = ["AM General Hummer", "Acura RL", "Ram C/V, Cargo", "Audi TT"]


def written(tmp_path, rows):
    path = tmp_path / "names.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("header", [[], ["name"], ["the brand of the car"]])
@pytest.mark.parametrize("start", [0, 1])
def test_rows_are_counted_as_the_labels_are(tmp_path, header, start):
    path = written(tmp_path, header + [f'"{name}"' for name in CARS])
    labels = [str(i) for i in range(start, start + 4)]
    assert read_class_names(path, labels) == dict(zip(labels, CARS, strict=True))


def test_the_first_of_196_cars_is_no_header(tmp_path):
    path = written(tmp_path, [f"car {i}" for i in range(1, 197)])
    names = read_class_names(path, [str(i) for i in range(1, 197)])
    assert (names["1"], names["196"]) == ("car 1", "car 196")


def test_leading_zeros_are_numbers_too(tmp_path):
    names = read_class_names(written(tmp_path, CARS), ["0001", "0002", "0003", "0004"])
    assert names["0001"] == CARS[0]


def test_classes_without_pictures_are_said(tmp_path):
    with pytest.warns(DataWarning, match="2 of 4 .* counted from 1: 2 is 'Acura RL'"):
        assert read_class_names(written(tmp_path, CARS), ["2", "3"])["3"] == CARS[2]
    with pytest.warns(DataWarning, match="counted from 0: 0 is 'AM General"):
        assert read_class_names(written(tmp_path, ["Names", *CARS]), ["0", "3"])["3"] == CARS[3]


def test_two_columns_name_codes(tmp_path):
    path = written(tmp_path, ["id,name", "n01440764,tench", "n02102040,springer"])
    codes = ["n02102040", "n01440764"]
    assert read_class_names(path, codes) == {"n02102040": "springer", "n01440764": "tench"}
    path = written(tmp_path, ["7,seven", "3,three"])
    assert read_class_names(path, ["003", "7"]) == {"003": "three", "7": "seven"}


def test_lists_and_dicts():
    assert read_class_names(["a", "b"], ["1", "2"]) == {"1": "a", "2": "b"}
    assert read_class_names({0: "a", "1": "b"}, ["0", "1"]) == {"0": "a", "1": "b"}


@pytest.mark.parametrize(
    ("names", "labels", "match"),
    [
        (["a", "b"], ["1", "2", "3"], "expected names for the classes 1 to 3, got 2"),
        (["a", "b"], ["ant", "bee"], "expected labels that are numbers"),
        ({"1": "a"}, ["1", "2"], "got names for 1, and none for 2; add it, as"),
        ({}, ["1", "2"], "got none for 1, 2; add them, as"),
        ({"1": "a", "2": "a"}, ["1", "2"], "got 'a' twice"),
    ],
)
def test_names_that_do_not_fit(names, labels, match):
    with pytest.raises(DataError, match=match):
        read_class_names(names, labels)


def test_a_missing_file(tmp_path):
    written(tmp_path, CARS)
    with pytest.raises(DataError, match=r"name\.csv.*did you mean 'names\.csv'"):
        read_class_names(tmp_path / "name.csv", ["1", "2"])


def test_the_columns_may_be_in_any_order(tmp_path):
    path = written(tmp_path, ["name,id", "bird,2", "cat,0", "dog,1"])
    assert read_class_names(path, ["0", "1", "2"]) == {"0": "cat", "1": "dog", "2": "bird"}
    path = written(tmp_path, ["id,name,kind", "0,cat,animal", "1,dog,animal"])
    assert read_class_names(path, ["0", "1"]) == {"0": "cat", "1": "dog"}


def test_a_series_names_by_its_index():
    assert read_class_names(pd.Series(["a", "b"], index=[5, 3]), ["3", "5"]) == {"3": "b", "5": "a"}


@pytest.mark.parametrize("pat", [r"^.+_\d+\.jpg$", r"(.+\d"])
def test_a_pattern_that_cannot_label_is_said_as_it_was_written(pat):
    with pytest.raises(ValueError, match=re.escape(f"r'{pat}'")):
        NameLabel(pat)


def test_optional_group_that_matches_nothing_is_no_label():
    assert NameLabel(r"^(cat)?\d+\.jpg$")("12.jpg") == ""


@pytest.mark.parametrize(
    "text",
    [
        '{"0": "Blight (CBB)", "1": "Healthy"}',
        '{"Blight (CBB)": 0, "Healthy": 1}',
        '["Blight (CBB)", "Healthy"]',
        '{"0": ["n01", "Blight (CBB)"], "1": ["n02", "Healthy"]}',
    ],
)
def test_names_in_json(tmp_path, text):
    (tmp_path / "map.json").write_text(text)
    names = {"0": "Blight (CBB)", "1": "Healthy"}
    assert read_class_names(tmp_path / "map.json", ["0", "1"]) == names
    assert read_class_names(tmp_path / "map.json", ["000", "001"])["001"] == "Healthy"


def test_imagenets_index_names_codes_too(tmp_path):
    (tmp_path / "x.json").write_text('{"0": ["n01", "tench"], "1": ["n02", "goldfish"]}')
    assert read_class_names(tmp_path / "x.json", ["n01", "n02"]) == {
        "n01": "tench",
        "n02": "goldfish",
    }


@pytest.mark.parametrize("text", ["{", '{"0": {"name": "a"}}', "3"])
def test_json_that_holds_no_names(tmp_path, text):
    (tmp_path / "map.json").write_text(text)
    with pytest.raises(DataError, match=r"expected .* in .*map\.json, got"):
        read_class_names(tmp_path / "map.json", ["0", "1"])


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (["n01 tench, Tinca tinca", "n02 goldfish"], ("tench, Tinca tinca", "goldfish")),
        (["n01\ttench", "n02\tgoldfish"], ("tench", "goldfish")),
        (["n01: tench", "n02: great fish"], ("tench", "great fish")),
        (["n01 Acura Integra", "n02 goldfish", "n03 unused one"], ("Acura Integra", "goldfish")),
    ],
)
def test_lines_of_a_code_and_a_name(tmp_path, rows, names):
    found = read_class_names(written(tmp_path, rows), ["n01", "n02"])
    assert (found["n01"], found["n02"]) == names


def test_two_codes_with_one_name_are_both_named(tmp_path):
    path = written(tmp_path, ["n01,crane", "n02,crane"])
    match = r"'crane' twice, for n01 and n02; .*class_names=\{'n01': 'crane \(n01\)', 'n02'"
    with pytest.raises(DataError, match=match) as error:
        read_class_names(path, ["n01", "n02"])
    way = str(error.value).partition("class_names=")[2].partition("}")[0] + "}"
    assert read_class_names(eval(way), ["n01", "n02"])["n02"] == "crane (n02)"


def test_names_of_numbers_that_pandas_wrote():
    assert read_class_names({"1": "a", "2": "b"}, ["1.0", "2.0"]) == {"1.0": "a", "2.0": "b"}


def test_a_missing_name_says_how_to_give_it(tmp_path):
    path = written(tmp_path, ["n01,tench", "n02,crane"])
    with pytest.raises(
        DataError, match="got names for n01, n02, and none for n03; add it, as class"
    ):
        read_class_names(path, ["n01", "n03"])
