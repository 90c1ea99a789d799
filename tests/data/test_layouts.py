from __future__ import annotations

import pytest

import quickvision as qv
from quickvision.data import paths
from quickvision.data.layouts import find_listing

# Pictures of one seed are one picture, whatever their class.
pytestmark = pytest.mark.filterwarnings("ignore:the same picture:quickvision.DataWarning")

SMALL = {"size": 32, "bs": 4}


def test_class_folders(class_folders):
    assert find_listing(class_folders).found_by.startswith("qv.from_folder(")


def test_train_and_val(train_and_val):
    listing = find_listing(train_and_val)
    assert listing.found_by.startswith("qv.from_folder(")
    assert sum(listing.held) == 8


def test_one_folder_of_pictures_is_no_class(tmp_path, named_files):
    named_files.rename(tmp_path / "data-images")
    (tmp_path / "data").mkdir()
    (tmp_path / "data-images").rename(tmp_path / "data" / "images")
    assert "from_name_re" in find_listing(tmp_path / "data").found_by


def test_a_table_beside_the_pictures(named_files):
    rows = [f"{p.name},{'warm' if 'red' in p.name else 'cold'}" for p in named_files.glob("*.png")]
    (named_files / "labels.csv").write_text("\n".join(["file,label", *rows]))
    listing = find_listing(named_files)
    assert listing.found_by.startswith("qv.from_csv(")
    assert set(listing.labels) == {"warm", "cold"}
    assert set(find_listing(named_files / "labels.csv").labels) == {"warm", "cold"}


def test_a_table_that_names_no_pictures_is_passed_by(named_files):
    (named_files / "notes.csv").write_text("day,weather\nmonday,rain\n")
    assert "from_name_re" in find_listing(named_files).found_by


def test_what_is_proposed_is_printed_and_works(named_files, capsys, monkeypatch):
    monkeypatch.chdir(named_files.parent)
    dls = qv.load_data("named", **SMALL)
    said = capsys.readouterr().out
    assert said.startswith(r"layout       qv.from_name_re('named', r'^(.+)_\d+\.\w+$')" + "\n")
    call = said.splitlines()[0].split(maxsplit=1)[1].strip()
    same = eval(call[:-1] + ", size=32, bs=4)", {"qv": qv})
    assert list(same.valid.items) == list(dls.valid.items)
    qv.load_data("named", verbose=False, **SMALL)
    assert capsys.readouterr().out == ""


def test_no_layout(tmp_path, picture):
    for i in range(4):
        picture(tmp_path / f"IMG_{i}.png", seed=i)
    with pytest.raises(qv.DataError, match=r"got 4 pictures such as IMG_0\.png.*a table"):
        qv.load_data(tmp_path)


