from __future__ import annotations

import pandas as pd
import pytest

import quickvision as qv
from quickvision.data.tables import list_csv, list_df

COLOURS = ("red", "green", "blue")


@pytest.fixture
def cars(tmp_path, picture):
    """`images/000.png` to `029.png`, thirty pictures of three colours, and no table yet."""
    for i in range(30):
        picture(tmp_path / "images" / f"{i:03d}.png", COLOURS[i % 3], seed=i)
    return tmp_path


def rows(*, suffix=".png", label=lambda i: COLOURS[i % 3], more=lambda i: ""):
    return [f"{i:03d}{suffix},{label(i)}{more(i)}" for i in range(30)]


def write(folder, lines, name="labels.csv", encoding="utf-8"):
    (folder / name).write_text("\n".join(lines) + "\n", encoding=encoding)
    return folder / name


@pytest.mark.parametrize("header", ["file,label", "id,breed", "path,anything", None])
@pytest.mark.parametrize("suffix", [".png", ""])
def test_tables_as_people_have_them(cars, header, suffix):
    csv = write(cars, ([header] if header else []) + rows(suffix=suffix))
    listing = list_csv(csv)
    assert (listing.root, len(listing.names), set(listing.labels)) == (
        cars / "images",
        30,
        set(COLOURS),
    )
    assert listing.labels[0] == listing.get_y(cars / "images" / "000.png") == "red"


@pytest.mark.parametrize("sep", [";", "\t", "|"])
def test_other_separators_and_a_byte_order_mark(cars, sep):
    lines = [line.replace(",", sep) for line in ["file,label", *rows()]]
    assert len(list_csv(write(cars, lines, encoding="utf-8-sig")).names) == 30


def test_a_saved_index_column_is_not_taken_for_file_names(cars):
    lines = [",file,label", *(f"{i},{row}" for i, row in enumerate(rows()))]
    assert list_csv(write(cars, lines)).labels[1] == "green"


def test_labels_stay_text(cars):
    words = ("NA", "null", "01")
    listing = list_csv(write(cars, ["file,label", *rows(label=lambda i: words[i % 3])]))
    assert set(listing.labels) == {"NA", "null", "01"}


def test_columns_by_name_and_by_number(cars):
    lines = ["a,b,c,d", *(f"x,{row},y" for row in rows())]
    csv = write(cars, lines)
    for pick in ({"fn_col": "b", "label_col": "c"}, {"fn_col": 1, "label_col": 2}):
        assert list_csv(csv, **pick).labels[2] == "blue"


@pytest.mark.parametrize(
    ("yes", "no"),
    [("True", "False"), ("1", "0"), ("valid", "train"), ("VAL", "Train"), ("yes", "no")],
)
def test_a_column_says_who_is_held_out(cars, yes, no):
    lines = ["file,label,split", *rows(more=lambda i: f",{yes if i < 6 else no}")]
    dls = qv.from_csv(write(cars, lines), valid_col="split", size=32, bs=4)
    assert sorted(p.name for p in dls.valid.items) == [f"{i:03d}.png" for i in range(6)]
    same = qv.from_csv(cars / "labels.csv", valid="split", size=32, bs=4)
    assert list(same.valid.items) == list(dls.valid.items)


def test_test_rows_beside_valid_rows_are_a_third_side(cars):
    side = lambda i: ",valid" if i < 6 else ",test" if i < 12 else ",train"  # noqa: E731
    csv = write(cars, ["file,label,split", *rows(more=side)])
    listing = list_csv(csv, valid_col="split")
    assert listing.tests == [f"{i:03d}.png" for i in range(6, 12)]
    assert not set(listing.tests) & set(listing.names)
    assert (sum(listing.held), len(listing.names), listing.left_out) == (6, 24, {})
    assert listing.split_from == f"column 'split' of {csv}"


