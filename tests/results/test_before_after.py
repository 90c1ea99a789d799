from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import quickvision as qv
from quickvision.results.before_after import BeforeAfter, before_after

VOCAB = ("ant", "bee")


def preds(rows, vocab=VOCAB, root="/old"):
    """Predictions of rows `name, actual, predicted`."""
    actual, said = ([vocab.index(row[i]) for row in rows] for i in (1, 2))
    probs = np.eye(len(vocab), dtype=np.float32)[said] * 0.8 + 0.1
    losses = np.zeros(len(rows), dtype=np.float32)
    paths = tuple(Path(root) / row[0] for row in rows)
    return qv.Predictions(
        probs, np.array(actual, dtype=int), tuple(vocab), losses, paths, Path(root)
    )


# Ten pictures: 0 and 1 are relabelled from ant to bee, 9 is dropped.
OLD = preds(
    [
        *(("0", "ant", "bee"), ("1", "ant", "bee"), ("2", "ant", "ant"), ("3", "ant", "bee")),
        *(("4", "bee", "bee"), ("5", "bee", "bee"), ("6", "bee", "ant"), ("7", "ant", "ant")),
        *(("8", "bee", "bee"), ("9", "ant", "bee")),
    ]
)
NEW = preds(
    [
        *(("8", "bee", "bee"), ("7", "ant", "ant"), ("6", "bee", "bee"), ("5", "bee", "bee")),
        *(("4", "bee", "bee"), ("3", "ant", "ant"), ("2", "ant", "bee"), ("1", "bee", "bee")),
        ("0", "bee", "bee"),
    ],
    vocab=VOCAB[::-1],
    root="/moved/since",
)


@pytest.fixture
def found():
    return before_after(OLD, NEW)


def test_three_figures_of_the_same_pictures(found):
    assert found.old_on_old == qv.Accuracy(5, 9)
    assert found.old_on_new == qv.Accuracy(7, 9)
    assert found.new_on_new == qv.Accuracy(8, 9)
    rows = found.table.set_index("path").loc[["0", "3", "6", "2"]].to_numpy().tolist()
    assert rows == [
        ["ant", "bee", "bee", "bee"], ["ant", "ant", "bee", "ant"],
        ["bee", "bee", "ant", "bee"], ["ant", "ant", "ant", "bee"],
    ]  # fmt: skip
    assert found.relabelled["path"].tolist() == ["0", "1"]


def test_each_has_its_interval_and_n(found):
    shown = found.shown()
    assert shown[["model", "labels"]].to_numpy().tolist() == [
        ["old", "old"], ["old", "new"], ["new", "new"],
    ]  # fmt: skip
    assert shown["accuracy"].tolist() == [str(qv.Accuracy(n, 9)) for n in (5, 7, 8)]
    assert "n=9" in shown["accuracy"][0]
    assert all(line in str(found) for line in shown["accuracy"])


def test_p_is_of_the_models_by_the_new_labels_alone(found):
    assert found.p_value == pytest.approx(2 * binom.cdf(1, 3, 0.5))  # 3 and 6 mended, 2 lost
    names = [str(i) for i in range(18)]  # by the old labels the new model has 6 right, the old 12
    old = preds([(name, "ant", "ant" if int(name) < 12 else "bee") for name in names])
    new = preds(
        [(name, "bee", "bee") if int(name) < 12 else (name, "ant", "ant") for name in names]
    )
    assert before_after(old, new).p_value == pytest.approx(2 * 0.5**18)


def test_dropped_pictures_are_counted_apart(found):
    assert found.dropped.to_numpy().tolist() == [["9", "ant", "bee"]]
    assert found.reported == qv.Accuracy(5, 10)
    assert found.reported == OLD.accuracy
    assert (
        "Dropped, and in none of the three: 1 picture, of which the old model had 0 right"
        in str(found)
    )
    assert f"its own report, which counts it, says {OLD.accuracy}." in str(found)


def test_a_sentence_says_what_the_labels_did_and_what_the_model_did(found):
    first = found.sentences()[0]
    assert first == (
        "3 more right of 9 (+33.3 points): 2 more by the labels (2 labels changed), 1 more by the"
        " model (p 1.00: may be chance)."
    )


def test_the_parts_add_up_where_both_go_down():
    old = preds([("a", "ant", "ant"), ("b", "ant", "ant"), ("c", "bee", "bee")])
    new = preds([("a", "bee", "ant"), ("b", "ant", "bee"), ("c", "bee", "bee")])
    assert str(before_after(old, new)).splitlines()[-1] == (
        "2 fewer right of 3 (-66.7 points): 1 fewer by the labels (1 label changed), 1 fewer by the"
        " model (p 1.00: may be chance)."
    )


def test_a_sure_difference_is_called_so():
    old = preds([(str(i), "ant", "bee" if i < 12 else "ant") for i in range(40)])
    new = preds([(str(i), "ant", "ant") for i in range(40)])
    found = before_after(old, new)
    assert "12 more by the model (p < 0.01: hardly chance)" in str(found)
    assert found.p_value == pytest.approx(2 * 0.5**12)


