from __future__ import annotations

import pytest
from made import NAMES, save_annotations, save_names
from scipy.io import loadmat, savemat

import quickvision as qv
from quickvision.recipes import cars as room
from quickvision.recipes.cars import find_devkit, find_names, read_cars, write_numbered


@pytest.fixture
def cars(tmp_path):
    root = tmp_path / "stanford-cars"
    (root / "cars_train").mkdir(parents=True)
    save_names(root / "devkit" / "cars_meta.mat")
    pairs = [(3, "00001.jpg"), (2, "00002.jpg"), (1, "00003.jpg")]
    save_annotations(root / "devkit" / "cars_train_annos.mat", pairs)
    return root


def test_the_files_are_nested_as_the_authors(cars):
    meta = loadmat(cars / "devkit" / "cars_meta.mat")
    annotations = loadmat(cars / "devkit" / "cars_train_annos.mat")
    assert meta["class_names"][0][1][0] == NAMES[1]
    assert annotations["annotations"][0][1]["fname"][0] == "00002.jpg"
    assert annotations["annotations"][0][1]["class"][0][0] == 2


class TestRead:
    def test_classes_count_from_one(self, cars):
        table = read_cars(cars)
        assert table["file"].tolist() == [f"cars_train/0000{i}.jpg" for i in (1, 2, 3)]
        assert table["label"].tolist() == NAMES[::-1]
        assert not table["is_test"].any()

    def test_test_pictures_are_there_where_their_labels_are(self, cars):
        save_annotations(cars / "devkit" / "cars_test_annos.mat", [(0, "00001.jpg")], ("fname",))
        assert len(read_cars(cars)) == 3
        for folder in (cars / "devkit", cars):
            save_annotations(folder / "cars_test_annos_withlabels.mat", [(1, "00001.jpg")])
            table = read_cars(cars)
            assert table.iloc[3].tolist() == ["cars_test/00001.jpg", NAMES[0], True]

    def test_one_row_and_one_name_are_lists_too(self, cars):
        save_names(cars / "devkit" / "cars_meta.mat", NAMES[:1])
        save_annotations(cars / "devkit" / "cars_train_annos.mat", [(1, "a.jpg")])
        assert read_cars(cars)["label"].tolist() == NAMES[:1]

    def test_kaggle_puts_a_folder_in_the_folder(self, cars):
        (cars / "cars_train" / "cars_train").mkdir()
        assert read_cars(cars)["file"][0] == "cars_train/cars_train/00001.jpg"

    def test_names_do_not_lead_elsewhere(self, cars):
        save_annotations(cars / "devkit" / "cars_train_annos.mat", [(1, "../../secret.jpg")] * 2)
        assert read_cars(cars)["file"][0] == "cars_train/secret.jpg"


class TestDevkit:
    def test_it_may_be_in_or_beside_the_folder(self, cars):
        assert find_devkit(cars) == cars / "devkit"
        (cars / "devkit").rename(cars.parent / "devkit")
        assert find_devkit(cars) == cars.parent / "devkit"
        assert len(read_cars(cars)) == 3
        (cars.parent / "devkit").rename(cars.parent / "elsewhere")
        assert find_devkit(cars) is None
        assert len(read_cars(cars, cars.parent / "elsewhere")) == 3

    def test_without_it_the_message_says_what_to_fetch(self, cars):
        (cars / "devkit" / "cars_train_annos.mat").unlink()
        with pytest.raises(qv.DataError, match="expected devkit/cars_train_annos.mat .*devkit"):
            read_cars(cars)


class TestBadAnnotations:
    def test_no_matlab_file(self, cars):
        (cars / "devkit" / "cars_train_annos.mat").write_bytes(b"<html>log in first</html>" * 99)
        with pytest.raises(qv.DataError, match="expected a MATLAB file with 'annotations', got"):
            read_cars(cars)

    def test_a_file_that_was_cut(self, cars):
        file = cars / "devkit" / "cars_train_annos.mat"
        file.write_bytes(file.read_bytes()[:-300])
        with pytest.raises(qv.DataError, match="expected a MATLAB file with 'annotations', got"):
            read_cars(cars)

    def test_another_variable(self, cars):
        savemat(cars / "devkit" / "cars_meta.mat", {"names": 1})
        with pytest.raises(qv.DataError, match="expected a MATLAB file with 'class_names', got"):
            read_cars(cars)

    @pytest.mark.parametrize("fields", [("fname",), ("class",), ("fname", "test")])
    def test_missing_fields(self, cars, fields):
        file = cars / "devkit" / "cars_train_annos.mat"
        save_annotations(file, [(1, "00001.jpg")] * 2, fields)
        with pytest.raises(qv.DataError, match="expected the fields fname and class in"):
            read_cars(cars)

    def test_no_fields_at_all(self, cars):
        savemat(cars / "devkit" / "cars_train_annos.mat", {"annotations": [1, 2]})
        with pytest.raises(qv.DataError, match="fname and class in .* got no fields"):
            read_cars(cars)

    @pytest.mark.parametrize("label", [0, 4])
    def test_classes_without_a_name(self, cars, label):
        save_annotations(cars / "devkit" / "cars_train_annos.mat", [(label, "00001.jpg")])
        with pytest.raises(qv.DataError, match=f"expected classes from 1 to 3 in .* got {label};"):
            read_cars(cars)


