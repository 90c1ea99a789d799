from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import quickvision as qv
from quickvision.ship.pictures import several


@pytest.fixture
def folder(tmp_path, picture):
    for name in ("b/2.png", "a/10.png", "a/9.png", "1.png"):
        picture(tmp_path / "new" / name)
    (tmp_path / "new" / "notes.txt").write_text("x")
    return tmp_path / "new"


def test_a_folder_is_searched_and_its_pictures_are_called_by_their_place_in_it(folder):
    for given in (folder, str(folder)):
        found = several(given)
        assert [named.name for named in found] == ["1.png", "a/10.png", "a/9.png", "b/2.png"]
        assert all(named.picture == folder / named.name for named in found)


def test_a_pattern_names_files(folder):
    found = several(f"{folder}/a/*.png")
    assert [named.name for named in found] == [f"{folder}/a/10.png", f"{folder}/a/9.png"]
    with pytest.raises(qv.DataError, match="got none that .* matches"):
        several(f"{folder}/*.gif")


def test_a_list_and_a_generator_are_taken_as_they_come(folder):
    image = Image.new("RGB", (4, 4))
    given = [folder / "1.png", "x.png", image, b"bytes"]
    for pictures in (given, tuple(given), (one for one in given)):
        found = list(several(pictures))
        assert [named.name for named in found] == [str(folder / "1.png"), "x.png", "", ""]
        assert [named.picture for named in found] == given


def test_a_generator_is_not_run_dry():
    def endless():
        while True:
            yield "x.png"

    assert next(iter(several(endless()))).name == "x.png"


def test_a_single_one_is_not_several(folder):
    image = Image.new("RGB", (4, 4))
    ones = (folder / "1.png", b"x", image, np.zeros((4, 4, 3)), io.BytesIO(b"x"))
    for one in ones:
        with pytest.raises(TypeError, match=r"got a single one.*use predict\(\)"):
            several(one)
    with pytest.raises(TypeError, match="expected pictures in a list, got int"):
        several(3)


def test_nothing_there(tmp_path):
    with pytest.raises(qv.DataError, match="expected a folder of pictures, got nothing at"):
        several(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(qv.DataError, match="expected pictures in .*got none"):
        several(tmp_path / "empty")
