from __future__ import annotations

import copy
import os
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickvision.base.tables import Table, shorten, shorten_all, width_of

LONG = "hymenoptera/val/bees/10870992_eebeeb3a12_of_a_very_long_series_of_photos.jpg"


@pytest.fixture(autouse=True)
def eighty(monkeypatch):
    """A terminal of eighty columns."""
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: os.terminal_size((80, 24)))


@pytest.fixture
def worst():
    return Table(
        {
            "path": [LONG, "val/ants/8124241_36b290d372.jpg"],
            "actual": ["bees", "ants"],
            "predicted": ["ants", "bees"],
            "prob": np.array([0.98765432, 0.5], np.float32),
            "loss": [4.3998765, 0.00001234],
        },
        index=[17, 3],
    )


def test_the_answer_is_in_sight_at_eighty_columns(worst):
    lines = repr(worst).splitlines()
    assert lines[0].split() == ["path", "actual", "predicted", "prob", "loss"]
    assert max(map(len, lines)) <= 80
    assert lines[1].split()[2:] == ["bees", "ants", "0.988", "4.400"]
    assert lines[2].split() == [
        "3",
        "val/ants/8124241_36b290d372.jpg",
        "ants",
        "bees",
        "0.500",
        "1e-05",
    ]
    assert len(lines) == 3


def test_of_a_path_both_ends_are_kept(worst):
    shown = repr(worst).splitlines()[1].split()[1]
    assert shown.startswith("hymen")
    assert shown.endswith("photos.jpg")
    assert "..." in shown
    short = Table({"path": [f"{'deep/' * 20}cat.jpg"], "x": [1]})
    assert "...deep/cat.jpg" in repr(short) or ".../cat.jpg" in repr(short)


def test_the_columns_of_a_history_fit():
    row = {"stage": "unfrozen", "epoch": 10, "train_loss": 0.123456, "valid_loss": 0.234567}
    row |= {"accuracy": 0.947712, "lr": 1.234e-5, "seconds": 12.34567, "cached": False}
    lines = repr(Table([row] * 3)).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 4
    assert lines[1].split() == [
        "0",
        "unfrozen",
        "10",
        "0.123",
        "0.235",
        "0.948",
        "1.2e-05",
        "12.346",
        "False",
    ]


def test_what_does_not_fit_goes_below(worst):
    wide = Table({f"metric_number_{i}": [0.5] for i in range(8)})
    lines = repr(wide).splitlines()
    assert max(map(len, lines)) <= 80
    assert {*wide} <= {*repr(wide).split()}
    assert "" in lines


def test_a_sentence_is_not_cut_where_it_has_room_below():
    why = "8 of its 10 nearest pictures are labelled samoyed, none husky"
    names = {"path": ["husky_1.jpg"], "label": ["husky"], "suggested": ["samoyed"]}
    shown = repr(Table({**names, "score": [0.02], "why": [why]})).splitlines()
    assert [line.split() for line in shown[:2]] == [
        ["path", "label", "suggested", "score"],
        ["0", "husky_1.jpg", "husky", "samoyed", "0.020"],
    ]
    assert shown[-1] == f"0  {why}"
    car = "Ram C/V Cargo Van Minivan 2012 with a roof"  # a name is shortened beside the others
    cars = Table({"path": ["a/b/c/d/e.jpg"], "label": [car[:40]], "predicted": [car[:38]]})
    assert len(repr(cars).splitlines()) == 2


def test_many_rows_are_cut_in_the_middle_and_counted():
    table = Table({"path": [f"{i}.jpg" for i in range(1478)], "loss": np.arange(1478.0)})
    lines = repr(table).splitlines()
    assert lines[1].split() == ["0", "0.jpg", "0.0"]
    assert lines[-3].split() == ["1477", "1477.jpg", "1477.0"]
    assert lines[6].split() == ["..."] * 3
    assert lines[-1] == "[1,478 rows x 2 columns]"
    with pd.option_context("display.max_rows", None):
        assert len(repr(table).splitlines()) == 1479
    with pd.option_context("display.max_rows", 4, "display.min_rows", 2):
        assert len(repr(table).splitlines()) == 6


def test_many_columns_leave_the_first_ones_in_sight():
    table = Table(
        {"path": ["a.jpg"], "predicted": ["cat"]} | {f"prob_{i}": [0.1] for i in range(200)}
    )
    assert "predicted" in repr(table)
    assert "[1 rows x 202 columns]" in repr(table)


def test_the_values_stay_as_they_are(worst):
    assert worst.loc[17, "path"] == LONG
    assert LONG in worst.to_string()
    assert LONG in worst.to_csv()
    assert "0.9876543" in worst.to_csv()
    assert "1.234e-05" in worst.to_csv()
    assert worst["loss"].iloc[0] == 4.3998765


