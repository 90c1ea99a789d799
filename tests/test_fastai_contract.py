"""The traps in today's fastai that quickvision's wrappers are for.

Each test shows the trap in plain fastai. Where one fails, upstream has mended it: the wrapper that
the test names can go.
"""

from __future__ import annotations

import os
import random
from functools import partial

import numpy as np
import pytest
import torch
import torchvision
from fastai.callback.core import CancelFitException
from fastai.callback.data import WeightedDL
from fastai.callback.mixup import MixUp
from fastai.callback.schedule import LRFinder
from fastai.callback.tracker import EarlyStoppingCallback
from fastai.data.block import CategoryBlock, DataBlock
from fastai.data.core import DataLoader, DataLoaders
from fastai.data.transforms import Normalize, RandomSplitter, get_image_files, parent_label
from fastai.interpret import ClassificationInterpretation
from fastai.learner import Learner
from fastai.metrics import accuracy
from fastai.optimizer import SGD, Adam, OptimWrapper, ranger
from fastai.vision.augment import Resize
from fastai.vision.core import PILImage
from fastai.vision.data import ImageBlock, ImageDataLoaders
from fastai.vision.learner import create_body, model_meta, vision_learner
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from quickvision.data.view import View

PLAIN = {"item_tfms": Resize(32), "num_workers": 0}


@pytest.fixture
def dls(class_folders):
    return ImageDataLoaders.from_folder(class_folders, valid_pct=0.25, bs=4, seed=1, **PLAIN)


def quietly(learn, epochs=1):
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(epochs)
    return learn


def test_fewer_pictures_than_bs_trains_on_nothing_and_says_nothing(class_folders, tiny_net):
    """Met by `loaders._batch_size` and `lr_find.count_batches`."""
    dls = ImageDataLoaders.from_folder(class_folders, valid_pct=0.25, bs=64, **PLAIN)
    learn = quietly(vision_learner(dls, tiny_net, pretrained=False))
    assert len(dls.train) == 0
    assert torch.isnan(torch.tensor(float(learn.recorder.values[0][0])))


def test_a_missing_folder_is_a_none_type_error(tmp_path):
    """Met by `paths.folder`."""
    with pytest.raises(TypeError, match="'NoneType' object is not iterable"):
        ImageDataLoaders.from_folder(tmp_path / "gone", valid_pct=0.2)


def test_a_folder_named_val_is_not_validated_on(train_and_val):
    """Met by `sides.arrange`."""
    dls = ImageDataLoaders.from_folder(train_and_val, bs=4, **PLAIN)
    assert len(dls.valid_ds) == 0


def test_valid_pct_0_makes_an_empty_validation_set_without_a_word(named_files):
    """Met by `options.Options`."""
    files = get_image_files(named_files)
    dls = ImageDataLoaders.from_name_re(named_files, files, r"(.+)_", valid_pct=0, bs=4, **PLAIN)
    assert len(dls.valid_ds) == 0


def test_a_class_only_in_valid_fails_when_it_is_drawn(train_and_val, picture):
    """Met by `splits.check_sides`."""
    (train_and_val / "val").rename(train_and_val / "valid")
    picture(train_and_val / "valid" / "wasps" / "1.png")
    dls = ImageDataLoaders.from_folder(train_and_val, bs=4, **PLAIN)
    with pytest.raises(KeyError, match="'wasps' was not included in the training dataset"):
        list(dls.valid)


def test_lr_find_writes_into_the_data_folder(class_folders, dls, tiny_net):
    """Met by `lr_find._Finder` and by `cnn_learner(path=".")`."""
    learn = vision_learner(dls, tiny_net, pretrained=False)
    with learn.no_bar(), learn.no_logging():
        learn.lr_find(num_it=20, show_plot=False)
    assert (class_folders / "models").exists()


def test_the_rate_finder_stops_on_noise_after_a_fit():
    """Met by `lr_find._Finder.after_batch`: upstream compares from the first step on."""
    finder = LRFinder(num_it=100)
    finder.hps = {"lr": []}
    finder.best_loss = 0.01

    class Owner:
        smooth_loss, train_iter = 0.05, 2
        opt = type("Opt", (), {"hypers": [{"lr": 1e-7}]})()

    finder.learn = Owner()
    with pytest.raises(CancelFitException):
        finder.after_batch()


