from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pytest
from fastai.data.external import URLs
from made import save_annotations, save_names

import quickvision as qv
from quickvision.recipes import cars, cifar10
from quickvision.recipes import pets as pets_room
from quickvision.recipes.cars import write_numbered
from quickvision.recipes.downloads import fetch


def pets(root, picture):
    colours = {"Abyssinian": "red", "great_pyrenees": "green", "pug": "blue"}
    for breed, colour in colours.items():
        for i in range(8):
            picture(root / "images" / f"{breed}_{i}.jpg", colour, seed=i)
    (root / "images" / "Abyssinian_100.mat").write_bytes(b"MATLAB")
    return root


@pytest.fixture
def options(tiny_net, tmp_path):
    quick = {"frozen_epochs": 0, "unfrozen_epochs": 1, "lr": 1e-2, "verbose": False}
    return {"arch": tiny_net, "weights": None, "size": 32, "bs": 4, "out": tmp_path / "o", **quick}


class TestPets:
    def test_the_images_folder_is_found_by_itself(self, tmp_path, picture, options):
        root = pets(tmp_path / "pets", picture)
        for path in (root, root / "images", str(root)):
            run = qv.train_pets(path, **options)
            assert run.preds.vocab == ("Abyssinian", "great_pyrenees", "pug")
        assert run.path.name == "pets-003"

    def test_a_failed_download_says_what_to_do(self, options, fastai_home, monkeypatch):
        url = "http://127.0.0.1:9/oxford-iiit-pet.tgz"
        monkeypatch.setattr(pets_room, "untar_data", partial(fetch, checksum="md5:00"))
        monkeypatch.setattr(URLs, "PETS", url)
        with pytest.raises(qv.DataError, match="expected to download .* by hand, .* path="):
            qv.train_pets(**options)


@pytest.fixture
def insects(tmp_path, picture):
    """`train` and `val` of ants and bees: eight pictures each, and four."""
    root = tmp_path / "insects" / "hymenoptera_data"
    for insect, colour in {"ants": "red", "bees": "green"}.items():
        for i in range(8):
            picture(root / "train" / insect / f"{i}.jpg", colour, seed=i)
        for i in range(4):
            picture(root / "val" / insect / f"{i}.jpg", colour, seed=100 + i)
    return root


@pytest.fixture
def pretrained(options):
    """The options, of a net that is taken as pretrained; epochs are for the mode to say."""
    del options["frozen_epochs"], options["unfrozen_epochs"]
    return options | {"weights": "default"}


def stages(run):
    return run.history.groupby("stage")["epoch"].max().to_dict()


class TestAntsAndBees:
    def test_both_are_two_runs_on_the_same_pictures(self, insects, pretrained, capsys):
        epochs = {"frozen_epochs": 2, "unfrozen_epochs": 1}
        run = qv.train_ants_bees(insects, **epochs, **pretrained | {"verbose": True})
        frozen = run.baseline
        assert stages(run) == {"unfrozen": 1}
        assert stages(frozen) == {"frozen": 2}
        assert run.preds.paths == frozen.preds.paths
        assert len(run.preds) == 8
        assert [r.path.name for r in (frozen, run)] == [
            "ants-bees-features-001",
            "ants-bees-finetune-001",
        ]
        said = capsys.readouterr().out
        assert f"features     {frozen.accuracy}\nfinetune     {run.accuracy}\n" in said

    @pytest.mark.parametrize(
        ("mode", "epochs", "done"),
        [
            ("features", {"frozen_epochs": 1}, {"frozen": 1}),
            ("finetune", {"unfrozen_epochs": 2}, {"unfrozen": 2}),
            ("finetune", {"frozen_epochs": 0, "unfrozen_epochs": 1}, {"unfrozen": 1}),
            ("features", {}, {"frozen": 5}),
        ],
    )
    def test_one_mode_is_one_run(self, insects, pretrained, mode, epochs, done):
        run = qv.train_ants_bees(insects.parent, mode=mode, **epochs, **pretrained)
        assert stages(run) == done
        assert run.baseline is None

    def test_a_name_is_taken_over(self, insects, pretrained):
        run = qv.train_ants_bees(
            insects, mode="finetune", unfrozen_epochs=1, name="mine", **pretrained
        )
        assert run.path.name == "mine-finetune-001"

    def test_all_layers_may_start_from_scratch(self, insects, pretrained):
        run = qv.train_ants_bees(
            insects, mode="finetune", unfrozen_epochs=1, **pretrained | {"weights": None}
        )
        assert stages(run) == {"unfrozen": 1}

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"mode": "frozen"}, "mode: expected one of both, features, finetune, got 'frozen'"),
            ({"mode": "features", "unfrozen_epochs": 2}, "unfrozen_epochs: .*has none, got 2"),
            ({"mode": "finetune", "frozen_epochs": 2}, "frozen_epochs: .*has none, got 2"),
            ({"mode": "both", "frozen_epochs": 0}, "frozen_epochs: expected at least 1 .*got 0"),
            ({"unfrozen_epochs": 0}, "unfrozen_epochs: expected at least 1 for mode='both'"),
            ({"mode": "features", "frozen_epochs": -1}, "expected at least 1 .* got -1"),
            ({"weights": None}, "weights: expected some for mode='both'"),
        ],
    )
    def test_what_contradicts_the_mode_is_said_before_anything_is_fetched(self, given, said):
        with pytest.raises(ValueError, match=said):
            qv.train_ants_bees(**given)

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(qv.DataError, match="expected a folder of pictures, got nothing at"):
            qv.train_ants_bees(tmp_path / "no")


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
        monkeypatch.setattr(cars, "fetch_cars", lambda: write_numbered(annotated, kit))
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