def test_no_pictures(tmp_path):
    for i in range(5):
        (tmp_path / f"{i}.txt").write_text("x")
    with pytest.raises(qv.DataError, match=r"expected pictures in .*, got 5 files of \.txt"):
        qv.load_data(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(qv.DataError, match="got nothing at"):
        qv.load_data(tmp_path / "gone")


def test_train_takes_any_layout(named_files, tmp_path, tiny_net):
    rows = [f"{p.name},{p.name[0]}" for p in named_files.glob("*.png")]
    (named_files / "labels.csv").write_text("\n".join(rows))
    run = qv.train(
        named_files / "labels.csv",
        arch=tiny_net,
        weights=None,
        unfrozen_epochs=1,
        frozen_epochs=0,
        lr=1e-3,
        out=tmp_path / "runs",
        verbose=False,
        **SMALL,
    )
    assert list(run.learn.dls.vocab) == ["b", "g", "r"]
    assert (run.path / "split.csv").exists()


def test_kaggles_folders_are_no_classes(tmp_path, picture):
    for i in range(12):
        picture(tmp_path / "train_images" / f"{i}.png", ("red", "green")[i % 2], seed=i)
        picture(tmp_path / "test_images" / f"{100 + i}.png", seed=i)
    rows = "\n".join(f"{i}.png,{'ab'[i % 2]}" for i in range(12))
    (tmp_path / "train.csv").write_text(f"image_id,label\n{rows}\n")
    sample = "\n".join(f"{100 + i}.png,0.5" for i in range(12))
    (tmp_path / "sample_submission.csv").write_text(f"image_id,label\n{sample}\n")
    listing = find_listing(tmp_path)
    assert (listing.root.name, set(listing.labels)) == ("train_images", {"a", "b"})


def test_columns_of_a_table_by_any_door(named_files):
    files = sorted(named_files.glob("*.png"))
    rows = [f"{p.name},{p.name[0]},{int(i % 5 == 0)},{i % 6}" for i, p in enumerate(files)]
    csv = named_files / "labels.csv"
    csv.write_text("\n".join(["file,label,held,patient", *rows]))
    assert len(qv.load_data(csv, valid="held", verbose=False, **SMALL).valid_ds) == 6
    sides = qv.check(csv, groups="patient", size=32).pictures.groupby("side")["path"].apply(set)
    patients = [{files.index(named_files / name) % 6 for name in names} for names in sides]
    assert not patients[0] & patients[1]
    with pytest.raises(ValueError, match="pat: goes with a folder"):
        qv.load_data(csv, pat="(.+)_")


def test_classes_may_be_called_like_sides(tmp_path, picture):
    for label in ("train ticket", "test strip"):
        for i in range(4):
            picture(tmp_path / label / f"IMG_{i}.png", seed=i)
    assert set(find_listing(tmp_path).labels) == {"train ticket", "test strip"}


@pytest.mark.parametrize("folder", ["class_folders", "train_and_val", "named_files"])
def test_a_folder_is_walked_once(folder, request, monkeypatch):
    root = request.getfixturevalue(folder)
    is_folder, looked_at = paths._is_folder, []
    monkeypatch.setattr(paths, "_is_folder", lambda e: looked_at.append(e.path) or is_folder(e))
    qv.load_data(root, verbose=False, **SMALL)
    assert sorted(looked_at) == sorted(str(path) for path in root.rglob("*"))


def test_names_hold_labels_in_the_training_side_alone(tmp_path, picture):
    for kind in ("cat", "dog"):
        for i in range(6):
            picture(tmp_path / "train" / f"{kind}.{i}.png", seed=i)
    for i in range(4):
        picture(tmp_path / "test1" / f"{i}.png", seed=90 + i)
    (tmp_path / "sampleSubmission.csv").write_text("id,label\n1,0\n")
    listing = find_listing(tmp_path)
    assert (listing.root, len(listing.names)) == (tmp_path / "train", 12)
    dls = qv.load_data(tmp_path, verbose=False, **SMALL)
    assert sorted(p.resolve().relative_to(tmp_path).as_posix() for p in dls.test_files) == [
        f"test1/{i}.png" for i in range(4)
    ]


def test_names_hold_labels_on_both_sides(tmp_path, picture):
    for side, n in (("train", 5), ("val", 2)):
        for kind in ("cat", "dog"):
            for i in range(n):
                picture(tmp_path / side / f"{kind}.{i}.png", seed=i)
    listing = find_listing(tmp_path)
    assert (len(listing.names), sum(listing.held)) == (14, 4)
    assert listing.found_by.endswith("valid='val')")


def test_a_table_goes_before_folders_of_people(tmp_path, picture):
    rows = []
    for i in range(12):
        name = f"patient_{i // 3}/{i}.png"
        picture(tmp_path / name, seed=i)
        rows.append(f"{name},{'ab'[i // 6]}")
    with pytest.raises(qv.DataError, match="which look like people"):
        find_listing(tmp_path)
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *rows]))
    assert set(find_listing(tmp_path).labels) == {"a", "b"}


def test_a_tables_own_error_is_said(tmp_path, picture):
    for i in range(4):
        picture(tmp_path / "images" / f"{i}.png", seed=i)
    rows = "\n".join(f"{i}.png,{i},{i}" for i in range(4))
    (tmp_path / "t.csv").write_text(f"file,age,height\n{rows}\n")
    with pytest.raises(qv.DataError, match="label_col"):
        find_listing(tmp_path)


def test_numbers_in_names_are_asked_about(tmp_path, picture):
    for i in range(12):
        picture(tmp_path / f"{i % 3:03d}_{i}.png", seed=i)
    with pytest.raises(
        qv.DataError, match=r"numbers or ids\. If those are the classes: qv\.from_name"
    ):
        find_listing(tmp_path)


def test_where_a_table_holds_no_classes_the_folders_are_asked_again(tmp_path, picture):
    rows = ["id,boxes"]
    for i in range(12):
        picture(tmp_path / "train" / "ab"[i % 2] / f"{i}.png", seed=i)
        rows.append(f"{i},{i} 2 3 4")
    picture(tmp_path / "val" / "x.png")
    (tmp_path / "train_boxes.csv").write_text("\n".join(rows))
    with pytest.raises(qv.DataError, match=r"class folders of train in .*val.*valid=0\.2"):
        qv.load_data(tmp_path)


def test_a_file_of_fixes_beside_pictures_is_no_table_of_labels(named_files):
    (named_files / "fixes.csv").write_text("path,action,label\nred_3.png,relabel,blue\n")
    assert find_listing(named_files).found_by.startswith("qv.from_name_re")
