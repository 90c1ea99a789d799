from __future__ import annotations

import struct
import warnings

import numpy as np
import pytest
from PIL import Image

import quickvision as qv
from quickvision.data.pictures import Opener, levels_in
from quickvision.data.rgb import levels_of, to_rgb
from quickvision.data.scan import way_out_of_bands

# Pictures of one seed are one picture, whatever their class.
pytestmark = pytest.mark.filterwarnings("ignore:the same picture:quickvision.DataWarning")


@pytest.fixture
def deep(tmp_path):
    """Write grey pictures of more than 8 bits, in two classes."""

    def write(low, top, dtype=np.uint16, suffix="png", n=8):
        for c, middle in (("a", 0.3), ("b", 0.6)):
            (tmp_path / "d" / c).mkdir(parents=True, exist_ok=True)
            for i in range(n):
                share = np.random.default_rng(i).uniform(middle - 0.3, middle + 0.4, (20, 20))
                share[0, :2] = (0, 1) if i == 0 else share[0, :2]
                values = (low + share * (top - low)).astype(dtype)
                Image.fromarray(values).save(tmp_path / "d" / c / f"{i}.{suffix}")
        return tmp_path / "d"

    return write


@pytest.mark.parametrize(
    ("top", "white"), [(200, 255), (1000, 1023), (4095, 4095), (4096, 16383), (60000, 65535)]
)
def test_one_scale_for_the_whole_data_set(deep, top, white):
    root = deep(0, top)
    dls = qv.from_folder(root, size=16, bs=4)
    assert levels_in(dls) == (0, white)
    sides = [np.asarray(ds[i][0]) for ds in (dls.train_ds, dls.valid_ds) for i in range(len(ds))]
    assert max(side.max() for side in sides) == pytest.approx(255 * top / white, abs=1)
    dark = np.asarray(dls.train_ds[0][0]).max()
    assert len({int(side.max()) for side in sides}) > 1 or dark < 255, "no file by itself"
    assert f"{white} is white" in str(qv.check(root, size=16))


def test_signed_and_float_values_are_scaled_and_said(deep):
    root = deep(-1000, 3000, np.int32, "tif")
    with pytest.warns(qv.DataWarning, match=r"below 0.*-1000 is black and 4095 white.*levels="):
        dls = qv.from_folder(root, size=16, bs=4)
    assert np.asarray(dls.train_ds[0][0]).min() >= 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dls = qv.from_folder(root, size=16, bs=4, levels=(-160, 240))
    assert levels_in(dls) == (-160, 240)
    tops = [np.asarray(dls.train_ds[i][0]).max() for i in range(4)]
    assert max(tops) == 255


def test_floats_of_one_data_set_are_alike(deep):
    dls = qv.from_folder(deep(0, 0.9, np.float32, "tif"), size=16, bs=4)
    assert levels_in(dls) == (0, 1)
    assert levels_of(0, 300, "F") == (0, 1023)


def test_the_scale_is_the_same_in_copies_predictions_and_bytes(deep, tmp_path):
    root = deep(0, 4000)
    file = root / "a" / "3.png"
    want = np.asarray(to_rgb(Image.open(file), (0, 4095)))
    dls = qv.from_folder(root, size=16, bs=4, cache=tmp_path / "copies")
    open_ = dls.train_ds.tls[0].tfms.fs[-1]
    for item in (file, file.read_bytes(), Image.open(file)):
        seen = np.asarray(open_(item)).astype(float)
        assert abs(seen.mean() - want.mean()) < 2
    assert open_.levels == (0, 4095)
    with pytest.warns(qv.DataWarning, match="hardly any contrast"):
        other = qv.from_folder(root, size=16, bs=4, cache=tmp_path / "copies", levels=(0, 65535))
    assert np.asarray(other.train_ds.tls[0].tfms.fs[-1](file)).max() < 20, "a copy of its own"