def test_a_shared_dls_keeps_the_first_archs_statistics(dls):
    """Met by `learner._normalised`."""
    dls.add_tfms([Normalize.from_stats([0.5] * 3, [0.5] * 3)], "after_batch")
    from fastai.vision.learner import _add_norm

    _add_norm(dls, model_meta[torchvision.models.resnet18], pretrained=True)
    means = [t.mean.flatten()[0].item() for t in dls.after_batch.fs if isinstance(t, Normalize)]
    assert means == [0.5]


def test_torchvision_archs_outside_fastais_table_have_no_statistics_and_two_groups(dls):
    """Met by `models._register`."""
    arch = torchvision.models.mnasnet0_5
    assert arch not in model_meta
    arch = torchvision.models.regnet_x_400mf
    learn = vision_learner(dls, arch, pretrained=False)
    assert len(learn.splitter(learn.model)) == 2


def test_cut_is_lost_on_the_way(dls):
    """Met by `models._register`: mobilenet_v2 and its like fail with a bare StopIteration."""
    with pytest.raises(StopIteration):
        create_body(torchvision.models.mobilenet_v2(), pretrained=False)
    with pytest.raises(StopIteration):
        vision_learner(dls, torchvision.models.mnasnet0_5, pretrained=False)


def test_every_report_runs_the_model_again(dls, tiny_net):
    """Met by `interpret.get_preds` and `interpret.confusion_matrix`."""
    learn = vision_learner(dls, tiny_net, pretrained=False, metrics=accuracy)
    passes = []
    learn.model.register_forward_hook(lambda *args: passes.append(1))
    with learn.no_bar(), learn.no_logging():
        interp = ClassificationInterpretation.from_learner(learn)
        interp.confusion_matrix()
        interp.most_confused()
    assert len(passes) == 3 * len(dls.valid)


def test_the_confusion_matrix_compares_c_x_c_x_n(dls, tiny_net, monkeypatch):
    """Met by `interpret.confusion_matrix`."""
    learn = vision_learner(dls, tiny_net, pretrained=False)
    with learn.no_bar(), learn.no_logging():
        interp = ClassificationInterpretation.from_learner(learn)
        shapes = []
        long = torch.Tensor.long
        monkeypatch.setattr(torch.Tensor, "long", lambda t: shapes.append(t.shape) or long(t))
        interp.confusion_matrix()
    assert (3, 3, len(dls.valid_ds)) in [tuple(shape) for shape in shapes]


def test_the_splitters_seed_changes_the_global_random_state():
    """Met by `splits.stratified_split`."""
    torch.manual_seed(1)
    before = torch.get_rng_state()
    RandomSplitter(seed=42)(list(range(10)))
    assert not torch.equal(before, torch.get_rng_state())


def test_building_a_loader_draws_from_pythons_generator(dls):
    """Met by `no_random` around it."""
    state = random.getstate()
    dls.train.new()
    assert random.getstate() != state


