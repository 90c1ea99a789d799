from __future__ import annotations

import pandas as pd
import pytest

import quickvision as qv

COLOURS = ("red", "green", "blue", "red")


@pytest.fixture(scope="module")
def ask(model_folder):
    return qv.load_model(model_folder)


@pytest.fixture
def unlabelled(tmp_path, picture):
    """Pictures `1.png`, `2.png`, `3.png` and `10.png`."""
    for number, colour in zip((1, 2, 3, 10), COLOURS, strict=True):
        picture(tmp_path / "test" / f"{number}.png", colour, seed=900 + number)
    return tmp_path / "test"


@pytest.fixture
def said(ask, unlabelled):
    """The label of each picture by its number."""
    return {n: ask.predict(unlabelled / f"{n}.png").label for n in (1, 2, 3, 10)}


@pytest.fixture
def hand_in(ask, unlabelled, tmp_path):
    """Write a submission; return it as text."""

    def write(sample=None, **options):
        if sample is not None:
            options["like"] = tmp_path / "sample.csv"
            options["like"].write_text(sample)
        out = tmp_path / "out.csv"
        assert qv.submit(ask, unlabelled, out, verbose=False, **options) == out
        return out.read_bytes().decode()

    return write


def test_without_a_sample_pictures_are_in_the_order_of_their_numbers(hand_in, said):
    assert hand_in() == "id,label\n" + "".join(f"{n}.png,{said[n]}\n" for n in said)


def test_classes_counted_from_one(hand_in, said):
    place = {"blue": 1, "green": 2, "red": 3}
    expected = "Id,Predicted\n" + "".join(f"{n},{place[said[n]]}\n" for n in said)
    assert hand_in(id_col="Id", label_col="Predicted", ids="number", first=1) == expected
    assert hand_in(id_col="Id", label_col="Predicted", ids="stem", first=1) == expected


@pytest.mark.parametrize(
    "how",
    [
        {"class_names": ["red", "green", "blue"], "first": 0},
        {"class_names": {0: "red", 1: "green", 2: "blue"}},
        {"class_names": {"red": 0, "green": 1, "blue": 2}},
        {"class_names": "two.csv"},
        {"class_names": "one.csv", "first": 0},
    ],
)
def test_numbers_go_back_to_what_class_names_came_from(hand_in, said, tmp_path, monkeypatch, how):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.csv").write_text("code,name\n0,red\n1,green\n2,blue\n")
    (tmp_path / "one.csv").write_text("name\nred\ngreen\nblue\n")
    place = {"red": 0, "green": 1, "blue": 2}
    assert hand_in(**how) == "id,label\n" + "".join(f"{n}.png,{place[said[n]]}\n" for n in said)


def test_class_names_that_lack_a_class(hand_in):
    with pytest.raises(qv.DataError, match=r"class_names: expected .* 3 classes, got none of red"):
        hand_in(class_names=["blue", "green", "reds"], first=1)
    with pytest.raises(ValueError, match="first: expected 0 or 1, what the first of class_names"):
        hand_in(class_names=["blue", "green", "red"])


def test_a_column_of_probabilities_for_each_class(hand_in, ask, unlabelled):
    text = hand_in(probs=True, ids="stem")
    assert text.startswith("id,blue,green,red\n1,")
    table = pd.read_csv(unlabelled.parent / "out.csv", index_col="id")
    assert table.index.tolist() == [1, 2, 3, 10]
    assert table.loc[10].to_dict() == pytest.approx(ask.predict(unlabelled / "10.png").probs)


@pytest.mark.parametrize("way", ["{}", "{}.png", "test/{}.png", "00{}", "./{}.jpg", "{}.PNG"])
def test_the_samples_ids_and_their_order_stay_as_they_are(hand_in, said, way):
    ids = {way.format(n): n for n in (10, 2, 1, 3)}
    sample = "image_id,species\n" + "".join(f"{text},red\n" for text in ids)
    expected = "image_id,species\n" + "".join(f"{text},{said[n]}\n" for text, n in ids.items())
    assert hand_in(sample) == expected


