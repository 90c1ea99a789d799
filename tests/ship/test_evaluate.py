from __future__ import annotations

import shutil
import types
import unicodedata

import numpy as np
import pandas as pd
import pytest

import quickvision as qv


@pytest.fixture(scope="module")
def ask(model_folder):
    return qv.load_model(model_folder)


@pytest.fixture
def unseen(tmp_path, picture):
    """`data/test`: eight pictures of three classes."""
    root = tmp_path / "data" / "test"
    for colour, n in {"red": 4, "green": 3, "blue": 1}.items():
        for i in range(n):
            picture(root / colour / f"{i}.png", colour, seed=500 + i)
    return root


def quiet(*args, **kwargs):
    return qv.evaluate(*args, verbose=False, **kwargs)


def test_class_folders_are_compared_by_name(ask, unseen):
    preds = quiet(ask, unseen)
    table = preds.to_frame()
    assert preds.vocab == ("blue", "green", "red")
    assert table["actual"].tolist() == [path.split("/")[0] for path in table["path"]]
    assert sorted(table["path"])[:2] == ["blue/0.png", "green/0.png"]
    probs = ask.predict_proba([unseen / path for path in table["path"]])
    np.testing.assert_allclose(preds.probs, probs, atol=1e-6)
    actual = probs[np.arange(8), preds.targs]
    np.testing.assert_allclose(preds.losses, -np.log(actual), atol=1e-5)
    assert preds.accuracy.n == 8
    assert qv.class_report(preds)["support"].tolist() == [1, 3, 4]


def test_a_model_may_be_anything_that_answers(model_folder, unseen, learn, capsys):
    folder = qv.evaluate(model_folder, unseen)
    assert "labels       the folders in " in (said := capsys.readouterr().out)
    assert "pictures     8, of 3 of the model's 3 classes" in said
    assert len(folder) == 8
    run = types.SimpleNamespace(learn=learn)
    one, two = quiet(run, unseen), quiet(learn, unseen, bs=3)
    np.testing.assert_allclose(one.probs, two.probs, atol=1e-5)


def test_tables_and_names_are_read_as_the_doors_read_them(ask, unseen, tmp_path):
    expected = quiet(ask, unseen).to_frame().set_index("path")["loss"]
    table = pd.DataFrame({"file": expected.index, "label": expected.index.str.split("/").str[0]})
    table.to_csv(unseen / "labels.csv", index=False)
    csv = quiet(ask, unseen / "labels.csv")
    frame = quiet(ask, table, images=unseen, fn_col="file", label_col="label")
    names = quiet(ask, unseen, pat=r"/(\w+)/\d\.png$")
    for preds in (csv, frame, names):
        found = preds.to_frame().set_index("path")["loss"]
        np.testing.assert_allclose(found[expected.index], expected, atol=1e-6)


def test_the_labels_of_a_table_may_be_numbers(ask, unseen):
    names = [p.relative_to(unseen).as_posix() for p in sorted(unseen.rglob("*.png"))]
    number = {"red": 1, "green": 2, "blue": 3}
    frame = pd.DataFrame({"file": names, "label": [number[n.split("/")[0]] for n in names]})
    how = {"images": unseen, "fn_col": "file", "label_col": "label"}
    preds = quiet(ask, frame, class_names=["red", "green", "blue"], **how)
    table = preds.to_frame()
    assert table["actual"].tolist() == [path.split("/")[0] for path in table["path"]]
    with pytest.raises(qv.DataError, match=r"got pictures in .* 3 others: 1 \(4\).*class_names='"):
        quiet(ask, frame, **how)


def test_unknown_classes_are_named_and_may_be_skipped(ask, unseen, picture):
    picture(unseen / "puma" / "1.png")
    picture(unseen / "puma" / "2.png")
    (unseen / "red").rename(unseen / "Red")
    with pytest.raises(
        qv.DataError,
        match=r"expected classes of the model \(blue, green, red\), got .* of 2 others:"
        r" Red \(4; did you mean 'red'\?\), puma \(2\); rename .* skip_unknown=True",
    ):
        quiet(ask, unseen)
    with pytest.warns(qv.DataWarning, match=r"left out 6 of 10 pictures, .* Red \(4\), puma \(2\)"):
        assert len(quiet(ask, unseen, skip_unknown=True)) == 4
    with pytest.warns(qv.DataWarning, match=r"left out 2 of 10 pictures, .* puma \(2\)"):
        preds = quiet(ask, unseen, class_names={"Red": "red", "puma": "puma"}, skip_unknown=True)
    assert len(preds) == 8


