from __future__ import annotations

import pytest
import torch
from fastai.data.core import DataLoader, DataLoaders
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.torch_core import set_seed
from torch import nn

import quickvision as qv
from quickvision.training.guards import InParts, check_targets


@pytest.fixture
def small_memory(monkeypatch):
    """A device on which so many pictures fit at once, forward or backward."""

    def fit(learn, forward=100, backward=100, error=torch.OutOfMemoryError):
        body, seen = learn.model[0], []

        def look(module, inputs):
            n = len(inputs[0])
            seen.append(n)
            if n > forward:
                raise error("CUDA out of memory. Tried to allocate 20.00 MiB")

        def back(module, grads):
            if len(grads[0]) > backward:
                raise error("CUDA out of memory. Tried to allocate 20.00 MiB")

        body.register_forward_pre_hook(look)
        body[-1].register_full_backward_pre_hook(lambda m, g: back(m, g))
        return seen

    return fit


@pytest.fixture
def make(class_folders, tiny_net):
    """Learners of the same weights; without batch norm a batch is the sum of its parts."""

    def go(norm=False, **options):
        set_seed(0)
        dls = qv.from_folder(class_folders, size=32, bs=12)
        learn = qv.cnn_learner(dls, tiny_net, weights=None, head="linear", **options)
        if not norm:
            for module in learn.model.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.eval().requires_grad_(False)
                    module.train = lambda mode=True, m=module: m
        return learn

    return go


def weights(learn):
    return torch.cat([p.detach().flatten() for p in learn.model.parameters()])


@pytest.mark.parametrize("limits", [{"forward": 3}, {"backward": 6}, {"forward": 6, "backward": 3}])
def test_a_batch_in_parts_is_the_same_step(make, small_memory, limits, capsys):
    whole, cut = make(), make()
    small_memory(cut, **limits)
    set_seed(1)
    one = qv.fit_unfrozen(whole, 2, lr_max=1e-2)
    capsys.readouterr()
    set_seed(1)
    two = qv.fit_unfrozen(cut, 2, lr_max=1e-2)
    torch.testing.assert_close(weights(cut), weights(whole), atol=1e-5, rtol=1e-4)
    assert one["valid_loss"].tolist() == pytest.approx(two["valid_loss"].tolist(), rel=1e-3)
    assert one["train_loss"].tolist() == pytest.approx(two["train_loss"].tolist(), rel=1e-3)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("memory")]
    assert said[0] == "memory       a batch of 12 does not fit: taken in 2 parts, a third slower"
    assert len(said) == (1 if min(limits.values()) == 6 else 2)


def test_batch_norm_counts_a_part_once(make, small_memory):
    whole, cut = make(norm=True), make(norm=True)
    small_memory(cut, forward=6)
    counts = []
    for learn in (whole, cut):
        set_seed(1)
        qv.fit_unfrozen(learn, 1, lr_max=0.0001, verbose=False)
        counts.append(learn.model[0][1].running_mean.clone())
        assert learn.model[0][1].momentum == 0.1
    # Two parts move the statistics twice as far from 0; four looks would move them further.
    assert counts[1].abs().sum() > counts[0].abs().sum()
    steps, m = len(whole.dls.train), 0.9
    expected = (1 - m ** (2 * steps)) / (1 - m**steps)
    assert (counts[1] / counts[0]).median().item() == pytest.approx(expected, rel=0.1)


def test_blended_pictures_and_weighted_losses_stay_what_they_are(make, small_memory):
    from fastai.callback.mixup import MixUp

    ends = []
    for forward in (100, 4):
        learn = make(loss="focal", class_weights=[1, 2, 3])
        small_memory(learn, forward=forward)
        set_seed(1)
        qv.fit_unfrozen(learn, 2, lr_max=1e-2, cbs=MixUp(0.4), verbose=False)
        ends.append(weights(learn))
    torch.testing.assert_close(ends[0], ends[1], atol=1e-5, rtol=1e-4)


def test_what_fits_is_remembered_over_fits_and_the_rate_finder(make, small_memory):
    learn, said = make(), []
    seen = small_memory(learn, forward=6)
    parts = InParts(said.append)
    qv.find_lr(learn, num_it=20, cbs=parts)
    qv.fit_unfrozen(learn, 1, lr_max=1e-3, cbs=parts, verbose=False)
    assert len(said) == 1
    assert seen.count(12) == 1
    assert "_do_one_batch" not in vars(learn)