def test_the_samples_columns_of_classes_get_probabilities(hand_in, ask, unlabelled):
    sample = "red,id,blue,green\n" + "".join(f"0,{n},0,1\n" for n in (3, 10, 1, 2))
    assert hand_in(sample, id_col="id").startswith("red,id,blue,green\n")
    table = pd.read_csv(unlabelled.parent / "out.csv", index_col="id")
    assert table.index.tolist() == [3, 10, 1, 2]
    assert table.loc[2].to_dict() == pytest.approx(ask.predict(unlabelled / "2.png").probs)
    sample = "id,c1,c2,c3\n" + "".join(f"{n},0,0,1\n" for n in (3, 10, 1, 2))
    with pytest.raises(qv.DataError, match="got c1, c2, c3, and none for blue, green, red; id_col"):
        hand_in(sample)
    with pytest.raises(qv.DataError, match="got 0, 1, 2, and none for .*; first=0 or first=1 says"):
        hand_in(sample.replace("c1,c2,c3", "0,1,2"))
    assert hand_in(sample.replace("c1,c2,c3", "0,1,2"), first=0).startswith("id,0,1,2\n3,")


def test_a_sample_that_counts_classes_wants_to_know_from_where(hand_in, said):
    sample = "id,label\n" + "".join(f"{n},0\n" for n in said)
    with pytest.raises(qv.DataError, match="numbers such as 0 for classes with names .*first=0 or"):
        hand_in(sample)
    place = {"blue": 0, "green": 1, "red": 2}
    assert hand_in(sample, first=0) == "id,label\n" + "".join(
        f"{n},{place[said[n]]}\n" for n in said
    )


def test_a_sample_of_one_class_s_probability(hand_in, ask, unlabelled):
    sample = "id,label\n1,0.5\n2,0.5\n3,0.5\n10,0.5\n"
    with pytest.raises(qv.DataError, match="numbers such as 0.5, which look .* positive='red'"):
        hand_in(sample)
    hand_in(sample, positive="blue")
    table = pd.read_csv(unlabelled.parent / "out.csv", index_col="id")["label"]
    assert table[3] == pytest.approx(ask.predict(unlabelled / "3.png").probs["blue"])
    with pytest.raises(ValueError, match="expected a class of the model, got 'blu'; did you mean"):
        hand_in(sample, positive="blu")


def test_a_sample_with_other_names_is_said(hand_in, said):
    sample = "id,label\n" + "".join(f"{n},cat\n" for n in said)
    with pytest.warns(qv.DataWarning, match="has cat, none of which the model knows"):
        assert "1," + said[1] in hand_in(sample)
    with pytest.raises(ValueError, match="first: goes with a sample whose labels are numbers"):
        hand_in(sample, first=1)


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        ("id,label\n1,red\n2,red\n", "2 pictures without an id: 10.png, 3.png; give the folder"),
        ("id,label\n1,a\n2,a\n3,a\n10,a\n4,a\n", "1 id without a picture: 4; give"),
        ("id,label\n1,a\n1,a\n", "expected each id in .*sample.csv once, got 1 twice: 1"),
        ("id,label\n1,a\n1.png,a\n", "each picture once, got 1 twice: 1.png"),
        ("id,label\na,a\nb,a\n", "2 ids without a picture: a, b; and 4 pictures without an id"),
        ("id\n1\n2\n", r"expected a column beside the ids in .*, got \['id'\] alone"),
        ("id,label\n1\n", "with a name of its own for each column, and rows of as many cells"),
        ("id,label\n", "got 0 rows under"),
    ],
)
def test_ids_and_pictures_belong_together(hand_in, tmp_path, sample, says):
    with pytest.raises(qv.DataError, match=says):
        hand_in(sample)
    assert not (tmp_path / "out.csv").exists()