class TestNames:
    @pytest.mark.parametrize("where", [".", "car_data", "car_data/car_data"])
    def test_they_are_in_or_above_numbered_folders(self, tmp_path, picture, where):
        root = tmp_path / "car_data" / "car_data"
        for side in ("train", "test"):
            picture(root / side / "1" / "a.png")
            picture(root / side / "2" / "a.png")
        assert find_names(root) is None
        (tmp_path / where / "names.csv").write_text("a\n")
        assert find_names(root).samefile(tmp_path / where / "names.csv")

    def test_folders_with_names_need_none(self, tmp_path, picture):
        picture(tmp_path / "train" / "Audi TTS Coupe 2012" / "a.png")
        picture(tmp_path / "train" / "2012" / "a.png")
        (tmp_path / "names.csv").write_text("a\nb\n")
        assert find_names(tmp_path) is None


CARS = {"AM General Hummer SUV 2000": "red", "Ram C/V Cargo Van 2012": "green", "Audi TTS": "blue"}


@pytest.fixture
def annotated(tmp_path, picture):
    """Stanford Cars as its authors annotate it: ten pictures of each of three cars, and tests."""
    root = tmp_path / "stanford-cars"
    pairs = [(i % 3 + 1, f"{i:05d}.jpg") for i in range(30)]
    for label, name in pairs:
        colour = list(CARS.values())[label - 1]
        picture(root / "cars_train" / name, colour, seed=int(name[:5]))
        picture(root / "cars_test" / name, colour, seed=100 + int(name[:5]))
    save_names(root / "devkit" / "cars_meta.mat", list(CARS))
    save_annotations(root / "devkit" / "cars_train_annos.mat", pairs)
    return root


@pytest.fixture
def numbered(tmp_path, picture):
    """Stanford Cars as Kaggle's hackathons pack it: numbered folders, `names.csv` above."""
    root = tmp_path / "car_data" / "car_data"
    for i in range(60):
        side, label = ("train" if i < 30 else "test"), i % 3
        picture(root / side / f"{label + 1}" / f"{i}.jpg", list(CARS.values())[label], seed=i)
    (root.parent / "names.csv").write_text("\n".join(CARS) + "\n")
    (root / "anno_train.csv").write_text("0.jpg,1,2,3,4,1\n")
    return root


@pytest.mark.slow
class TestCars:
    def test_the_annotations_name_the_cars(self, annotated, options):
        run = qv.train_cars(annotated, **options)
        assert run.preds.vocab == tuple(sorted(CARS))
        assert len(run.preds) == 6
        assert {p.parent.name for p in run.preds.paths} == {"cars_train"}
        assert run.path.name == "cars-001"
        for path, label in zip(run.preds.paths, run.preds.targs, strict=True):
            assert run.preds.vocab[label] == list(CARS)[int(path.stem) % 3]

    def test_one_in_a_hundred_is_one_of_each_car(self, annotated, numbered, options):
        for path in (annotated, numbered):
            run = qv.train_cars(path, valid=0.01, **options)
            assert len(run.preds) == 3
            assert len(run.learn.dls.train_ds) == 27
            assert set(run.preds.targs) == {0, 1, 2}

    def test_labelled_test_pictures_validate(self, annotated, options):
        labels = annotated / "cars_test_annos_withlabels.mat"
        save_annotations(labels, [(i % 3 + 1, f"{i:05d}.jpg") for i in range(30)])
        run = qv.train_cars(annotated, **options)
        assert {p.parent.name for p in run.preds.paths} == {"cars_test"}
        assert len(run.preds) == len(run.learn.dls.train_ds) == 30
        run = qv.train_cars(annotated, valid=0.01, **options)
        assert {p.parent.name for p in run.preds.paths} == {"cars_train"}

    def test_the_seed_is_the_splits_too(self, annotated, options):
        def held(seed):
            return set(qv.train_cars(annotated, seed=seed, **options).preds.paths)

        assert held(1) == held(1) != held(2)

    def test_options_of_the_data_are_passed_on(self, annotated, options):
        run = qv.train_cars(annotated, resize="squish", balance="weights", **options)
        assert run.learn.dls.loss_func is not None
        with pytest.raises(TypeError, match="siez"):
            qv.train_cars(annotated, siez=3, **options)

    def test_numbered_folders_get_their_names_from_above(self, numbered, options):
        for path in (numbered, numbered.parent, numbered.parent.parent):
            run = qv.train_cars(path, **options)
            assert run.preds.vocab == tuple(sorted(CARS))
            assert len(run.preds) == 30  # the test folder

    def test_names_that_are_given_come_first(self, numbered, options):
        run = qv.train_cars(numbered, class_names=["a", "b", "c"], **options)
        assert run.preds.vocab == ("a", "b", "c")

    def test_folders_with_names_need_none(self, numbered, options):
        for side in ("train", "test"):
            for number, name in enumerate("abc", 1):
                (numbered / side / f"{number}").rename(numbered / side / name)
        assert qv.train_cars(numbered, **options).preds.vocab == ("a", "b", "c")

    def test_without_a_path_they_are_fetched(self, annotated, options, monkeypatch):
        kit = annotated / "devkit"
        monkeypatch.setattr(room, "fetch_cars", lambda: write_numbered(annotated, kit))
        run = qv.train_cars(**options)
        assert run.preds.vocab == tuple(sorted(CARS))
        assert len(run.preds) == 6

    def test_annotations_that_are_missing_are_named(self, annotated, options):
        (annotated / "devkit" / "cars_train_annos.mat").unlink()
        with pytest.raises(qv.DataError, match="expected devkit/cars_train_annos.mat"):
            qv.train_cars(annotated, **options)

    def test_an_empty_folder(self, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(qv.DataError, match="expected pictures in"):
            qv.train_cars(tmp_path / "empty")