def test_exif_turns_are_ignored(tmp_path):
    """Met by `images.to_rgb`."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (90, 60)).save(tmp_path / "x.jpg", exif=exif)
    assert tuple(PILImage.create(tmp_path / "x.jpg").size) == (90, 60)


def test_a_placeholder_or_a_broken_file_is_a_picture_like_any_other(tmp_path):
    """Met by `scan.unfit`."""
    (tmp_path / "broken.jpg").write_text("x")
    assert len(get_image_files(tmp_path)) == 1


def test_the_recorder_forgets_the_stage_before(dls, tiny_net):
    """Met by `progress.EpochLog`."""
    learn = quietly(quietly(vision_learner(dls, tiny_net, pretrained=False), 2))
    assert len(learn.recorder.values) == 1


def test_a_pass_leaves_the_model_in_evaluation_mode_and_its_batch_in_the_learner(dls, tiny_net):
    """Met by `guards.as_it_was`."""
    learn = quietly(vision_learner(dls, tiny_net, pretrained=False))
    learn.model.train()
    with learn.no_bar(), learn.no_logging():
        learn.get_preds(ds_idx=1)
    assert not learn.model.training
    assert len(learn.xb[0])


def test_training_mode_is_set_for_all_modules_alike(tiny_net):
    """Met by `compute.evaluating`."""
    model = tiny_net()
    model[1].eval()
    model.train(model.training)
    assert model[1].training


def test_bars_flood_what_is_no_terminal(dls, tiny_net, capsys):
    """Met by `progress.EpochLog`."""
    Learner.fit(vision_learner(dls, tiny_net, pretrained=False), 1)
    assert "\r" in capsys.readouterr().out


def test_a_jpeg_is_decoded_in_full(tmp_path, monkeypatch):
    """Met by `images.open_rgb`."""
    Image.new("RGB", (1600, 1200)).save(tmp_path / "x.jpg")
    monkeypatch.setattr(JpegImageFile, "draft", lambda *a: pytest.fail("draft is used now"))
    assert PILImage.create(tmp_path / "x.jpg").size == (1600, 1200)


def test_validation_sees_other_pixels_than_timm(tmp_path):
    """Met by `view.View`: fastai cuts first, in whole pixels, and then resizes."""
    image = PILImage.create(np.random.default_rng(0).integers(0, 256, (75, 100, 3), dtype=np.uint8))
    theirs = np.asarray(Resize(32)(image, split_idx=1), dtype=float)
    ours = np.asarray(View((32, 32))(image), dtype=float)
    assert np.abs(theirs - ours).mean() > 1


def test_sixteen_bits_are_clipped(tmp_path):
    """Met by `images.to_rgb`."""
    deep = np.linspace(0, 65535, 1024).reshape(32, 32).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "x.png")
    assert (np.asarray(PILImage.create(tmp_path / "x.png")) == 255).mean() > 0.9


def test_a_truncated_picture_kills_the_epoch(class_folders, tiny_net):
    """Met by `scan.scan`."""
    dls = ImageDataLoaders.from_folder(class_folders, valid_pct=0.25, bs=4, seed=1, **PLAIN)
    bad = dls.train.items[7]
    bad.write_bytes(bad.read_bytes()[:-400])
    learn = vision_learner(dls, tiny_net, pretrained=False)
    with pytest.raises(OSError, match=r"truncated|broken"), learn.no_bar(), learn.no_logging():
        learn.fit(1)


def test_weights_of_a_weighted_loader_are_lost_in_a_copy(dls):
    """Met by `loaders._oversampled`, which repeats pictures in the list."""
    n = len(dls.train_ds)
    weights = [1.0] + [1e-9] * (n - 1)
    tfms = {"after_item": dls.train.after_item, "after_batch": dls.train.after_batch}
    weighted = WeightedDL(dls.train_ds, bs=4, wgts=weights, shuffle=True, **tfms)
    assert weighted.wgts.max() > 0.99
    assert weighted.new().wgts.max() < 0.2


def test_a_data_block_prints_all_its_items_for_nobody(class_folders):
    """Met by `loaders._dataloaders`, which uses `Datasets`."""

    class Items(list):
        printed = 0

        def __repr__(self):
            Items.printed += 1
            return "items"

    block = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, item_tfms=Resize(32))
    block.datasets(Items(get_image_files(class_folders)))
    assert Items.printed


def test_the_split_hangs_on_the_order_that_files_are_listed_in(class_folders):
    """Met by `splits.stratified_split`, which goes by names."""
    files = sorted(get_image_files(class_folders))
    one = {files[i] for i in RandomSplitter(seed=1)(files)[1]}
    other = {files[::-1][i] for i in RandomSplitter(seed=1)(files[::-1])[1]}
    assert one != other


class Pid:
    """A data set that says which process reads it."""

    def __len__(self):
        return 8

    def __getitem__(self, i):
        return os.getpid()


def test_persistent_workers_are_started_anew_in_each_epoch():
    """Met by `loaders._workers`: few pictures are not worth the processes."""
    dl = DataLoader(Pid(), bs=4, num_workers=1, persistent_workers=True)
    first, second = (set(torch.cat(list(dl)).tolist()) for _ in range(2))
    assert first.isdisjoint(second)


def test_an_optimizer_of_torchs_own_decays_biases_and_norms_too():
    """Met by `fused.FusedAdam`."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    adam = partial(OptimWrapper, opt=torch.optim.AdamW)
    learn = Learner(DataLoaders([], []), model, loss_func=torch.nn.MSELoss(), opt_func=adam)
    learn.create_opt()
    model[0].bias.grad = torch.zeros(2)
    before = model[0].bias.detach().clone()
    learn.opt.set_hypers(lr=1.0, wd=0.1)
    learn.opt.step()
    assert torch.allclose(model[0].bias, before * 0.9)