def test_a_picture_that_does_not_fit_is_an_error(make, small_memory):
    learn = make()
    small_memory(learn, forward=1)
    with pytest.raises(qv.RunError, match="expected memory for 2 pictures at once, got: CUDA out"):
        qv.fit_unfrozen(learn, 1, lr_max=1e-3, verbose=False)
    assert isinstance(learn.model, torch.nn.Module)
    learn.model[0]._forward_pre_hooks.clear()
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)  # fastai's own step again
    assert "_do_one_batch" not in vars(learn)


def test_validation_that_does_not_fit_is_cut_too(make, small_memory):
    learn = make()
    learn.dls.valid.bs = 36
    small_memory(learn, forward=7)
    table = qv.fit_unfrozen(learn, 1, lr_max=1e-3, verbose=False)
    for module in learn.model.modules():
        module._forward_pre_hooks.clear()
    assert table["accuracy"].iloc[0] == pytest.approx(qv.get_preds(learn).accuracy.value)


def test_other_errors_are_not_swallowed(make, small_memory):
    learn = make()
    small_memory(learn, forward=3, error=lambda text: RuntimeError("sizes do not match"))
    with pytest.raises(RuntimeError, match="sizes do not match"):
        qv.fit_unfrozen(learn, 1, lr_max=1e-3, verbose=False)


def test_a_step_is_never_taken_twice(make, monkeypatch):
    learn = make()
    learn.create_opt()

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory in the optimiser")

    monkeypatch.setattr(learn.opt, "step", full)
    with pytest.raises(torch.OutOfMemoryError, match="in the optimiser"):
        qv.fit_unfrozen(learn, 1, lr_max=1e-3, verbose=False)


def loaders(train_label=0, valid_label=0):
    """Loaders that are not ours: three classes, and one label of each side to choose."""

    def side(label, **options):
        y = torch.arange(12) % 3
        y[-1] = label
        return DataLoader(list(zip(torch.randn(12, 8), y, strict=True)), bs=4, **options)

    dls = DataLoaders(side(train_label, shuffle=True), side(valid_label), device="cpu")
    dls.vocab = ["a", "b", "c"]
    return dls


@pytest.mark.parametrize("label", [3, -1, 10**6])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("step", [qv.fit_frozen, qv.fit_unfrozen, qv.find_lr])
def test_a_label_that_is_no_class_is_said(label, side, step, tmp_path):
    dls = loaders(*((label, 0) if side == 0 else (0, label)))
    model = nn.Sequential(nn.Linear(8, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 3)))
    learn = Learner(dls, model, loss_func=CrossEntropyLossFlat(), path=tmp_path)
    if step is qv.find_lr and side == 1:  # it does not validate
        return
    with pytest.raises(qv.DataError, match=f"labels from 0 to 2, one for each of 3 .* {label};"):
        step(learn, **({} if step is qv.find_lr else {"verbose": False}))


def test_before_an_epoch_is_trained(tmp_path):
    model = nn.Sequential(nn.Linear(8, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 3)))
    learn = Learner(loaders(train_label=7), model, loss_func=CrossEntropyLossFlat(), path=tmp_path)
    with pytest.raises(qv.DataError, match="got 7"):
        qv.train(learn, lr=1e-3, out=tmp_path / "runs", verbose=False)


@pytest.mark.parametrize(
    ("pred", "targets"),
    [
        (torch.zeros(2, 3), torch.tensor([0, 2])),
        (torch.zeros(2, 3), torch.tensor([0, -100])),  # which losses leave out
        (torch.zeros(2, 3), torch.tensor([[0, 1, 7], [0, 0, 0]])),  # several labels a picture
        (torch.zeros(2, 1), torch.tensor([7.5, -1.0])),  # a number is predicted
        ((torch.zeros(2, 3), torch.zeros(2, 3)), torch.tensor([9, 9])),
    ],
)
def test_what_is_in_order_or_no_class_at_all_is_let_pass(pred, targets):
    check_targets(pred, targets)


def test_weights_of_0_are_what_a_loss_that_is_no_number_is_blamed_on(tmp_path):
    model = nn.Sequential(nn.Linear(8, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 3)))
    loss = nn.CrossEntropyLoss(weight=torch.tensor([0.0, 0.0, 1.0]))
    learn = Learner(loaders(), model, loss_func=loss, path=tmp_path)
    learn.dls.train = learn.dls.train.new(bs=1)
    with pytest.raises(qv.RunError, match="got nan .* weigh 0 in the loss, .* weights above 0"):
        qv.fit_unfrozen(learn, 1, lr_max=1e-3, verbose=False)
