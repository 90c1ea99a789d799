from __future__ import annotations

import pandas as pd
import pytest

import quickvision as qv
from quickvision.data.tables import list_csv, list_df
from tests.data.test_marks import listed, pasted  # noqa: F401
from tests.made import files, table

N = 20
TWO = ["x", "y"]


def kinds(i):
    return "xy"[i % 2]


@pytest.mark.parametrize(
    ("column", "yes", "no"),
    [
        ("is_train", "0", "1"),
        ("train", "False", "True"),
        ("isTrain", "no", "yes"),
        ("Training", "0.0", "1.0"),
        ("Is Train", "n", "y"),
        ("train_split", "0", "1"),
        ("in_training_set", "0", "1"),
        ("train_or_valid", "1", "0"),
        ("is_train", "valid", "train"),
        ("is_valid", "1", "0"),
        ("is_test", "True", "False"),
        ("usage", "Test", "Training"),
    ],
)
def test_a_split_column_is_read_as_it_is_called(listed, column, yes, no):  # noqa: F811
    row = lambda i: f"{kinds(i)},{yes if i < 6 else no}"  # noqa: E731
    listing = listed(f"label,{column}", row, valid_col=column)
    assert listing.held == [i < 6 for i in range(N)]
    assert listing.split_from.startswith(f"column '{column}' of ")


@pytest.mark.parametrize(("column", "last"), [("fold", "4"), ("split", "4"), ("usage", "4")])
def test_folds_are_refused_with_the_call_that_holds_one_out(listed, column, last):  # noqa: F811
    with pytest.raises(qv.DataError, match="got '0', '1', '2', '3', '4'; hold out one") as error:
        listed(f"label,{column}", lambda i: f"{kinds(i)},{i % 5}", valid_col=column)
    listing = pasted(str(error.value), {"list_df": list_df})
    assert [i % 5 == int(last) for i in range(N)] == listing.held


def test_an_empty_cell_in_a_split_column_is_named(listed):  # noqa: F811
    with pytest.raises(qv.DataError, match=r"\(it is empty in row 5\)"):
        listed("label,usage", lambda i: f"{kinds(i)},{'' if i == 3 else i % 2}", valid_col="usage")


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("subset", ("train", "val"), r"valid_col='subset' splits by it: qv.from_csv\("),
        ("fold", ("1", "2", "3"), "hold out one of them, as '3': import pandas"),
        ("is_train", ("1", "0"), "valid_col='is_train' splits by it"),
        ("part", ("train", "test"), "valid_col='part' splits by it"),
    ],
)
def test_a_split_that_is_not_asked_for_is_said(listed, column, values, said):  # noqa: F811
    with pytest.warns(qv.DataWarning, match=f"column '{column}' of .* is not used; {said}"):
        listing = listed(f"{column},word", lambda i: f"{values[i % len(values)]},{kinds(i)}")
    assert (listing.held, sorted(set(listing.labels))) == (None, TWO)


def test_the_number_and_the_name_of_a_class_are_one_label(listed):  # noqa: F811
    listing = listed("class_id,class_name", lambda i: f"{i % 2},{kinds(i)}")
    assert (sorted(set(listing.labels)), listing.labels_from[:19]) == (TWO, "column 'class_name'")


def test_several_columns_that_may_be_labels_are_asked_for(listed):  # noqa: F811
    with pytest.raises(qv.DataError, match=r"got \['dx', 'sex'\]; say label_col=, .*col='dx'\)"):
        listed("dx,age,sex", lambda i: f"{'uvw'[i % 3]},{30 + i % 9},{'mf'[i % 5 % 2]}")


def test_shares_are_asked_for_with_the_line_that_takes_the_largest(listed):  # noqa: F811
    with pytest.raises(qv.DataError, match="take the largest: import pandas") as error:
        listed("cat,dog", lambda i: f"0.{1 + i % 9},0.{5 + i % 2}")
    text = str(error.value)
    assert set(pasted(text, {"list_df": list_df}).labels) == {"cat", "dog"}


@pytest.mark.parametrize(("image", "mask"), [("image", "mask"), ("photo", "seg"), ("a", "b")])
def test_a_column_of_masks_beside_one_of_pictures(tmp_path, image, mask):
    files(tmp_path, [f"img/{i}.jpg" for i in range(N)] + [f"m/{i}.png" for i in range(N)])
    rows = [f"m/{i}.png,img/{i}.jpg,{kinds(i)}" for i in range(N)]
    listing = list_csv(table(tmp_path / "t.csv", [f"{mask},{image},label", *rows]))
    assert listing.names[0] == "img/0.jpg"


def test_two_columns_of_pictures_are_asked_for(tmp_path):
    files(tmp_path, [f"{side}/{i}.jpg" for side in "lr" for i in range(N)])
    rows = [f"l/{i}.jpg,r/{i}.jpg,{kinds(i)}" for i in range(N)]
    path = table(tmp_path / "t.csv", ["left,right,label", *rows])
    with pytest.raises(qv.DataError, match=r"got left, right, .*: qv.from_csv\(.*fn_col='left'\)"):
        list_csv(path)
    assert list_csv(path, fn_col="right").names[0] == "r/0.jpg"


