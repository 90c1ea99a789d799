from __future__ import annotations

import fastai.callback.progress  # noqa: F401  gives every Learner no_bar
import pytest
from PIL import Image

import quickvision as qv

pytestmark = pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
SMALL = {"size": 32, "bs": 4}


class TestLeftOut:
    pytestmark = pytest.mark.filterwarnings("default::quickvision.DataWarning")

    def test_unreadable_files_are_left_out_and_said(self, class_folders):
        (class_folders / "red" / "broken.jpg").write_text("not a picture")
        with pytest.warns(
            qv.DataWarning, match=r"left out 1 of 37 .*broken\.jpg \(not a picture: no format"
        ):
            dls = qv.from_folder(class_folders, **SMALL)
        assert [path.name for path in dls.skipped["path"]] == ["broken.jpg"]
        assert "broken.jpg" not in [p.name for dl in dls.loaders for p in dl.items]

    def test_a_placeholder_among_photos_is_left_out(self, class_folders, picture):
        for path in list(class_folders.rglob("*.png")):
            Image.open(path).save(path.with_suffix(".jpg"))
            path.unlink()
        Image.new("P", (30, 30), 3).save(class_folders / "red" / "imageNotFound.gif")
        with pytest.warns(qv.DataWarning, match="looks like a placeholder.* GIF among JPEG"):
            dls = qv.from_folder(class_folders, **SMALL)
        assert len(dls.skipped) == 1

    def test_drawings_among_drawings_stay(self, tmp_path):
        for label in ("a", "b"):
            (tmp_path / label).mkdir()
            for i in range(6):
                Image.new("P", (30, 30), i).save(tmp_path / label / f"{i}.gif")
        assert qv.from_folder(tmp_path, **SMALL).skipped.empty

    def test_without_the_check_nothing_is_read(self, class_folders):
        (class_folders / "red" / "broken.jpg").write_text("not a picture")
        dls = qv.from_folder(class_folders, check=False, **SMALL)
        assert len(dls.train_ds) + len(dls.valid_ds) == 37

    def test_pictures_outside_class_folders_are_said(self, class_folders, picture):
        picture(class_folders / "stray.png")
        with pytest.warns(qv.DataWarning, match=r"stray\.png \(not in a class folder\)"):
            qv.from_folder(class_folders, **SMALL)

    def test_names_without_a_label_are_said(self, named_files, picture):
        picture(named_files / "nolabel.png")
        with pytest.warns(qv.DataWarning, match="no label: .* does not match"):
            qv.from_name_re(named_files, r"(.+)_\d+", **SMALL)

    def test_a_class_that_is_not_validated_is_said(self, train_and_val, picture):
        for i in range(3):
            picture(train_and_val / "train" / "blue" / f"{i}.png", "blue")
        with pytest.warns(qv.DataWarning, match="val has no pictures of blue"):
            qv.from_folder(train_and_val, **SMALL)

    def test_a_batch_larger_than_the_data_is_lowered(self, class_folders):
        with pytest.warns(qv.DataWarning, match="bs lowered from 64 to 7: .* 29 training pictures"):
            dls = qv.from_folder(class_folders, size=32)
        assert (dls.train.bs, len(dls.train)) == (7, 4)


