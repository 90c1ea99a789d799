from __future__ import annotations

import re
from pathlib import Path

import pytest

import quickvision as qv
from quickvision.data.series import find_series
from quickvision.data.splits import stratified_split

BELONG = {
    "frames of tracks": ("{c}/{p:05d}_{i:05d}.png", range(4), range(6)),
    "slices of patients": ("{c}/patient{p}_slice{i}.png", range(6), range(4)),
    "frames of videos": ("{c}/video{p}_frame_{i:04d}.png", range(6), range(4)),
    "a patient's folder": ("{c}/patient_{p}/{i}.png", range(6), range(4)),
    "folders of ids": ("{c}/{p:03d}/{i}.png", range(6), range(4)),
    "ids before a number": ("{c}/S{p:02d}_{i}.png", range(6), range(4)),
    "turned copies": ("{c}/0a5e{p}{i}.png", range(9), ("", "_90deg", "_flipLR")),
    "two eyes": ("{c}/{p}_{i}.png", range(20, 40), ("left", "right")),
    "Roboflow's copies": ("{c}/x{p}_jpg.rf.{i}.png", range(9), ("a81c", "b92d", "c03e")),
}
APART = {
    "labels": ("{c}/{c}_{p}{i}.png", range(6), range(5)),
    "breeds": ("{c}/great_{c}_{p}{i}.png", range(6), range(5)),
    "days": ("{c}/IMG_2023010{p}_12010{i}.png", range(6), range(5)),
    "days with dashes": ("{c}/2023-01-0{p}_12010{i}.png", range(6), range(5)),
    "cameras": ("{c}/img_{p}{i}.png", range(6), range(5)),
    "ISIC": ("{c}/ISIC_00{p}{i}.png", range(6), range(5)),
    "Windows": ("{c}/photo ({p}{i}).png", range(1, 6), range(5)),
    "search engines": ("{c}/{p}_{i}.png", ("google", "bing", "flickr"), range(8)),
    "ImageNet": ("{c}/n0208562{p}_{i}.png", range(5), range(8)),
    "rooms": ("{c}/{p}/{i}.png", ("indoor", "outdoor"), range(8)),
    "parts": ("{c}/part_{p}/{i}.png", range(4), range(8)),
}


def made(how, classes=("ants", "bees")):
    form, groups, each = how
    return [form.format(c=c, p=p, i=i) for c in classes for p in groups for i in each]


def found(names):
    labels = [name.split("/")[0] for name in names]
    return find_series(names, labels, stratified_split(names, labels))


@pytest.mark.parametrize("how", BELONG.values(), ids=BELONG)
def test_the_pattern_that_is_given_works_when_it_is_pasted(how, tmp_path, picture):
    for i, name in enumerate(made(how)):
        picture(tmp_path / name, "red", seed=i)
    with pytest.warns(qv.DataWarning, match="names that belong together.*groups=") as said:
        dls = qv.from_folder(tmp_path, size=8, bs=4, check=False)
    text = next(str(w.message) for w in said if "belong together" in str(w.message))
    pattern = re.search(r"groups=r'(.*?)'; as ", text)[1]
    assert pattern in str(qv.check(tmp_path, size=8)), "check has the same words"
    again = qv.from_folder(tmp_path, size=8, bs=4, groups=pattern, check=False)
    for loaded, is_apart in ((dls, False), (again, True)):
        split = loaded.split
        keys = find_series(list(dls.split["path"]), list(dls.split["label"]), dls.split["valid"])
        groups = dict(zip(dls.split["path"], keys.keys, strict=True))
        sides = [{groups[p] for p in split["path"][split["valid"] == v]} for v in (True, False)]
        assert (not sides[0] & sides[1]) == is_apart


@pytest.mark.parametrize("how", APART.values(), ids=APART)
def test_names_that_say_nothing_are_let_be(how):
    assert found(made(how)) is None


def test_people_that_are_the_classes_are_no_groups():
    assert found([f"person_{p}/person_{p}_{i}.jpg" for p in range(5) for i in range(9)]) is None
    flowers = [f"{c}/{c}00{i:03d}_f52e8ee{i:03d}_n.jpg" for c in "12" for i in range(40)]
    assert found(flowers) is None


def test_real_photos_are_no_series(real_data):
    for top in ("data/hymenoptera/train", "data/pets_sample/images"):
        files = sorted((real_data / top).rglob("*.jpg"))
        names = [file.relative_to(real_data / top).as_posix() for file in files]
        labels = [n.split("/")[0] if "/" in n else n.rpartition("_")[0] for n in names]
        assert find_series(names, labels, stratified_split(names, labels)) is None


def test_names_without_a_number_of_their_own_do_not_stop_it():
    names = [f"a/patient{i % 5}_{i}.png" for i in range(40)] + ["a/odd.png", "b/patient9.png"]
    names += [f"b/patient{i % 5 + 10}_{i}.png" for i in range(40)]
    series = found(names)
    assert series.keys[names.index("a/odd.png")] == "odd.png"


def test_a_table_gets_a_compiled_pattern(tmp_path, picture):
    names = [Path(name).name for name in made(BELONG["slices of patients"], ("x",))]
    rows = [f"{name},{'ab'[i % 2]}" for i, name in enumerate(names)]
    (tmp_path / "t.csv").write_text("\n".join(["file,label", *rows]))
    for i, name in enumerate(names):
        picture(tmp_path / name, seed=i)
    with pytest.warns(qv.DataWarning, match=r"groups=re\.compile\(r'\(patient\\d\+\)'\)"):
        qv.from_csv(tmp_path / "t.csv", size=8, bs=4)
    dls = qv.from_csv(tmp_path / "t.csv", size=8, bs=4, groups=re.compile(r"(patient\d+)"))
    sides = dls.split.assign(p=dls.split["path"].str.extract(r"(patient\d+)")).groupby("valid")["p"]
    assert not set.intersection(*map(set, sides.unique()))