def test_without_a_look_each_file_is_16_bits(deep):
    root = deep(0, 4000)
    for options in ({"check": False}, {"levels": "file"}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of hardly any contrast
            dls = qv.from_folder(root, size=16, bs=4, **options)
        assert levels_in(dls) is None
        assert np.asarray(dls.train_ds[0][0]).max() < 20
    for wrong in ((4095, 0), "auto", 4095):
        with pytest.raises(ValueError, match="levels: expected the values that are black"):
            qv.from_folder(root, levels=wrong)


def test_an_opener_that_was_exported_before_has_no_levels():
    opener = Opener.__new__(Opener)
    assert opener.levels is None


def test_a_run_goes_on_with_its_scale(deep, tmp_path):
    how = {"arch": "timm/test_resnet", "weights": None, "size": 32, "verbose": False, "lr": 1e-3}
    run = qv.train(deep(0, 4000), out=tmp_path / "o", frozen_epochs=0, unfrozen_epochs=1, **how)
    assert run.spec.pictures["levels"] == (0, 4095)
    again = qv.resume(run.path, verbose=False)
    assert levels_in(again.learn.dls) == (0, 4095)
    np.testing.assert_array_equal(again.preds.probs, run.preds.probs)
    ask, file = qv.Predictor(run.learn), tmp_path / "d" / "a" / "3.png"
    seen = [ask.predict(item).prob for item in (file, file.read_bytes(), Image.open(file))]
    assert seen == pytest.approx([seen[0]] * 3)


def many_bands(path, bands, bits=16, side=12):
    """A TIFF of so many bands, as satellites' pictures have them; Pillow opens none of it."""
    data = np.random.default_rng(0).integers(0, 3000, (side, side, bands)).astype("<u2").tobytes()
    many = struct.pack(f"<{bands}H", *[bits] * bands)
    at = 8 + len(many)
    tags = [
        (256, 3, 1, side), (257, 3, 1, side), (258, 3, bands, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, 1, at), (277, 3, 1, bands), (278, 3, 1, side), (279, 4, 1, len(data)),
    ]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    ifd = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<I", at + len(data)) + many + data
    path.write_bytes(head + struct.pack("<H", len(tags)) + ifd + bytes(4))


def test_more_than_four_bands_are_counted_and_a_way_out_is_given(tmp_path):
    for c in ("forest", "lake"):
        for i in range(3):
            many_bands(tmp_path / "d" / c / f"{i}.tif", 13)
    with pytest.raises(qv.DataError, match=r"13 bands.*(?s:.*)tifffile\.imread"):
        qv.from_folder(tmp_path / "d")
    assert "13 bands" in str(qv.check(tmp_path / "d").findings["advice"].tolist()) or any(
        "13 bands" in reason for reason in qv.check(tmp_path / "d").pictures["reason"]
    )


def test_the_lines_that_make_three_bands_work_when_pasted(tmp_path, monkeypatch):
    import sys
    import types

    many_bands(tmp_path / "d" / "forest" / "0.tif", 13)
    bands = np.random.default_rng(0).integers(0, 3000, (12, 12, 13)).astype(np.uint16)
    monkeypatch.setitem(sys.modules, "tifffile", types.SimpleNamespace(imread=lambda path: bands))
    lines = way_out_of_bands(tmp_path / "d").split("\n")[1:]
    exec("\n".join(line.removeprefix("    ") for line in lines), {})
    with Image.open(tmp_path / "d_rgb" / "forest" / "0.png") as image:
        assert (image.mode, image.size) == ("RGB", (12, 12))


def test_twelve_bits_in_colours_of_sixteen_do_not_go_by_silently(tmp_path):
    """Pillow keeps the upper byte: 16 of 256 levels."""
    for c in ("a", "b"):
        (tmp_path / c).mkdir()
        for i in range(6):
            values = np.random.default_rng(i).integers(0, 16, (20, 20, 3)).astype(np.uint8)
            Image.fromarray(values).save(tmp_path / c / f"{i}.png")
    with pytest.warns(qv.DataWarning, match="hardly any contrast"):
        qv.from_folder(tmp_path, size=16, bs=4)
    assert "hardly any contrast" in str(qv.check(tmp_path, size=16))


def test_pages_of_a_tiff_are_said(tmp_path, picture):
    for c in ("red", "green"):
        for i in range(5):
            pages = [
                Image.open(picture(tmp_path / "x.png", c, seed=i + k)).copy() for k in range(2)
            ]
            (tmp_path / "d" / c).mkdir(parents=True, exist_ok=True)
            pages[0].save(tmp_path / "d" / c / f"{i}.tif", save_all=True, append_images=pages[1:])
    with pytest.warns(qv.DataWarning, match="files of several pages.*only the first"):
        qv.from_folder(tmp_path / "d", size=16, bs=4)
