from __future__ import annotations

from functools import partial

import pytest
from fastai.data.external import URLs

import quickvision as qv
from quickvision.recipes import pets as pets_room
from quickvision.recipes.downloads import fetch


def pets(root, picture):
    colours = {"Abyssinian": "red", "great_pyrenees": "green", "pug": "blue"}
    for breed, colour in colours.items():
        for i in range(8):
            picture(root / "images" / f"{breed}_{i}.jpg", colour, seed=i)
    (root / "images" / "Abyssinian_100.mat").write_bytes(b"MATLAB")
    return root


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
