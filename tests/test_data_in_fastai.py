from __future__ import annotations

import pickle
from pathlib import Path

import fastai.callback.progress  # noqa: F401  gives every Learner no_bar
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from fastai.vision.augment import Resize
from fastai.vision.core import PILImage
from fastcore.foundation import L
from PIL import Image

import quickvision as qv
from quickvision.data.labels import FolderLabel

pytestmark = pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
SMALL = {"size": 32, "bs": 4}
CAPITALS = {"red": "RED", "green": "GREEN", "blue": "BLUE"}


def test_transforms_pass_through(class_folders):
    dls = qv.from_folder(class_folders, item_tfms=Resize((24, 16)), batch_tfms=[], bs=4)
    assert dls.one_batch()[0].shape == (4, 3, 24, 16)
    assert qv.from_folder(class_folders, size=(24, 16), bs=4).one_batch()[0].shape[-2:] == (24, 16)


def test_show_batch_works(class_folders):
    qv.from_folder(class_folders, **SMALL).show_batch(max_n=4)
    import matplotlib.pyplot as plt

    assert len(plt.gcf().axes) == 4
    plt.close("all")


def test_workers_read_the_same_pictures(class_folders):
    dls = qv.from_folder(class_folders, num_workers=2, **SMALL)
    assert len(list(dls.valid)) == 2
    assert (
        pickle.loads(pickle.dumps(FolderLabel([class_folders])))(class_folders / "a/b.png") == "a"
    )


class TestAsFastaiUsesThem:
    """What people do with `DataLoaders` and a `Learner` of plain fastai works on ours."""

    @pytest.fixture
    def dls(self, class_folders):
        return qv.from_folder(class_folders, **SMALL)

    def test_items_are_a_list_of_paths(self, dls):
        both = dls.train.items + dls.valid.items
        assert len(both) == len(dls.split) == 36
        assert isinstance(both[0], Path)
        assert len(L(dls.train.items)) == len(dls.train_ds)

    def test_interpretation(self, dls, tiny_net):
        learn = qv.cnn_learner(dls, tiny_net, weights=None)
        with learn.no_bar():
            interp = qv.ClassificationInterpretation.from_learner(learn)
            interp.plot_top_losses(2)
            interp.show_results([0, 1])
            assert interp.confusion_matrix().sum() == len(dls.valid_ds)
        plt.close("all")

    def test_prediction_of_whatever_an_app_gets(self, dls, tiny_net):
        learn = qv.cnn_learner(dls, tiny_net, weights=None)
        file = dls.valid.items[0]
        pixels = np.asarray(Image.open(file))
        with learn.no_bar():
            told = [
                learn.predict(item)[0]
                for item in (file, str(file), file.read_bytes(), PILImage.create(file), pixels)
            ]
            batch = dls.test_dl([str(file), str(file)]).one_batch()[0]
        assert len(set(told)) == 1
        assert batch.shape[0] == 2
        assert len(dls.test_dl(dls.valid.items, with_labels=True).one_batch()) == 2

    @pytest.mark.parametrize("door", ["folder", "names", "table", "renamed"])
    def test_loader_processes_can_be_spawned(self, class_folders, door):
        rows = {"file": [], "label": []}
        for path in sorted(class_folders.rglob("*.png")):
            rows["file"].append(str(path))
            rows["label"].append(path.parent.name)
        build = {
            "folder": lambda: qv.from_folder(class_folders, **SMALL),
            "names": lambda: qv.from_name_re(class_folders, r"^(.+)_", **SMALL),
            "table": lambda: qv.from_df(pd.DataFrame(rows), **SMALL),
            "renamed": lambda: qv.from_folder(class_folders, class_names=CAPITALS, **SMALL),
        }
        copy = pickle.loads(pickle.dumps(build[door]()))
        assert copy.valid_ds[0][1] == 0
        assert len(next(iter(copy.train))[0]) == 4