def test_where_the_model_knows_no_class_nothing_can_be_skipped(ask, tmp_path, picture):
    for name in ("lynx", "puma"):
        picture(tmp_path / "other" / name / "1.png")
        picture(tmp_path / "other" / name / "2.png")
    with pytest.raises(qv.DataError, match="2 others: lynx"):
        quiet(ask, tmp_path / "other", skip_unknown=True)


def test_one_class_alone_is_evaluated(ask, unseen):
    shutil.rmtree(unseen / "green")
    shutil.rmtree(unseen / "blue")
    preds = quiet(ask, unseen)
    assert preds.to_frame()["actual"].unique().tolist() == ["red"]
    assert len(quiet(ask, unseen.parent)) == 4  # `data`, which holds `test` alone


def test_a_folder_with_several_sides_is_refused(ask, unseen, picture):
    for colour in ("red", "green", "blue"):
        picture(unseen.parent / "train" / colour / "1.png", colour)
        picture(unseen.parent / "train" / colour / "2.png", colour)
    with pytest.raises(qv.DataError, match="of one side, got test, train in .*data.test'$"):
        quiet(ask, unseen.parent)
    shutil.copytree(unseen, unseen.parent / "val")
    with pytest.raises(qv.DataError, match="of one side, got test, train, val in .*data.test'$"):
        quiet(ask, unseen.parent)
    shutil.rmtree(unseen.parent / "train")
    with pytest.raises(qv.DataError, match="of one side, got test, val in .*data.test'$"):
        quiet(ask, unseen.parent)


def test_a_train_side_beside_pictures_without_labels_is_not_taken_in_silence(ask, unseen, picture):
    unseen.rename(unseen.with_name("train"))
    picture(unseen.with_name("test") / "1.png")
    with pytest.raises(qv.DataError, match="of one side, got test, train in"):
        quiet(ask, unseen.parent)


def test_bad_files_are_left_out_and_named(ask, unseen):
    for i in range(4):
        (unseen / "red" / f"bad{i}.png").write_text("no picture")
    with pytest.warns(
        qv.DataWarning, match=r"left out 4 of 12 pictures: red/bad0.png \(.*and 1 more"
    ):
        assert len(quiet(ask, unseen)) == 8
    for file in unseen.rglob("*.png"):
        file.write_text("no picture")
    with pytest.raises(qv.DataError, match="that can be read, got none: blue/0.png"):
        quiet(ask, unseen)


def test_accents_are_the_same_in_both_spellings(tmp_path, picture, tiny_net):
    for name, colour in (("café", "red"), ("thé", "blue")):
        for i in range(4):
            other = unicodedata.normalize("NFD", name)
            picture(tmp_path / "a" / name / f"{i}.png", colour, seed=i)
            picture(tmp_path / "b" / other / f"{i}.png", colour, seed=9 + i)
    dls = qv.from_folder(tmp_path / "a", size=32, bs=2)
    preds = quiet(qv.cnn_learner(dls, tiny_net, weights=None), tmp_path / "b")
    assert preds.targs.tolist() == [0] * 4 + [1] * 4


def test_pictures_that_were_trained_on_are_said(learn, class_folders):
    n = len(learn.dls.train_ds)
    with pytest.warns(qv.DataWarning, match=f"{n} of 36 pictures are among those that the model"):
        assert len(quiet(learn, class_folders)) == 36


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"images": "x"}, "images: goes with a CSV file or a DataFrame, got"),
        ({"bs": 0}, "bs: expected a whole number from 1, got 0"),
    ],
)
def test_options_that_do_not_fit(ask, unseen, options, says):
    with pytest.raises(ValueError, match=says):
        quiet(ask, unseen, **options)
    with pytest.raises(ValueError, match="pat: goes with a folder, got a table"):
        quiet(ask, pd.DataFrame({"file": ["a"]}), pat="(.)")


def test_nothing_there(ask, tmp_path):
    with pytest.raises(qv.DataError, match="got nothing at .*gone"):
        quiet(ask, tmp_path / "gone")
    with pytest.raises(TypeError, match="data: expected a path"):
        quiet(ask, 3)