class TestBadInput:
    def test_missing_folder(self, class_folders):
        with pytest.raises(qv.DataError, match="got nothing at .*did you mean 'colours'"):
            qv.from_folder(class_folders.parent / "colors")

    def test_a_file_in_place_of_a_folder(self, named_files):
        with pytest.raises(qv.DataError, match="got a file"):
            qv.from_folder(named_files / "red_0.png")

    def test_no_pictures(self, tmp_path):
        (tmp_path / "notes.txt").write_text("x")
        with pytest.raises(qv.DataError, match="expected pictures in .*, got none"):
            qv.from_folder(tmp_path)

    def test_only_bad_pictures(self, tmp_path):
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "x.jpg").write_text("x")
        with pytest.raises(qv.DataError, match="that can be read, got none"):
            qv.from_folder(tmp_path)

    def test_a_flat_folder_points_to_the_other_door(self, named_files):
        with pytest.raises(qv.DataError, match="expected class folders .* use from_name_re"):
            qv.from_folder(named_files)

    def test_one_class(self, class_folders):
        with pytest.raises(qv.DataError, match="at least two classes, got only 'red'"):
            qv.from_name_re(class_folders / "red", r"(.+)_", **SMALL)

    def test_a_class_with_one_picture(self, class_folders, picture):
        picture(class_folders / "rare" / "1.png")
        with pytest.raises(qv.DataError, match="at least 2 pictures of each class.* got 1 of rare"):
            qv.from_folder(class_folders, **SMALL)

    def test_an_empty_validation_folder(self, train_and_val):
        for path in (train_and_val / "val").rglob("*.png"):
            path.unlink()
        with pytest.raises(
            qv.DataError, match=r"expected pictures to validate on in .*val, got none"
        ):
            qv.from_folder(train_and_val, **SMALL)

    def test_a_class_only_in_validation(self, train_and_val, picture):
        picture(train_and_val / "val" / "wasps" / "1.png")
        with pytest.raises(qv.DataError, match="got also wasps; train has green, red"):
            qv.from_folder(train_and_val, **SMALL)

    def test_validation_without_train(self, train_and_val):
        (train_and_val / "train").rename(train_and_val.parent / "gone")
        with pytest.raises(qv.DataError, match="expected a folder 'train' beside"):
            qv.from_folder(train_and_val, **SMALL)

    @pytest.mark.parametrize(
        ("option", "value", "match"),
        [
            ("valid", 20, "expected a fraction such as 0.2"),
            ("valid", 0, "expected a fraction"),
            ("size", 0, "expected pixels"),
            ("size", "224", "expected pixels"),
            ("size", (224, 224, 3), "expected pixels"),
            ("bs", 1, "at least 2"),
            ("bs", 2.5, "at least 2"),
            ("num_workers", -1, "0 or more"),
        ],
    )
    def test_options_out_of_range(self, class_folders, option, value, match):
        with pytest.raises(ValueError, match=match):
            qv.from_folder(class_folders, **{option: value})

    @pytest.mark.parametrize(
        ("pat", "match"),
        [
            (r"(.+", "expected a regular expression"),
            (r".+_\d+", "one group, the label, got 0 groups"),
            (r"(.+)_(\d+)", "one group, the label, got 2 groups"),
        ],
    )
    def test_patterns_that_cannot_label(self, named_files, pat, match):
        with pytest.raises(ValueError, match=match):
            qv.from_name_re(named_files, pat)

    def test_a_pattern_that_matches_nothing(self, named_files):
        with pytest.raises(qv.DataError, match=r"no match in 30: .*blue_0\.png.* and 27 more"):
            qv.from_name_re(named_files, r"^(.+)_\d+\.jpeg$")

    def test_files_that_do_not_exist(self, named_files):
        with pytest.raises(qv.DataError, match=r"1 that do not exist: .*gone_1\.png"):
            qv.from_name_re([named_files / "red_0.png", named_files / "gone_1.png"], r"(.+)_")
        with pytest.raises(qv.DataError, match="got none"):
            qv.from_name_re([], r"(.+)_")


@pytest.mark.parametrize("seed", [-1, 1.5, None])
def test_seeds_out_of_range(class_folders, seed):
    with pytest.raises(ValueError, match="seed: expected a whole number from 0"):
        qv.from_folder(class_folders, seed=seed)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"valid_pct": 0.2}, TypeError, "valid_pct: no such option; did you mean 'valid'"),
        ({"num_workers": "2"}, ValueError, "num_workers: expected a whole number"),
        ({"num_workers": 1.5}, ValueError, "num_workers: expected a whole number"),
        ({"max_bad": None}, ValueError, "max_bad: expected a fraction"),
        ({"cache": None}, ValueError, "cache: expected 'auto', True, False or a"),
        ({"cache": ""}, ValueError, "cache: expected 'auto', True, False or a"),
        ({"seed": 2**70}, ValueError, "seed: expected a whole number"),
        ({"valid": None}, TypeError, "valid: expected a fraction"),
        ({"valid": [1, 2]}, TypeError, "valid: expected files to validate on, got 1"),
    ],
)
def test_options_of_the_wrong_kind(class_folders, options, error, match):
    with pytest.raises(error, match=match):
        qv.from_folder(class_folders, **options)