def test_it_is_a_data_frame_for_all_that_takes_one(worst):
    plain = pd.DataFrame(worst)
    assert type(plain) is pd.DataFrame
    assert isinstance(worst, pd.DataFrame)
    pd.testing.assert_frame_equal(worst, plain)
    labels = pd.DataFrame({"actual": ["ants", "bees"], "n": [1, 2]})
    for made in (
        worst.head(1), worst[worst.loss > 1], worst.sort_values("loss"), worst[["path", "loss"]],
        worst.merge(labels), worst.set_index("path"), pd.concat([worst, plain]), copy.copy(worst),
    ):  # fmt: skip
        assert type(made) is Table
        assert repr(made)
    assert labels.merge(worst)["loss"].tolist() == [0.00001234, 4.3998765]
    assert worst.groupby("actual")["loss"].max().to_dict() == {
        "ants": 0.00001234,
        "bees": 4.3998765,
    }
    assert worst.to_dict("records")[1]["path"] == "val/ants/8124241_36b290d372.jpg"


def test_a_pickle_needs_no_quickvision(worst):
    worst.attrs["of"] = "pets"
    packed = pickle.dumps(worst)
    assert b"quickvision" not in packed
    back = pickle.loads(packed)
    assert type(back) is pd.DataFrame
    assert back.attrs == {"of": "pets"}
    pd.testing.assert_frame_equal(back, pd.DataFrame(worst))


def test_a_notebook_shows_it_short_and_escaped():
    table = Table({"path": [f"{'a' * 90}.jpg"], "actual": ["<script>$x$"], "loss": [0.123456]})
    page = table._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "tex2jax_ignore" in page or "mathjax_ignore" in page
    assert "a" * 60 not in page
    assert "0.123<" in page
    with pd.option_context("display.notebook_repr_html", False):
        assert table._repr_html_() is None


def test_a_notebook_cuts_rows_as_well():
    page = Table({"x": range(500)})._repr_html_()
    assert page.count("<tr") == 12
    assert "500 rows x 1 columns" in page


@pytest.mark.parametrize(
    "table",
    [
        Table({"path": [], "loss": []}),
        Table(index=[1, 2]),
        Table({"a": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)])),
        Table([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])),
    ],
)
def test_other_shapes_are_shown_by_pandas(table):
    assert repr(table) == repr(pd.DataFrame(table))
    assert table._repr_html_() == pd.DataFrame(table)._repr_html_()


def test_columns_of_one_name_and_of_no_text():
    table = Table([[1, 2.5, None]], columns=["a", "a", 3])
    assert repr(table).splitlines()[0].split() == ["a", "a", "3"]
    assert repr(table).splitlines()[1].split() == ["0", "1", "2.500", "None"]


def test_the_name_of_the_index_stands_above_it():
    table = Table({"recall": [0.5]}, index=pd.Index(["cat"], name="class"))
    assert repr(table).splitlines()[0].split() == ["class", "recall"]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.5, 0.0], ["0.500", "0.000"]),
        ([-0.0, 1.0], ["0.000", "1.000"]),
        ([0.5, 0.0001], ["0.500", "1e-04"]),
        ([1.6e-4, 2e-3], ["1.6e-04", "2.0e-03"]),
        ([1234.5678, 1.0], ["1234.6", "1.0"]),
        ([123456.7, 1.0], ["123457", "1"]),
        ([1e12, 1.0], ["1.0e+12", "1.0e+00"]),
        ([float("nan"), float("inf")], ["nan", "inf"]),
    ],
)
def test_figures_are_rounded_to_what_is_read(values, shown):
    lines = repr(Table({"x": values})).splitlines()[1:]
    assert [line.split()[1] for line in lines] == shown


def test_letters_that_take_two_columns_line_up():
    lines = repr(Table({"actual": ["止血钳", "cat"], "n": [1, 2]})).splitlines()
    assert {width_of(line) for line in lines} == {width_of(lines[0])}


def test_a_name_cannot_move_the_cursor():
    shown = repr(Table({"path": ["a\x1b[2Jb\n.jpg", "\udcff.png", "x\u202egpj"]}))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert len(shown.splitlines()) == 4
    shown.encode()


def test_pandas_own_width_comes_first(worst):
    with pd.option_context("display.width", 200):
        assert LONG in repr(worst)


@given(st.text(st.characters(exclude_characters="."), max_size=60), st.integers(5, 40))
def test_what_is_shortened_fits_and_keeps_both_ends(text, width):
    short = shorten(text, width)
    assert width_of(short) <= width
    if width_of(text) <= width:
        assert short == text
    else:
        first, _, last = short.partition("...")
        assert text.startswith(first)
        assert text.endswith(last) or text.strip().endswith(last.strip())


@given(st.lists(st.text("abc ", min_size=1, max_size=30), max_size=12), st.integers(5, 20))
def test_names_that_differ_look_different(texts, width):
    short = shorten_all(texts, width)
    assert len(short) == len(texts)
    assert len(set(short)) == len(set(texts))


def test_names_are_made_longer_where_they_would_look_alike():
    names = ["Audi TTS Coupe, the first 2012", "Audi TTS Coupe, the third 2012"]
    assert len({shorten(name, 12) for name in names}) == 1
    assert len(set(shorten_all(names, 12))) == 2