def test_two_columns_for_the_same_pictures_are_one(tmp_path):
    files(tmp_path, [f"p/{i}.jpg" for i in range(N)])
    rows = [f"p/{i}.jpg,{i}.jpg,{kinds(i)}" for i in range(N)]
    path = table(tmp_path / "t.csv", ["path,name,label", *rows])
    assert list_csv(path, label_col="label").names[0] == "p/0.jpg"


def test_numbers_that_happen_to_name_pictures_are_not_the_pictures(tmp_path):
    files(tmp_path, [f"{i}.jpg" for i in range(N)])
    rows = [f"{i % 3},{N - 1 - i},{kinds(i)}" for i in range(N)]
    path = table(tmp_path / "t.csv", ["age,image_id,label", *rows])
    assert list_csv(path).names[0] == "19.jpg"


def test_no_column_names_pictures(tmp_path):
    with pytest.raises(
        qv.DataError, match=r"there is no 'q0' there .*images='FOLDER', fn_col='id'"
    ):
        list_csv(table(tmp_path / "t.csv", ["id,label", *(f"q{i},a" for i in range(3))]))


def test_a_column_in_another_case_is_named(listed):  # noqa: F811
    with pytest.raises(qv.DataError, match="did you mean 'Label'"):
        listed("Label", kinds, label_col="LABEL")


def test_a_table_of_names_alone(tmp_path):
    files(tmp_path, [f"a/{i}.jpg" for i in range(3)])
    with pytest.raises(qv.DataError, match=r"expected a column of labels .*qv.load_data\('.*'\)"):
        list_csv(table(tmp_path / "t.csv", ["file", *(f"a/{i}.jpg" for i in range(3))]))


def test_labels_that_happen_to_name_pictures_are_not_the_pictures(tmp_path):
    files(tmp_path, [f"images/{i}.jpg" for i in range(N)])
    rows = [f"/far/away/images/{i}.jpg,{i % 2}" for i in range(N)]
    path = table(tmp_path / "t.csv", ["id,label", *rows])
    for options in ({}, {"images": "images"}):
        assert set(list_csv(path, **options).labels) == {"0", "1"}
    gone = table(tmp_path / "u.csv", ["id,label", *(f"q{i}.jpg,{i % 2}" for i in range(N))])
    with pytest.raises(qv.DataError, match=r"names pictures in .*, got none .* no 'q0.jpg' there"):
        list_csv(gone)


def test_corners_of_boxes_are_no_labels(listed):  # noqa: F811
    row = lambda i: f"{i % 7},{i % 9},{i % 5},{i % 3}"  # noqa: E731
    assert len(set(listed("Roi.X1,xmin,x2,kind", row).labels)) == 3


def test_the_header_of_a_frame_without_names(tmp_path):
    files(tmp_path, [f"{i}.jpg" for i in range(N)])
    path = table(tmp_path / "t.csv", ["0,1", *(f"{i},{kinds(i)}" for i in range(N))])
    assert set(list_csv(path).labels) == {"x", "y"}


def test_a_table_of_ids_alone_is_sent_to_the_folders(tmp_path):
    files(tmp_path, [f"a/x {i}.jpg" for i in range(N)])
    path = table(tmp_path / "t.txt", [f"{i + 1} a/x {i}.jpg" for i in range(N)])
    with pytest.raises(qv.DataError, match=r"which is an id; where folders or names hold"):
        list_csv(path)


def test_a_list_without_a_header_whose_only_words_are_labels(tmp_path):
    files(tmp_path, [f"images/v_{i}.JPEG" for i in range(N)])
    rows = [f"v_{i}.JPEG\tn0{i % 2}\t{i % 3}\t{i % 7}\t62" for i in range(N)]
    assert set(list_csv(table(tmp_path / "val.txt", rows)).labels) == {"n00", "n01"}


def test_a_frame_whose_index_names_the_pictures(tmp_path):
    files(tmp_path, [f"x{i}.jpg" for i in range(N)])
    df = pd.DataFrame({"label": [0, 1] * 10}, index=[f"x{i}.jpg" for i in range(N)])
    with pytest.raises(qv.DataError, match=r"index names the pictures: .*df.reset_index\(\)"):
        list_df(df, images=tmp_path)
    assert len(list_df(df.reset_index(), images=tmp_path).names) == N


def test_a_y_of_classes_is_the_label_and_a_partition_is_none(tmp_path, picture):
    names = [picture(tmp_path / f"{i}.png", seed=i).name for i in range(12)]
    frame = pd.DataFrame({"x": names, "y": [i % 3 for i in range(12)]})
    assert list(qv.from_df(frame, images=tmp_path, size=8).vocab) == ["0", "1", "2"]
    frame = frame.rename(columns={"y": "partition"})
    with pytest.raises(qv.DataError, match="got only .*if it is 'partition': .*label_col="):
        qv.from_df(frame, images=tmp_path)


def test_shares_of_two_classes_name_the_way_to_the_largest(tmp_path, picture):
    names = [picture(tmp_path / f"{i}.png", seed=i).name for i in range(10)]
    shares = [0.1 + 0.8 * (i % 2) for i in range(10)]
    frame = pd.DataFrame({"f": names, "a": shares, "b": [round(1 - s, 1) for s in shares]})
    with pytest.raises(qv.DataError, match=r"\['a', 'b'\].*take the largest"):
        qv.from_df(frame, images=tmp_path)