def test_two_pictures_for_an_id(hand_in, unlabelled, picture):
    sample = "id,label\n1,red\n2,red\n3,red\n10,red\n"
    picture(unlabelled / "more" / "1.png")
    with pytest.raises(qv.DataError, match="got 1 picture without an id: more/1.png; give"):
        hand_in(sample)
    with pytest.raises(qv.DataError, match="expected each id of the pictures once, got 1 twice: 1"):
        hand_in(ids="number")
    assert "more/1.png" in hand_in()
    picture(unlabelled / "1.bmp")
    with pytest.raises(qv.DataError, match="got 1.bmp, 1.png for '1'"):
        hand_in(sample)


def test_columns_that_are_asked_for(hand_in, said):
    sample = "row,name,class\n" + "".join(f"{i},{n},red\n" for i, n in enumerate(said))
    with pytest.raises(qv.DataError, match="id_col: expected a column of .*; did you mean 'name'"):
        hand_in(sample, id_col="nam")
    with pytest.raises(qv.DataError, match="the one column beside the ids in .*, got row too"):
        hand_in(sample, id_col="name", label_col="class")


def test_bad_pictures_are_named_and_nothing_is_written(hand_in, unlabelled, tmp_path):
    (tmp_path / "out.csv").write_text("as it was")
    (unlabelled / "2.png").write_text("no picture")
    with pytest.raises(qv.DataError, match=r"can be read, got 1 of 4 that cannot: 2.png \(.*mend"):
        hand_in()
    assert (tmp_path / "out.csv").read_text() == "as it was"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ids": "names"}, "ids: expected 'name', 'stem' or 'number', got 'names'"),
        ({"first": -1}, "first: expected a whole number from 0"),
        ({"probs": True, "first": 1}, "first: goes with labels, got probs=True"),
        ({"probs": True, "positive": "red"}, "positive: goes without probs"),
        ({"probs": True, "id_col": "red"}, "id_col: expected another name than a class's"),
        ({"first": 1, "class_names": {1: "red", 2: "blue", 3: "green"}}, "first: goes with"),
    ],
)
def test_options_that_do_not_go_together(hand_in, options, says):
    with pytest.raises(ValueError, match=says):
        hand_in(**options)
    if "probs" in options:
        with pytest.raises(ValueError, match="probs: goes without like"):
            hand_in("id,label\n1,red\n", probs=True)


def test_the_sample_itself_is_not_overwritten(ask, unlabelled, tmp_path):
    (tmp_path / "sample.csv").write_text("id,label\n1,red\n")
    with pytest.raises(ValueError, match="path: expected another file than the sample"):
        qv.submit(ask, unlabelled, tmp_path / "sample.csv", like=tmp_path / "sample.csv")


def test_what_numbers_stand_for_is_said(ask, unlabelled, tmp_path, capsys):
    qv.submit(ask, unlabelled, tmp_path / "out.csv", first=1)
    said = capsys.readouterr().out
    assert said.startswith("written      ")
    assert said.endswith("out.csv: 4 rows of id, label; 1 for blue, 2 for green, 3 for red\n")


def test_names_with_commas_are_quoted(tmp_path, unlabelled, picture, tiny_net):
    for name, colour in (("a, b", "red"), ("c", "blue")):
        for i in range(4):
            picture(tmp_path / "kinds" / name / f"{i}.png", colour, seed=i)
    dls = qv.from_folder(tmp_path / "kinds", size=32, bs=2)
    learn = qv.cnn_learner(dls, tiny_net, weights=None)
    table = pd.read_csv(qv.submit(learn, unlabelled, tmp_path / "new" / "out.csv", verbose=False))
    assert set(table["label"]) <= {"a, b", "c"}
    (tmp_path / "none").mkdir()
    with pytest.raises(qv.DataError, match="expected pictures in"):
        qv.submit(learn, tmp_path / "none", tmp_path / "out.csv")