def test_predicting_forgets_the_last_fit(dls, tiny_net):
    """Met by `interpret.get_preds`."""
    learn = quietly(vision_learner(dls, tiny_net, pretrained=False), epochs=2)
    with learn.no_bar(), learn.no_logging():
        learn.get_preds()
    assert len(learn.recorder.values) == 1


@pytest.fixture
def adadelta(class_folders, tiny_net):
    """A plain learner with an optimiser of torch's own, which has no momentum."""
    import quickvision as qv

    dls = qv.from_folder(class_folders, size=32, bs=6)
    opt_func = partial(OptimWrapper, opt=torch.optim.Adadelta)
    return vision_learner(dls, tiny_net, pretrained=False, opt_func=opt_func)


def test_one_cycle_asks_torchs_adadelta_for_a_momentum(adadelta):
    """`schedules.fit_scheduled` moves the rate alone."""
    with adadelta.no_bar(), adadelta.no_logging(), pytest.raises(KeyError, match="mom"):
        adadelta.fit_one_cycle(1, 1e-3)


def test_fastais_sgd_has_no_momentum_whatever_a_fit_cycles(dls, tiny_net):
    """`optimisers.OPTS` gives it 0.9."""
    learn = vision_learner(dls, tiny_net, pretrained=False, opt_func=SGD)
    quietly(learn, epochs=1)
    assert "grad_avg" not in set().union(*(state for state in learn.opt.state.values()))
    learn = vision_learner(dls, tiny_net, pretrained=False, opt_func=partial(SGD, mom=0.9))
    quietly(learn, epochs=1)
    assert "grad_avg" in set().union(*(state for state in learn.opt.state.values()))


def test_reduce_lr_on_plateau_changes_a_copy_of_torchs_rates(adadelta):
    """`schedules.Plateau` sets them."""
    adadelta.create_opt()
    before = adadelta.opt.hypers[-1]["lr"]
    for hypers in adadelta.opt.hypers:  # as ReduceLROnPlateau.after_epoch does
        hypers["lr"] = before / 10
    assert adadelta.opt.hypers[-1]["lr"] == before


def test_start_epoch_goes_through_epochs_that_have_no_losses(dls, tiny_net):
    """`schedules._starting_at` begins later."""
    learn = vision_learner(dls, tiny_net, pretrained=False)
    with learn.no_bar(), learn.no_logging(), pytest.raises(IndexError):
        learn.fit(2, cbs=EarlyStoppingCallback(patience=3), start_epoch=1)


def test_fit_flat_cos_forgets_where_it_starts(dls, tiny_net):
    """As above."""
    learn = vision_learner(dls, tiny_net, pretrained=False)
    with learn.no_bar(), learn.no_logging():
        learn.fit_flat_cos(2, 1e-3, start_epoch=1)
    assert len([row for row in learn.recorder.values if len(row)]) == 2


def test_saving_writes_over_the_file_that_is_there(dls, tiny_net, tmp_path, monkeypatch):
    """Met by `files.write_whole`."""
    learn = vision_learner(dls, tiny_net, pretrained=False, path=tmp_path)
    file = learn.save("model", with_opt=False)
    names = []
    monkeypatch.setattr("fastai.learner.torch.save", lambda state, path, **_: names.append(path))
    learn.save("model", with_opt=False)
    assert names == [file]


