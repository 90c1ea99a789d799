from __future__ import annotations

import pytest
import torch
from torch import nn

import quickvision as qv
from quickvision.models.norms import KeepNorms, norms_of
from quickvision.training.adapt import adapt, adapt_if_asked, best_features


@pytest.fixture
def make(class_folders, tiny_net, tmp_path):
    """Make a learner of a tiny net that is taken for a pretrained one."""

    def made(**options):
        dls = qv.from_folder(class_folders, size=32, bs=6)
        return qv.cnn_learner(dls, tiny_net, path=tmp_path, seed=2, **options)

    return made


def statistics(learn):
    norms = norms_of(learn.model[0])
    return torch.cat([t for norm in norms for t in (norm.running_mean, norm.running_var)])


def deaf(learn):
    """Give norms statistics of pictures that are nothing like these: all are alike to it then."""
    for norm in norms_of(learn.model[0]):
        norm.running_mean.fill_(1e3)
    return learn


def test_statistics_are_those_of_the_training_pictures(make):
    learn = make()
    adapt(learn)
    first = norms_of(learn.model[0])[0]
    with learn.dls.train.dataset.set_split_idx(1), torch.no_grad():
        x = torch.cat(
            [x.as_subclass(torch.Tensor) for x, _ in learn.dls.train.new(drop_last=False)]
        )
        out = learn.model[0][0](x)
    torch.testing.assert_close(first.running_mean, out.mean((0, 2, 3)), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(first.running_var, out.var((0, 2, 3)), rtol=1e-2, atol=1e-4)
    assert first.momentum == 0.1


def test_modes_and_weights_stay(make):
    learn = make()
    modes = [m.training for m in learn.model.modules()]
    weights = [p.detach().clone() for p in learn.model.parameters()]
    adapt(learn)
    assert [m.training for m in learn.model.modules()] == modes
    assert all(map(torch.equal, weights, learn.model.parameters()))


@pytest.mark.parametrize(("batch_norm", "asked"), [("adapt", True), ("keep", False), (None, False)])
def test_they_are_taken_where_that_is_asked_for(make, batch_norm, asked):
    learn = make(batch_norm=batch_norm)
    before = statistics(learn)
    assert adapt_if_asked(learn, lambda: None) is asked
    assert torch.equal(before, statistics(learn)) is not asked


@pytest.fixture
def enough(monkeypatch):
    """Take a few pictures for enough."""
    monkeypatch.setattr("quickvision.training.adapt.BATCH", 8)


def test_of_few_pictures_no_statistics_are_taken(make):
    learn = deaf(make())
    before = statistics(learn)
    assert not best_features(learn, views=0, seed=0, reseed=lambda: None)[2]
    assert torch.equal(before, statistics(learn))


@pytest.mark.usefixtures("enough")
def test_where_the_weights_say_nothing_left_out_pictures_choose_theirs(make):
    learn = deaf(make())
    top, solved, adapted = best_features(learn, views=0, seed=0, reseed=lambda: None)
    assert adapted
    assert solved.left_open < 0.9
    assert len(top.dls.train.dataset) == len(learn.dls.train_ds)


def test_what_is_known_is_not_decided_anew(make):
    learn = deaf(make())
    _, solved, _ = best_features(learn, views=0, seed=0, reseed=lambda: None)
    before = statistics(learn)
    _, again, adapted = best_features(learn, views=0, seed=0, reseed=lambda: None, known=solved)
    assert (again, adapted) == (solved, False)
    assert torch.equal(before, statistics(learn))


@pytest.mark.usefixtures("enough")
def test_kept_ones_are_put_back_where_they_are_better(make, monkeypatch):
    learn = make()
    monkeypatch.setattr("quickvision.training.adapt.MUCH", -1.0)  # always tried
    before = statistics(learn)

    def spoilt(learn):
        for norm in norms_of(learn.model[0]):
            norm.running_mean.fill_(1e3)

    monkeypatch.setattr("quickvision.training.adapt.adapt", spoilt)
    _, _, adapted = best_features(learn, views=0, seed=0, reseed=lambda: None)
    assert not adapted
    assert torch.equal(before, statistics(learn))


@pytest.mark.parametrize("batch_norm", ["keep", "train"])
def test_by_wish_nothing_is_tried(make, batch_norm):
    learn = deaf(make(batch_norm=batch_norm))
    before = statistics(learn)
    assert not best_features(learn, views=0, seed=0, reseed=lambda: None)[2]
    assert torch.equal(before, statistics(learn))


def test_fastais_head_is_not_judged(make):
    learn = make(head="fastai")
    top, solved, adapted = best_features(learn, views=0, seed=0, reseed=lambda: None)
    assert (solved, adapted) == (None, False)
    assert isinstance(top.model[-1], nn.Linear)


@pytest.mark.usefixtures("enough")
def test_a_run_says_that_it_adapted(make, tmp_path, capsys):
    learn = deaf(make())
    run = qv.train(learn, frozen_epochs=1, unfrozen_epochs=1, out=tmp_path / "o", plots=False)
    assert "batch norms adapted" in capsys.readouterr().out
    assert run.done[0].adapted
    assert "Batch norms take the statistics" in run.show_code()
    assert any(isinstance(cb, KeepNorms) for cb in run.learn.cbs)