@pytest.fixture
def batches(tmp_path):
    """Ten pictures in each of CIFAR-10's pickles."""
    folder = tmp_path / "torchvision" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        pixels = np.random.default_rng(number).integers(0, 256, (10, 3072), dtype=np.uint8)
        batch = {"data": pixels, "labels": [0, 1] * 5}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    names = {"label_names": ["cat", "dog"]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names, protocol=2))
    return folder


class TestCifar10:
    def test_torchvisions_pickles_become_pictures_in_our_cache(self, batches, options):
        before = sorted(batches.parent.rglob("*"))
        for path in (batches, batches.parent):
            run = qv.train_cifar10(path, **options)
            assert run.preds.vocab == ("cat", "dog")
            assert len(run.learn.dls.train_ds) == 50
            assert len(run.preds) == 10
        assert sorted(batches.parent.rglob("*")) == before
        assert run.path.name == "cifar10-002"

    def test_class_folders_are_taken_as_they_are(self, insects, options):
        (insects / "val").rename(insects / "test")
        run = qv.train_cifar10(insects, **options)
        assert run.preds.paths[0].parents[1] == insects / "test"

    def test_the_pictures_are_not_enlarged(self, batches, options):
        run = qv.train_cifar10(batches, **options)
        assert run.learn.dls.one_batch()[0].shape[-2:] == (32, 32)
        assert run.learn.dls.valid.one_batch()[0].shape[-2:] == (32, 32)

    def test_bad_pickles_are_refused(self, batches, options):
        (batches / "test_batch").write_bytes(pickle.dumps(print))
        with pytest.raises(qv.DataError, match="it wants to call builtins.print"):
            qv.train_cifar10(batches, **options)

    def test_a_failed_download_says_what_to_do(self, options, fastai_home, monkeypatch):
        monkeypatch.setattr(cifar10, "untar_data", partial(fetch, checksum="md5:00"))
        monkeypatch.setattr(URLs, "CIFAR", "http://127.0.0.1:9/cifar10.tgz")
        with pytest.raises(qv.DataError, match="expected to download .* by hand, .* path="):
            qv.train_cifar10(**options)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
def test_thirty_seven_real_breeds(real_data, tmp_path):
    run = qv.train_pets(
        real_data / "data" / "pets_sample",
        arch="mobilenet_v2",
        weights=real_data / "weights" / "mobilenet_v2_imagenet.pth",
        size=128,
        bs=16,
        lr=3e-3,
        unfrozen_epochs=0,
        out=tmp_path,
    )
    assert len(run.preds.vocab) == 37
    assert run.accuracy.n == 74
    assert run.accuracy.interval[0] > 0.3  # chance is 2.7 %


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
def test_real_ants_and_bees_in_both_modes(real_data, tmp_path):
    run = qv.train_ants_bees(
        path=real_data / "data" / "hymenoptera",
        arch="mobilenet_v2",
        weights=real_data / "weights" / "mobilenet_v2_imagenet.pth",
        size=96,
        frozen_epochs=4,
        unfrozen_epochs=3,
        lr=3e-3,
        out=tmp_path,
        verbose=False,
    )
    frozen = run.baseline
    assert stages(frozen) == {"frozen": 4}
    assert stages(run) == {"unfrozen": 3}
    assert run.preds.paths == frozen.preds.paths
    assert run.accuracy.n == 153
    assert frozen.accuracy.value > 0.7
    assert run.accuracy.value > 0.7