def test_a_column_of_groups(cars):
    csv = write(cars, ["file,label,car", *rows(more=lambda i: f",{i // 6}")])
    dls = qv.from_csv(csv, label_col="label", groups="car", size=32, bs=4)
    sides = [{int(p.stem) // 6 for p in side.items} for side in (dls.train, dls.valid)]
    assert not sides[0] & sides[1]


def test_names_for_numbered_labels(cars):
    names = write(cars, ["Audi TT", "BMW X5", "Fiat 500"], "names.csv")
    csv = write(cars, rows(label=lambda i: i % 3 + 1), "train.csv")
    dls = qv.from_csv(csv, images="images", class_names=names, size=32, bs=4)
    assert list(dls.vocab) == ["Audi TT", "BMW X5", "Fiat 500"]
    y = dls.valid.one_batch()[1]
    assert [dls.vocab[int(i)] for i in y] == dls.split[dls.split.valid].label.tolist()[:4]


@pytest.mark.filterwarnings("default::quickvision.DataWarning")
def test_missing_pictures_and_labels_are_left_out_and_said(cars):
    lines = ["file,label", *rows(), "gone.png,red", "000.png,red"]
    lines[3] = lines[3].split(",")[0] + ","
    with pytest.warns(qv.DataWarning) as said:
        dls = qv.from_csv(write(cars, lines), size=32, bs=4, max_bad=0.05)
    text = " ".join(str(w.message) for w in said)
    assert "1 of 31 rows" in text or "1 of 32 rows" in text
    assert "002.png (no label)" in text
    assert "gone.png (no such file)" in text
    assert len(dls.skipped) == 2


def test_too_many_missing_pictures_stop(cars):
    lines = ["file,label", *rows(), *(f"gone{i}.png,red" for i in range(3))]
    with pytest.raises(qv.DataError, match="at most 5% bad files .* got 3 of 33: gone0"):
        qv.from_csv(write(cars, lines), size=32)


def test_a_frame_works_as_a_file_does(cars):
    df = pd.DataFrame({"file": [f"{i:03d}.png" for i in range(30)], "label": [0.0, 1.0, None] * 10})
    before = df.copy()
    listing = list_df(df, images=cars / "images")
    assert listing.labels[:3] == ["0", "1", ""]
    pd.testing.assert_frame_equal(df, before)
    dls = qv.from_df(df.dropna(), images=cars / "images", size=32, bs=4)
    assert (list(dls.vocab), len(dls.split)) == (["0", "1"], 20)


def test_kaggle_folders_with_the_same_names(cars, picture):
    (cars / "images").rename(cars / "train")
    for i in range(30):
        picture(cars / "test" / f"{i:03d}.png", "red")
    csv = write(cars, ["id,breed", *rows(suffix="")], "train.csv")
    assert list_csv(csv).root == cars / "train"
    csv.rename(cars / "labels.csv")
    with pytest.raises(qv.DataError, match="each of test, train; say images="):
        list_csv(cars / "labels.csv")
    assert len(list_csv(cars / "labels.csv", images="train").names) == 30


@pytest.mark.parametrize(
    ("lines", "options", "match"),
    [
        ([], {}, "got an empty file"),
        (["file,label"], {}, r"expected a column .* that names pictures|rows under the header"),
        (["file,label", "a.png,x"], {}, "expected a column of .* that names pictures"),
        (["file,label", "000.png,red,x"], {}, "expected 2 columns .* number in row 2"),
        (["file,file", "000.png,red"], {}, "got two file"),
        (["file,a,b", "000.png,x,y"], {}, r"got \['a', 'b'\]; say label_col="),
        (["file,label", "000.png,red"], {"label_col": "lable"}, "did you mean 'label'"),
        (["file,label", "000.png,red"], {"label_col": 7}, "expected a column"),
        (["file,label", "000.png,red"], {"images": "pics"}, "expected the folder of the pictures"),
        (["file,label,v", "000.png,red,maybe"], {"valid_col": "v"}, "got 'maybe'"),
        (["file,label", "000.png,red", "000.png,blue"], {}, "000.png is 'red' in row 2 and 'blue'"),
    ],
)
def test_tables_that_cannot_be_read(cars, lines, options, match):
    with pytest.raises(qv.DataError, match=match):
        qv.from_csv(write(cars, lines), **options)


def test_a_file_that_is_no_utf8(cars):
    (cars / "labels.csv").write_bytes("file,label\n000.png,grün\n".encode("latin-1"))
    with pytest.raises(qv.DataError, match="expected a CSV file in UTF-8"):
        qv.from_csv(cars / "labels.csv")


def test_a_file_that_is_not_there(cars):
    write(cars, rows())
    with pytest.raises(qv.DataError, match=r"did you mean 'labels\.csv'"):
        qv.from_csv(cars / "label.csv")


def test_an_empty_frame():
    with pytest.raises(qv.DataError, match="expected rows in the table"):
        qv.from_df(pd.DataFrame({"file": [], "label": []}))


def test_a_picture_outside_the_table_has_no_label(cars):
    listing = list_csv(write(cars, rows()))
    with pytest.raises(qv.DataError, match=r"expected a picture of the table, got .*new\.png"):
        listing.get_y(cars / "images" / "new.png")


def test_two_columns_for_the_split(cars):
    with pytest.raises(ValueError, match="expected one column"):
        qv.from_csv(write(cars, rows()), valid="a", valid_col="b")


def test_an_index_column_names_no_pictures(tmp_path, picture):
    for i in range(20):
        picture(tmp_path / f"{i}.png", ("red", "green")[i % 2], seed=i)
    order = [(7 * i + 3) % 20 for i in range(20)]
    rows = [f"{row},{i}.png,{('red', 'green')[i % 2]}" for row, i in enumerate(order)]
    listing = list_csv(write(tmp_path, [",image,label", *rows]))
    for name, label in zip(listing.names, listing.labels, strict=True):
        assert label == ("red", "green")[int(name[:-4]) % 2]


@pytest.mark.filterwarnings("default::quickvision.DataWarning")
def test_a_column_for_the_split_that_is_not_used_is_said(cars):
    csv = write(cars, ["file,label,is_valid", *rows(more=lambda i: f",{i % 2}")])
    with pytest.warns(qv.DataWarning, match="'is_valid' of .* is not used; valid_col='is_valid'"):
        qv.from_csv(csv, size=32, bs=4)
    with pytest.warns(qv.DataWarning, match="'is_valid' of the table is not used"):
        qv.from_df(pd.read_csv(csv), images=cars, size=32, bs=4)


@pytest.mark.parametrize("valid", [0.2, [f"{i:03d}.png" for i in range(6)]])
def test_it_is_not_said_to_those_who_say_who_is_held_out(cars, valid, recwarn):
    csv = write(cars, ["file,label,fold", *rows(more=lambda i: f",{i % 5}")])
    qv.from_csv(csv, size=32, bs=4, valid=valid)
    qv.load_data(csv, size=32, bs=4, valid=valid, verbose=False)
    qv.from_df(pd.read_csv(csv), images=cars / "images", size=32, bs=4, valid=valid)
    assert not [said for said in recwarn if "is not used" in str(said.message)]


def test_rows_without_a_group(cars):
    csv = write(cars, ["file,label,car", *rows(more=lambda i: f",{i // 6 if i % 7 else ''}")])
    with pytest.raises(qv.DataError, match="expected a group for each picture, got none for"):
        qv.from_csv(csv, label_col="label", groups="car", size=32)


def test_excels_way_of_writing(cars):
    lines = ["sep=;", "file;label", *(row.replace(",", ";") for row in rows())]
    assert len(list_csv(write(cars, lines, encoding="utf-8-sig")).names) == 30


def test_windows_ways_of_writing(cars):
    lines = [f"images\\{row}" for row in rows()]
    assert list_csv(write(cars, lines)).names[0] == "images/000.png"
    assert len(list_csv(write(cars, rows(suffix="")), suffix="png").names) == 30


@pytest.mark.parametrize(
    ("df", "error", "match"),
    [
        (pd.Series(["a.png"]), TypeError, "expected a DataFrame, got Series"),
        (pd.DataFrame([["a", "b"]], columns=["x", "x"]), qv.DataError, "got two 'x'"),
    ],
)
def test_what_is_no_table(df, error, match):
    with pytest.raises(error, match=match):
        qv.from_df(df)


def test_missing_values_of_any_kind_are_no_label(cars):
    names = [f"{i:03d}.png" for i in range(4)]
    for values in (
        pd.Series([1, 2, None, 1], dtype="Int64"),
        pd.Series([1, 2, None, 1], dtype="Float32"),
        pd.Series(["1", "2", None, "1"], dtype="category"),
    ):
        df = pd.DataFrame({"file": names, "label": values})
        assert list_df(df, images=cars / "images").labels == ["1", "2", "", "1"]


def test_a_picture_by_its_whole_path(cars, monkeypatch):
    monkeypatch.chdir(cars)
    listing = list_csv(write(cars, rows()), images="images")
    assert listing.get_y("images/000.png") == listing.get_y(cars / "images" / "000.png") == "red"


def test_a_listing_says_where_labels_and_split_come_from(cars):
    csv = write(cars, ["file,label,is_valid", *rows(more=lambda i: f",{i % 2}")])
    listing = list_csv(csv, valid_col="is_valid")
    assert listing.labels_from == f"column 'label' of {csv}"
    assert listing.split_from == f"column 'is_valid' of {csv}"
    csv = write(cars, rows())
    assert (list_csv(csv).labels_from, list_csv(csv).split_from) == (
        f"column number 1 of {csv}",
        "",
    )


def test_rows_that_cannot_be_read_are_left_out_where_they_are_few(cars):
    csv = write(cars, ["file,label", *rows(more=lambda i: ",x" if i in (4, 9) else "")])
    with pytest.raises(qv.DataError, match=r"in row 6, 11; put .*max_bad=0.07\)"):
        qv.from_csv(csv, size=32)
    with pytest.warns(qv.DataWarning, match="left out: row 6, 11"):
        assert len(qv.from_csv(csv, size=32, bs=4, max_bad=0.07).split) == 28


def test_a_picture_with_two_rows_of_other_labels_names_the_rows(cars):
    csv = write(cars, ["file,label", *rows(), "003.png,blue"])
    with pytest.raises(qv.DataError, match=r"003\.png is .* in row 5 and 'blue' in row 32 of"):
        list_csv(csv)


def test_labels_in_two_spellings_of_unicode_are_one_class(cars):
    names = ("caf\u00e9", "cafe\u0301", "tea")
    listing = list_csv(write(cars, ["file,label", *rows(label=lambda i: names[i % 3])]))
    assert set(listing.labels) == {"caf\u00e9", "tea"}


def test_a_first_row_whose_picture_is_missing_is_no_header(cars):
    csv = write(cars, ["gone.png,red", *rows()])
    assert list_csv(csv).left_out == {"gone.png": "no such file"}


def test_no_table_beside_is_asked_where_a_column_holds_out(cars):
    write(cars, ["file,label", *rows()], "valid.csv")
    csv = write(cars, ["file,label,v", *rows(more=lambda i: f",{i % 2}")], "train.csv")
    assert sum(list_csv(csv, valid_col="v").held) == 15


def test_a_table_of_the_same_name_in_the_other_sides_folder_is_held_out(tmp_path, picture):
    for side, n in (("train", 6), ("validation", 4)):
        for i in range(n):
            picture(tmp_path / side / f"{i}.png", seed=10 * n + i)
        rows = [f"{i}.png,{'ab'[i % 2]}" for i in range(n)]
        (tmp_path / side / "metadata.csv").write_text("\n".join(["file_name,label", *rows, ""]))
    dls = qv.load_data(tmp_path, size=8, verbose=False)
    assert (len(dls.train_ds), len(dls.valid_ds)) == (6, 4)
    assert all(p.startswith("validation/") for p in dls.split.path[dls.split.valid])


def test_tables_in_a_folder_of_their_own_find_pictures_beside_it(tmp_path, picture):
    for i in range(10):
        picture(tmp_path / "Task3_Input" / f"x{i}.png", seed=i)
    rows = [f"x{i},{'ab'[i % 2]}" for i in range(10)]
    (tmp_path / "Task3_Truth").mkdir()
    csv = tmp_path / "Task3_Truth" / "truth.csv"
    csv.write_text("\n".join(["image,label", *rows, ""]))
    assert len(qv.from_csv(csv, size=8).split) == 10
