from __future__ import annotations

import numpy as np
import pytest
import torch
from fastai.data.core import DataLoaders
from fastai.losses import CrossEntropyLossFlat, FocalLossFlat
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional as F

import quickvision as qv
from quickvision.base.errors import ModelError
from quickvision.training.features import Features
from quickvision.training.solve import (
    Solve,
    judge_head,
    seconds_to_judge,
    solve_again,
    solve_head,
    why_not_solved,
)


def clouds(n, f, classes, *, views=1, apart=1.0, seed=0):
    """Features of classes that overlap, on axes of very different lengths."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = rng.normal(0, 1, (views, n, f)) + apart * rng.normal(0, 1, (classes, f))[y]
    x = x * np.geomspace(3, 0.03, f) + 5
    return Features(torch.from_numpy(x).float(), torch.from_numpy(y))


def learner_on(features, *, layers=None, loss_func=None):
    from fastai.data.core import DataLoader
    from fastai.learner import Learner

    classes = int(features.y.max()) + 1
    head = layers or [nn.Linear(features.x.shape[-1], classes)]
    dl = DataLoader(features, bs=8, create_item=int, do_batch=features.batch)
    dls = DataLoaders(dl, dl, device=torch.device("cpu"))
    return Learner(dls, nn.Sequential(*head), loss_func=loss_func or CrossEntropyLossFlat())


@pytest.mark.parametrize(("n", "f"), [(60, 12), (40, 80)])
def test_it_is_scikit_learns_logistic_regression(n, f):
    features = clouds(n, f, 3)
    top = learner_on(features)
    solved = solve_head(top)
    x, y = features.x[0].double().numpy(), features.y.numpy()
    theirs = LogisticRegression(C=solved.c, tol=1e-10, max_iter=10_000).fit(x, y)
    with torch.no_grad():
        ours = top.model(features.x[0]).softmax(1).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(x), atol=2e-3)


def test_of_two_classes_scikit_learn_has_one_row_of_weights_and_twice_the_c():
    features = clouds(60, 8, 2)
    top = learner_on(features)
    solved = solve_head(top)
    x, y = features.x[0].double().numpy(), features.y.numpy()
    theirs = LogisticRegression(C=2 * solved.c, tol=1e-10, max_iter=10_000).fit(x, y)
    with torch.no_grad():
        ours = top.model(features.x[0]).softmax(1).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(x), atol=2e-3)


def test_wherever_the_head_begins_it_ends_at_the_same_bits():
    features, ends = clouds(60, 8, 3), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        top = learner_on(features)
        solve_head(top)
        ends.append(top.model[-1].weight.detach().clone())
    assert torch.equal(*ends)


def test_what_is_left_open_says_how_well_classes_are_told_apart():
    near = solve_head(learner_on(clouds(90, 8, 3, apart=3.0)))
    far = solve_head(learner_on(clouds(90, 8, 3, apart=0.3)))
    nothing = solve_head(learner_on(clouds(90, 8, 3, apart=0.0)))
    assert near.left_open < 0.1 < far.left_open < nothing.left_open <= 1
    assert near.accuracy > far.accuracy > nothing.accuracy
    assert "each by a head that had not seen it" in str(near)


def test_validation_pictures_have_no_say():
    features, other = clouds(60, 8, 3), clouds(60, 8, 3, seed=9)
    ends = []
    for valid in (features, other):
        top = learner_on(features)
        top.dls.loaders[1] = learner_on(valid).dls.valid
        ends.append((solve_head(top), top.model[-1].weight.detach().clone()))
    assert ends[0][0] == ends[1][0]
    assert torch.equal(ends[0][1], ends[1][1])


def test_the_learners_own_loss_is_what_is_lowest():
    features = clouds(60, 8, 3)
    losses = [
        CrossEntropyLossFlat(),
        CrossEntropyLossFlat(weight=torch.tensor([1.0, 1.0, 20.0])),
        FocalLossFlat(),
        F.cross_entropy,
    ]
    said = []
    for loss_func in losses:
        top = learner_on(features, loss_func=loss_func)
        solve_head(top)
        with torch.no_grad():
            said.append(top.model(features.x[0]).softmax(1))
    plain, weighed, focal, own = said
    others = features.y != 2
    assert (weighed[others, 2] > plain[others, 2]).float().mean() > 0.9, "it weighs more"
    assert not torch.allclose(plain, focal, atol=1e-2)
    assert torch.allclose(plain, own, atol=1e-3)


def test_weights_of_classes_are_scikit_learns():
    features = clouds(60, 8, 3)
    weight = torch.tensor([1.0, 2.0, 6.0])
    top = learner_on(features, loss_func=CrossEntropyLossFlat(weight=weight))
    solved = solve_head(top)
    x, y = features.x[0].double().numpy(), features.y.numpy()
    mean = float(weight[features.y].mean())  # torch divides by the sum of the weights
    theirs = LogisticRegression(
        C=solved.c / mean, class_weight=dict(enumerate(weight.tolist())), tol=1e-10, max_iter=10_000
    ).fit(x, y)
    with torch.no_grad():
        ours = top.model(features.x[0]).softmax(1).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(x), atol=2e-3)


def test_views_of_a_picture_are_not_taken_for_other_pictures():
    """Copies on both sides of a part would say that any head is good."""
    one = clouds(40, 60, 2, apart=0.0)
    copies = Features(one.x.repeat(4, 1, 1), one.y)
    alone, copied = solve_head(learner_on(one)), solve_head(learner_on(copies))
    assert copied.left_open == pytest.approx(alone.left_open, abs=0.02)
    assert copied.left_open > 0.9


def test_oversampled_pictures_are_not_taken_for_others():
    one = clouds(40, 60, 2, apart=0.0)
    twice = Features(one.x.repeat(1, 4, 1), one.y.repeat(4))
    assert solve_head(learner_on(twice)).left_open > 0.9


def test_labels_that_are_no_classes_are_refused():
    features = clouds(30, 8, 3)
    top = learner_on(features)
    top.dls.train.dataset = Features(features.x, F.one_hot(features.y).float())
    assert "no classes" in why_not_solved(top)


@pytest.mark.parametrize("n", [2, 3, 5, 7])
def test_a_handful_of_pictures(n):
    top = learner_on(clouds(n, 8, 2, apart=4.0))
    assert np.isfinite(solve_head(top).loss)
    assert torch.isfinite(top.model[-1].weight).all()


def test_classes_of_one_picture():
    features = clouds(12, 8, 12, apart=4.0)
    top = learner_on(features)
    solve_head(top)
    with torch.no_grad():
        assert (top.model(features.x[0]).argmax(1) == features.y).float().mean() > 0.5


def test_features_that_are_all_alike():
    same = Features(torch.ones(1, 20, 4), torch.arange(20) % 2)
    top = learner_on(same)
    assert solve_head(top).left_open == pytest.approx(1, abs=1e-3)
    assert torch.isfinite(top.model[-1].weight).all()


def test_solved_again_it_is_held_back_as_before():
    features, moved = clouds(60, 8, 3), clouds(60, 8, 3)
    moved.x[:] = moved.x * 1.5 + 40  # what all pictures have in common has drifted
    top = learner_on(features)
    solved = solve_head(top)
    solve_again(top.model[-1], moved, top.loss_func, solved.c)
    with torch.no_grad():
        right = (top.model(moved.x[0]).argmax(1) == moved.y).float().mean()
    assert right >= solved.accuracy


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        ([nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3)], "more than one linear layer"),
        ([nn.Linear(8, 3, bias=False)], "one without a bias"),
    ],
)
def test_other_heads_are_refused(layers, why):
    top = learner_on(clouds(30, 8, 3), layers=layers)
    assert why in why_not_solved(top)
    with pytest.raises(ModelError, match=why):
        solve_head(top)


def test_judging_a_head_leaves_it_as_it_is():
    top = learner_on(clouds(40, 8, 3))
    before = top.model[-1].weight.detach().clone()
    judged = judge_head(top)
    assert torch.equal(top.model[-1].weight, before)
    assert judged == solve_head(top)
    assert not torch.equal(top.model[-1].weight, before)


def test_a_learner_of_pictures_is_refused(learn):
    with pytest.raises(ModelError, match="does not train on cached features"):
        qv.solve_head(learn)


def test_dropout_before_the_layer_does_not_matter():
    top = learner_on(clouds(30, 8, 3), layers=[nn.Dropout(0.3), nn.Linear(8, 3)])
    assert why_not_solved(top) == ""
    solve_head(top)


def test_the_callback_solves_before_the_last_epoch_is_validated(class_folders, tiny_net, tmp_path):
    dls = qv.from_folder(class_folders, size=32, bs=6)
    learn = qv.cnn_learner(dls, tiny_net, path=tmp_path)
    top = qv.feature_learner(learn)
    solved = judge_head(top)
    ends = []
    history = qv.fit_frozen(top, 3, lr_max=1e-4, cbs=[Solve(solved.c)], verbose=False)
    for head in (top.model, qv.feature_learner(learn).model):
        with torch.no_grad():
            held = top.dls.valid.dataset
            ends.append(float(F.cross_entropy(head.eval()(held.x[0]), held.y)))
    assert ends[0] == pytest.approx(history["valid_loss"].iloc[-1], rel=1e-4)
    assert ends[0] == pytest.approx(ends[1], rel=1e-4), "the learner's own head is solved"


def test_where_a_fit_goes_on_that_patience_has_ended_the_head_is_solved(
    class_folders, tiny_net, tmp_path
):
    learn = qv.cnn_learner(qv.from_folder(class_folders, size=32, bs=6), tiny_net, path=tmp_path)
    top = qv.feature_learner(learn)
    past = [{"stage": "frozen", "epoch": n + 1, "valid_loss": 1.0} for n in range(2)]
    options = {"schedule": "constant", "patience": 1, "past": past, "verbose": False}
    before = top.model[-1].weight.clone()
    qv.fit_frozen(top, 2, cbs=[Solve(1.0)], **options)
    assert torch.equal(top.model[-1].weight, before), "it was whole, and so it was solved"
    qv.fit_frozen(top, 3, cbs=[Solve(1.0)], **options)
    assert not torch.equal(top.model[-1].weight, before)


def test_judging_takes_longer_with_more_pictures_features_and_classes_up_to_what_is_tried():
    few = seconds_to_judge(200, 512, 2)
    assert few < seconds_to_judge(2_000, 512, 2) < seconds_to_judge(2_000, 512, 196)
    assert seconds_to_judge(200, 512, 2) == seconds_to_judge(200, 2048, 2)  # `turn`ed
    assert seconds_to_judge(50_000, 512, 37) == seconds_to_judge(2_000, 512, 37)