def test_torch_load_looks_at_no_checksum(tmp_path):
    """Met by `checkpoints.read_checkpoint`."""
    file = tmp_path / "weights.pt"
    torch.save({"w": torch.zeros(1000)}, file)
    data = bytearray(file.read_bytes())
    data[data.index(bytes(400)) + 200] = 64
    file.write_bytes(data)
    assert torch.load(file, weights_only=True)["w"].any()


def test_swins_channels_last_are_taken_for_feature_maps():
    """`bodies.make_body` looks at what the body gives."""
    import timm
    from fastai.vision.learner import TimmBody

    body = TimmBody(timm.create_model("swin_tiny_patch4_window7_224", num_classes=0))
    with torch.no_grad():
        out = body.eval()(torch.zeros(1, 3, 224, 224))
    assert body.needs_pool
    assert out.shape == (1, 7, 7, body.model.num_features)


def test_a_shared_loader_counts_its_batches_wrongly(class_folders):
    """Met by `distributed._Shared`: 29 pictures for two are 15 each, three whole batches of 4."""
    from fastai.distributed import DistributedDL

    dls = ImageDataLoaders.from_folder(class_folders, valid_pct=0.2, bs=4, seed=1, **PLAIN)
    shared = DistributedDL(dls.train, rank=0, world_size=2)
    shared._broadcast = lambda indices, rank: indices
    assert (len(shared), len(list(shared))) == (4, 3)


def test_only_cuda_can_tell_the_others_the_order(class_folders, monkeypatch):
    """Met by `distributed._Shared._broadcast`."""
    from fastai.distributed import DistributedDL

    dls = ImageDataLoaders.from_folder(class_folders, valid_pct=0.2, bs=4, seed=1, **PLAIN)
    asked = []
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self: asked.append(len(self)) or self)
    monkeypatch.setattr(torch.distributed, "broadcast", lambda tensor, rank: None)
    DistributedDL(dls.train, rank=0, world_size=2).get_idxs()
    assert asked == [29]


def test_the_logger_of_weights_and_biases_fails_at_numbers():
    """Met by `logs._wandb`."""
    from fastai.callback.wandb import _format_config

    with pytest.raises(TypeError, match="__dict__"):
        _format_config({"batch size": 64})


@pytest.mark.parametrize("opt_func", [Adam, partial(Adam, decouple_wd=False)])
def test_frozen_layers_whose_gradients_are_zeros_still_move(dls, tiny_net, opt_func):
    """Met by `guards.forget_frozen` and `guards.own_gradients`: weight decay, or a step of Adam."""
    learn = vision_learner(dls, tiny_net, pretrained=False, opt_func=opt_func, wd=0.3)
    learn.unfreeze()
    quietly(learn)
    kernel = learn.model[0][0].weight
    learn.freeze()
    before = kernel.detach().clone()
    assert not kernel.requires_grad
    assert not kernel.grad.any()
    quietly(learn)
    assert not torch.equal(kernel, before)


def test_unfreezing_clears_momenta_and_slow_weights(dls, tiny_net):
    """`guards.forget_frozen` counts on it: what an optimiser has kept could move frozen layers."""
    learn = quietly(vision_learner(dls, tiny_net, pretrained=False, opt_func=ranger))
    assert learn.opt.slow_weights is not None
    learn.freeze()
    assert learn.opt.slow_weights is None
    assert not any("grad_avg" in state for state in learn.opt.state.values())


def test_every_loss_without_a_reduction_is_asked_for_one(dls, tiny_net):
    """Met by `results.losses.EachPicture`."""
    learn = vision_learner(
        dls, tiny_net, pretrained=False, loss_func=lambda pred, targ: pred.mean()
    )
    with learn.no_bar(), learn.no_logging(), pytest.raises(TypeError, match="'reduction'"):
        learn.get_preds(with_loss=True)


def test_mixup_blends_labels_as_if_they_were_numbers(dls, tiny_net):
    """Met by `build.check_loss`: torch's own loss has no `y_int`, by which fastai knows classes."""
    loss = torch.nn.CrossEntropyLoss()
    learn = vision_learner(dls, tiny_net, pretrained=False, loss_func=loss, cbs=MixUp())
    with pytest.raises(RuntimeError, match="dtype"):
        quietly(learn)
