from __future__ import annotations

import pytest
from fastai.vision.augment import Brightness, Flip, Rotate, Warp
from PIL import Image

import quickvision as qv

# Pictures of one seed are one picture, whatever their class.
pytestmark = pytest.mark.filterwarnings("ignore::quickvision.DataWarning")


@pytest.fixture
def wide(tmp_path):
    """Pictures twice as wide as high, white in the middle alone."""
    for name in ("ants", "bees"):
        (tmp_path / name).mkdir()
        for i in range(6):
            image = Image.new("RGB", (80, 40), (i, 0, 0))
            image.paste("white", (20, 0, 60, 40))
            image.save(tmp_path / name / f"{i}.png")
    return tmp_path


def kinds(dls):
    return {type(tfm) for tfm in dls.after_batch.fs}


@pytest.mark.parametrize("crop_pct", [1.0, 0.875])
def test_augment_none_shows_training_what_validation_sees(wide, crop_pct):
    dls = qv.from_folder(wide, size=32, bs=4, augment="none", crop_pct=crop_pct)
    one, two = dls.train.one_batch()[0], dls.valid.one_batch()[0]
    assert one.shape[-2:] == two.shape[-2:] == (32, 32)
    assert one[..., 1:-1, 1:-1].min() == two[..., 1:-1, 1:-1].min() == 1, "the middle alone"
    assert one.min() == two.min() > 0.9, "and at its edges the resizing of what is beside it"
    assert not kinds(dls) & {Flip, Rotate, Warp, Brightness}


def test_augment_light_neither_turns_nor_warps(wide):
    dls = qv.from_folder(wide, size=32, bs=4, augment="light")
    assert kinds(dls) >= {Flip, Brightness}
    assert not kinds(dls) & {Rotate, Warp}
    assert dls.one_batch()[0].shape[-2:] == (32, 32)


@pytest.mark.parametrize("augment", ["default", "light"])
def test_flip_is_turned_off_in_a_word(wide, augment):
    assert Flip in kinds(qv.from_folder(wide, size=32, bs=4, augment=augment))
    dls = qv.from_folder(wide, size=32, bs=4, augment=augment, flip=False)
    assert Flip not in kinds(dls)
    assert Brightness in kinds(dls)
    assert dls.one_batch()[0].shape[-2:] == (32, 32)


@pytest.mark.parametrize("options", [{"flip": False}, {"augment": "none"}])
def test_flip_and_augment_go_with_our_own_batch_transforms(wide, options):
    with pytest.raises(ValueError, match=r"goes with the batch_tfms of our own"):
        qv.from_folder(wide, size=32, bs=4, batch_tfms=[], **options)


def test_pictures_have_their_size_on_every_side_also_where_fastai_does_not_say_which(wide):
    dls = qv.from_folder(wide, size=32, bs=4)
    sides = {None: 32, 0: 36, 1: 32}
    for resize in ("crop", "squish", "pad"):
        dls = qv.from_folder(wide, size=32, bs=4, resize=resize)
        image = dls.train_ds[0][0]
        for split_idx, side in sides.items():
            dls.after_item.split_idx = split_idx
            assert dls.after_item((image,))[0].shape[-2:] == (side, side)
        assert len(dls.train.do_batch([dls.train.do_item(i) for i in range(3)])[0]) == 3
