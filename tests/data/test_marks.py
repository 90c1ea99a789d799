from __future__ import annotations

import pandas as pd
import pytest

import quickvision as qv
from quickvision.data.tables import list_csv, list_df
from tests.made import files, table

N = 20


@pytest.fixture
def listed(tmp_path):
    """List twenty pictures, with a header and what follows each name."""
    files(tmp_path, [f"{i}.jpg" for i in range(N)])

    def read(header, row, **options):
        lines = [f"file,{header}", *(f"{i}.jpg,{row(i)}" for i in range(N))]
        return list_csv(table(tmp_path / "t.csv", lines), **options)

    return read


def pasted(text, made):
    """Run the call that an error ends with."""
    code = text[text.index("import pandas as pd") :].replace("qv.from_df(", "out = list_df(")
    exec(code, made)
    return made["out"]


def hot(i, n=3, of=3, one="1", none="0"):
    return ",".join(one if k == i % of else none for k in range(n))


@pytest.mark.parametrize(("one", "none"), [("1", "0"), ("1.0", "0.0"), ("True", "False")])
def test_columns_of_ones_are_classes(listed, one, none):
    listing = listed("rust,scab,ok", lambda i: hot(i, one=one, none=none))
    assert listing.labels[:4] == ["rust", "scab", "ok", "rust"]
    assert listing.labels_from.startswith("columns 'rust', 'scab', 'ok' of ")


def test_a_row_without_a_one_has_no_label(listed):
    listing = listed("rust,scab,ok", lambda i: hot(i, of=4))
    assert listing.left_out == {f"{i}.jpg": "no label" for i in range(3, N, 4)}


def test_numbers_beside_one_hot_columns_are_not_classes(listed):
    listing = listed("age,rust,scab,ok,id", lambda i: f"{20 + i % 7},{hot(i)},{100 + i}")
    assert set(listing.labels) == {"rust", "scab", "ok"}


def test_a_label_column_goes_before_columns_of_ones(listed):
    listing = listed("label,male,female", lambda i: f"{'xyz'[i % 3]},{hot(i, 2, 2)}")
    assert set(listing.labels) == {"x", "y", "z"}


def test_several_ones_in_a_row_are_refused(listed):
    with pytest.raises(
        qv.DataError,
        match=r"got several labels for a picture, which is not supported yet: the columns rust and"
        r" scab are 1 in one row, in rows 2, 7, 12, 17 of .*label_col='rust'\)",
    ):
        listed("rust,scab", lambda i: "1,1" if i % 5 == 0 else hot(i, 2, 2))


def test_flags_beside_words_are_no_classes(listed):
    with pytest.raises(qv.DataError, match=r"got \['flag', 'other', 'word'\]; say label_col="):
        listed("flag,other,word", lambda i: f"{i % 2},{int(i % 3 == 0)},{'xyz'[i % 3]}")


def test_a_class_without_pictures_is_one_of_the_columns(listed):
    listing = listed("rust,scab,none", lambda i: f"{hot(i, 2, 2)},0")
    assert set(listing.labels) == {"rust", "scab"}


def test_a_single_column_of_ones_is_a_label(listed):
    assert set(listed("has_cactus", lambda i: i % 2).labels) == {"0", "1"}


@pytest.mark.parametrize(
    "kinds",
    [
        ("a", "b", "a|b"),
        ("a", "b", "c", "a;b", "b;c"),
        ("a", "b", '"a, b"'),
        ("scab", "rust", "spot", "scab spot", "rust spot"),
        ("a|b", "b|a", "b|c", "c|a"),
        ("\"['a', 'b']\"", "['a']", "['b']"),
    ],
)
def test_several_labels_in_a_cell_are_refused_with_their_rows(listed, kinds):
    match = r"got several labels for a picture, .*: .* in column 'word' of .*, in rows"
    with pytest.raises(qv.DataError, match=match) as error:
        listed("word", lambda i: kinds[i % len(kinds)])
    assert len(pasted(str(error.value), {"list_df": list_df}).names) == N


@pytest.mark.parametrize(
    "kinds",
    [
        ("great dane", "pug", "great pyrenees"),
        ("ok", "not ok"),
        ("black cat", "cat", "black"),
        ("Audi TT 2011", "Audi TT 2012", "Audi"),
        ('"Ram C/V, Cargo"', '"Ram, Truck"', "Audi"),
        ("Apple|healthy", "Apple|scab", "Tomato|healthy", "Tomato|scab"),
        ("a & b", "a", "b"),
    ],
)
def test_labels_of_several_words_stay_labels(listed, kinds):
    assert set(listed("word", lambda i: kinds[i % len(kinds)]).labels) == {
        kind.strip('"') for kind in kinds
    }


@pytest.mark.parametrize(
    ("header", "row", "why"),
    [
        ("code", lambda i: f"x{i}", "with 20 values for 20 pictures, which is an id"),
        ("patient_id", lambda i: f"p{i % 4}", "which says who or where from"),
        ("score", lambda i: f"{i % 5}.5", "which are measured numbers, as 0.5, 1.5"),
        ("size", lambda i: f'"{i % 5},5"', "which are measured numbers"),
        ("age", lambda i: 20 + i % 5, "which are measured numbers, and no classes"),
    ],
)
def test_what_is_no_label_is_not_taken_unasked(listed, header, row, why):
    with pytest.raises(qv.DataError, match=f"got only '{header}', {why}"):
        listed(header, row)
    both = listed(f"{header},kind", lambda i: f"{row(i)},{'uv'[i % 2]}")
    assert set(both.labels) == {"u", "v"}
    if header != "code":
        assert len(set(listed(header, row, label_col=header).labels)) in (4, 5)


def test_an_id_that_is_asked_for_is_said_to_be_one(listed):
    with pytest.raises(
        qv.DataError,
        match=r"got 20 labels for 20 pictures, as .*: an id; say which .* label_col='kind'\)",
    ):
        listed("code,kind", lambda i: f"x{i},{'uv'[i % 2]}", label_col="code")


def test_a_frame_says_which_labels_pandas_lost(tmp_path):
    files(tmp_path, [f"{i}.jpg" for i in range(N)])
    lines = ["file,label", *(f"{i}.jpg,{('NA', 'cat', 'dog')[i % 3]}" for i in range(N))]
    path = table(tmp_path / "t.csv", lines)
    assert set(list_csv(path).labels) == {"NA", "cat", "dog"}
    with pytest.warns(qv.DataWarning, match="7 of 20 rows .* no label, but NaN.*keep_default_na"):
        assert set(list_df(pd.read_csv(path), images=tmp_path).labels) == {"", "cat", "dog"}


def test_the_column_that_is_named_is_not_the_same_everywhere(tmp_path, picture):
    names = [picture(tmp_path / f"{i}.png", seed=i).name for i in range(6)]
    frame = pd.DataFrame({"f": names, "ill": 1, "a": [0, 1] * 3, "b": [1, 0] * 3})
    with pytest.raises(qv.DataError, match="several labels.*label_col='a'"):
        qv.from_df(frame, images=tmp_path)