def test_the_same_labels_to_the_last():
    new = preds([(p.name, VOCAB[t], "ant") for p, t in zip(OLD.paths, OLD.targs, strict=True)])
    found = before_after(OLD, new)
    assert "the labels are the same to the last, only the model changed: 1 more by the" in str(
        found
    )
    assert found.old_on_old == found.old_on_new
    less = preds(
        [(p.name, VOCAB[t], "ant") for p, t in zip(OLD.paths[1:], OLD.targs[1:], strict=True)]
    )
    assert "the labels that both have are the same to the last" in str(before_after(OLD, less))


def test_the_same_model():
    found = before_after(OLD, OLD)
    assert "none by the model, which says the same of each picture" in str(found)
    assert found.p_value == 1.0
    assert found.dropped.empty


def test_runs_are_taken_for_their_predictions(found):
    runs = [SimpleNamespace(preds=preds) for preds in (OLD, NEW)]
    assert str(before_after(*runs)) == str(found)


def test_pictures_of_the_new_run_alone_are_said():
    more = preds([*((p.name, "ant", "ant") for p in OLD.paths), ("x.jpg", "ant", "ant")])
    found = before_after(OLD, more)
    assert found.added == ("x.jpg",)
    assert "Only the new run has 1 picture (x.jpg): not counted. Was the split the same?" in str(
        found
    )


def test_what_the_fixes_do_not_say_is_named(tmp_path):
    path = tmp_path / "fixes.csv"
    path.write_text("path,action,label\n0,relabel,bee\n1,relabel,bee\n9,drop,\ntrain/a,drop,\n")
    assert before_after(OLD, NEW, fixes=path).unsaid == ()
    found = before_after(OLD, NEW, fixes={"0": "bee", "9": "bee"})
    assert found.unsaid == ("1", "9")
    assert "2 pictures changed though the fixes say nothing of it: 1, 9." in str(found)
    with pytest.raises(qv.DataError, match="got nothing at"):
        before_after(OLD, NEW, fixes=tmp_path / "gone.csv")


def test_other_classes_are_refused():
    three = preds([("0", "ant", "bee")], vocab=("ant", "bee", "fly"))
    with pytest.raises(ValueError, match="the same classes, got fly in the new alone: with other"):
        before_after(OLD, three)
    other = preds([("0", "ant", "ant")], vocab=("ant", "wasp"))
    with pytest.raises(ValueError, match="got bee in the old alone and wasp in the new alone"):
        before_after(OLD, other)


def test_no_picture_in_common_is_refused():
    with pytest.raises(ValueError, match="got none in common: 0, 1, 2 and 7 more in old, x in new"):
        before_after(OLD, preds([("x", "ant", "ant")]))
    with pytest.raises(ValueError, match="none in common"):
        before_after(preds([]), preds([]))


def test_what_cannot_be_matched_is_refused():
    with pytest.raises(ValueError, match=r"old: expected each picture once, got 0 again"):
        before_after(preds([("0", "ant", "ant")] * 2), NEW)
    items = qv.Predictions(
        OLD.probs, OLD.targs, VOCAB, OLD.losses, tuple(Path(f"item-{i}") for i in range(10))
    )
    with pytest.raises(
        ValueError, match="new: expected predictions of files, .* got item-0, item-1"
    ):
        before_after(OLD, items)


@pytest.mark.parametrize("given", [None, "runs/a", pd.DataFrame(), SimpleNamespace(preds=3)])
def test_what_is_no_run_is_refused(given):
    with pytest.raises(TypeError, match="new: expected Predictions or a Run, got"):
        before_after(OLD, given)
    with pytest.raises(TypeError, match="old: expected Predictions or a Run, got"):
        before_after(given, NEW)


def test_it_is_shown_in_notebooks_with_users_words_escaped():
    odd = ("<script>", "a&b")
    old = preds([("<b>", odd[0], odd[1])], vocab=odd)
    new = preds([("<b>", odd[1], odd[1]), ("<i>", odd[1], odd[1])], vocab=odd)
    html = before_after(old, new)._repr_html_()
    assert "<table" in html
    assert "&lt;i&gt;" in html
    assert not any(part in html for part in ("<script>", "<b>", "<i>"))


def test_its_short_form(found):
    assert repr(found) == "<BeforeAfter of 9: 55.6% -> 77.8% -> 88.9%>"
    assert isinstance(found, BeforeAfter)


@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
def test_two_runs_of_which_one_has_fixes(class_folders, tmp_path):
    how = {"arch": "timm/test_resnet", "weights": None, "size": 32, "bs": 6, "verbose": False}
    how |= {"frozen_epochs": 0, "unfrozen_epochs": 1, "lr": 1e-2, "plots": False, "valid": 0.5}
    old = qv.train(class_folders, out=tmp_path / "runs", **how)
    seen = [path.relative_to(class_folders).as_posix() for path in old.preds.paths]
    reds = [name for name in seen if name.startswith("red/")]
    fixes = {reds[0]: "blue", reds[1]: None}
    new = qv.train(class_folders, out=tmp_path / "runs", fixes=fixes, **how)
    found = before_after(old, new, fixes=fixes)
    assert found.relabelled["path"].tolist() == reds[:1]
    assert found.dropped["path"].tolist() == reds[1:2]
    assert (found.added, found.unsaid) == ((), ())
    assert found.reported == old.preds.accuracy
    assert found.new_on_new == new.preds.accuracy
