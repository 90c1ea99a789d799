from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

import quickvision as qv


@pytest.fixture
def photos(tmp_path):
    """Two class folders of twelve smooth pictures each, in which nothing is wrong."""
    for c, label in enumerate(("cat", "dog")):
        for i in range(12):
            path = tmp_path / "photos" / label / f"{i:02d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            photo(100 * c + i).save(path, quality=95)
    return tmp_path / "photos"


def photo(seed: int, size=(64, 48)) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def check(path, **options):
    return qv.check(path, **{"size": 32, **options})


def found(path, finding, **options):
    rows = check(path, **options).findings
    assert finding in set(rows["finding"]), rows[["finding", "examples"]].to_string()
    return rows[rows["finding"] == finding].iloc[0]


def test_good_data_has_nothing_to_mend(photos):
    result = check(photos)
    assert result.findings.empty
    assert result.ok
    assert "found        nothing to mend" in str(result)
    assert result.classes.loc["cat"].tolist() == [9, 3]
    assert set(result.pictures["side"]) == {"train", "valid"}


def html(path):
    path.write_text("<html>not found</html>")


def cut(path):
    photo(900).save(path, format="JPEG")
    path.write_bytes(path.read_bytes()[:-200])


def garbled(path):
    photo(900, (200, 200)).save(path, format="PNG")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 99] = bytes(99)
    path.write_bytes(bytes(data))


def exif_turned(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(900).save(path, exif=exif)


def animated(path):
    frames = [photo(seed) for seed in (900, 901, 902)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def sixteen_bits(path):
    Image.fromarray(np.linspace(0, 65535, 4096).reshape(64, 64).astype(np.uint16)).save(path)


@pytest.mark.parametrize(
    ("name", "make", "finding", "severity", "advice"),
    [
        ("x.jpg", lambda p: p.write_bytes(b""), "empty files", "warning", "left out"),
        ("x.jpg", html, "files that are no picture", "warning", "left out"),
        ("x.jpg", cut, "truncated files", "warning", "left out"),
        ("x.png", garbled, "damaged files", "warning", "left out"),
        (
            "x.heic",
            lambda p: p.write_bytes(b"ftypheic"),
            "files that are no picture",
            "warning",
            "out",
        ),
        ("x.png", lambda p: photo(900).save(p, format="JPEG"), "wrong suffixes", "note", "read as"),
        ("x.gif", animated, "animations", "warning", "only the first"),
        ("x.jpg", lambda p: photo(900).convert("CMYK").save(p), "CMYK", "note", "converted to RGB"),
        ("x.png", lambda p: photo(900).convert("RGBA").save(p), "transparent", "note", "white"),
        ("x.png", lambda p: photo(900).convert("P").save(p), "with a palette", "note", "RGB"),
        ("x.png", sixteen_bits, "16 bits or more", "note", "scaled to 8 bits"),
        ("x.jpg", lambda p: photo(900).convert("L").save(p), "grey", "note", "converted to RGB"),
        ("x.jpg", exif_turned, "turned by EXIF", "note", "turned upright"),
        ("x.png", lambda p: photo(900, (7, 6)).save(p), "tiny pictures", "warning", "enlarged"),
        ("x.jpg", lambda p: photo(900, (400, 300)).save(p), "pictures far larger", "note", "cache"),
        (
            "x.jpg",
            lambda p: photo(900, (90, 40)).save(p),
            "long or tall pictures",
            "note",
            "squish",
        ),
    ],
)
def test_one_odd_file_is_found(photos, name, make, finding, severity, advice):
    make(photos / "cat" / name)
    rows = check(photos).findings
    row = rows[rows["finding"].str.startswith(finding)].iloc[0]
    assert (row["severity"], row["n"], row["examples"]) == (severity, 1, (f"cat/{name}",))
    assert advice in row["advice"]
    assert check(photos).ok


def test_a_huge_picture_and_a_bomb(photos, monkeypatch):
    photo(900, (200, 100)).save(photos / "cat" / "big.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 15_000)
    assert found(photos, "huge pictures")["examples"] == ("cat/big.png",)
    photo(900, (200, 200)).save(photos / "cat" / "bomb.png")
    row = found(photos, "files too large to open safely")
    assert row["examples"] == ("cat/bomb.png",)


def test_a_placeholder_among_photos(photos):
    Image.new("P", (64, 48), 3).save(photos / "cat" / "imageNotFound.gif")
    assert found(photos, "placeholders")["severity"] == "warning"


def test_too_many_bad_files_are_an_error(photos):
    for i in range(3):
        html(photos / "cat" / f"x{i}.jpg")
    assert found(photos, "too many bad files")["severity"] == "error"
    assert check(photos, max_bad=0.2).ok


class TestTwins:
    def test_within_a_side(self, photos):
        (photos / "cat" / "copy.jpg").write_bytes((photos / "cat" / "00.jpg").read_bytes())
        row = check(photos, valid=lambda path: path.stem == "11").findings.iloc[0]
        assert row[["severity", "finding", "n"]].tolist() == [
            "warning",
            "the same picture more than once",
            2,
        ]
        assert row["examples"] == ("cat/00.jpg = cat/copy.jpg",)

    def test_across_the_split(self, photos):
        (photos / "cat" / "copy.jpg").write_bytes((photos / "cat" / "00.jpg").read_bytes())
        result = check(photos, valid=lambda path: path.stem in ("11", "copy"))
        assert result.findings.iloc[0]["finding"] == "the same picture on both sides"
        assert not result.ok

    def test_with_different_labels(self, photos):
        (photos / "dog" / "copy.jpg").write_bytes((photos / "cat" / "00.jpg").read_bytes())
        row = found(photos, "the same picture with different labels")
        assert (row["severity"], row["examples"]) == ("error", ("cat/00.jpg = dog/copy.jpg",))

    @pytest.mark.parametrize(
        ("name", "finding", "severity"),
        [
            ("cat/copy.jpg", "nearly the same picture more than once", "note"),
            ("dog/copy.jpg", "nearly the same picture with different labels", "warning"),
            ("cat/11.jpg", "nearly the same picture on both sides", "warning"),
        ],
    )
    def test_saved_again(self, photos, name, finding, severity):
        buffer = io.BytesIO()
        Image.open(photos / "cat" / "00.jpg").resize((48, 36)).save(buffer, "JPEG", quality=60)
        (photos / name).write_bytes(buffer.getvalue())
        row = found(photos, finding, valid=lambda path: path.stem == "11")
        assert row["severity"] == severity
        assert name in row["examples"][0]


class TestLabels:
    def test_pictures_without_a_label(self, named_files, picture):
        picture(named_files / "nolabel.png")
        row = found(named_files, "pictures without a label", pat=r"^(.+)_\d+\.png$")
        assert row["examples"] == ("nolabel.png",)

    def test_pictures_outside_the_class_folders(self, photos, picture):
        picture(photos / "stray.png")
        assert found(photos, "pictures outside the class folders")["n"] == 1

    def test_one_class(self, named_files):
        for path in [*named_files.glob("green*"), *named_files.glob("blue*")]:
            path.unlink()
        row = found(named_files, "no training possible", pat=r"(.+)_")
        assert row["severity"] == "error"
        assert "at least two classes, got only 'red'" in row["advice"]

    def test_a_class_with_one_picture(self, photos, picture):
        picture(photos / "fox" / "1.png")
        row = found(photos, "no training possible")
        assert "got 1 of fox" in row["advice"]

    def test_a_class_that_is_only_validated(self, train_and_val, picture):
        picture(train_and_val / "val" / "wasp" / "1.png")
        assert "got also wasp" in found(train_and_val, "no training possible")["advice"]

    def test_a_class_that_is_not_validated(self, train_and_val, picture):
        picture(train_and_val / "train" / "wasp" / "1.png")
        assert found(train_and_val, "classes not validated")["examples"] == ("wasp",)

    def test_an_empty_side(self, train_and_val):
        for path in (train_and_val / "val").rglob("*.png"):
            path.unlink()
        assert "to validate on" in found(train_and_val, "no training possible")["advice"]

    def test_small_and_uneven_classes(self, photos, picture):
        for i in range(6, 12):
            (photos / "cat" / f"{i:02d}.jpg").unlink()
        for i in range(60):
            photo(1000 + i).save(photos / "dog" / f"more{i}.jpg")
        assert found(photos, "small classes")["examples"] == ("cat",)
        assert "times: read macro-F1" in found(photos, "uneven classes")["advice"]

    def test_folders_and_files_that_are_not_used(self, train_and_val, picture):
        picture(train_and_val / "extra" / "red" / "1.png")
        (train_and_val / "train" / "notes.txt").write_text("x")
        assert found(train_and_val, "folders that are not used")["examples"] == ("extra",)
        assert found(train_and_val, "other files")["examples"] == ("train/notes.txt",)


def test_a_table(named_files):
    rows = [f"{path.name},{i % 2}" for i, path in enumerate(sorted(named_files.glob("*.png")))]
    (named_files / "labels.csv").write_text("\n".join([*rows, "gone.png,1"]))
    result = check(named_files / "labels.csv", class_names=["even", "odd"])
    assert list(result.classes.index) == ["even", "odd"]
    assert found(named_files / "labels.csv", "files that are not there")["examples"] == (
        "gone.png",
    )


@pytest.mark.filterwarnings("default::quickvision.DataWarning")
def test_loaders_that_are_built_already(photos):
    html(photos / "cat" / "x.jpg")
    dls = qv.from_folder(photos, size=32, bs=4)
    result = check(dls)
    assert result.findings["finding"].tolist() == ["files that are no picture"]
    assert len(result.pictures) == 25
    assert result.classes.to_dict() == check(photos).classes.to_dict()
    del dls.split
    with pytest.raises(qv.DataError, match="that quickvision has made"):
        check(dls)


def test_nothing_of_the_users_changes(photos):
    before = {p: p.stat().st_mtime_ns for p in photos.rglob("*")}
    check(photos)
    assert {p: p.stat().st_mtime_ns for p in photos.rglob("*")} == before


def test_json_has_all_examples(photos, tmp_path):
    for i in range(5):
        Image.new("RGBA", (64, 48), (i * 40, 0, 200, 9)).save(photos / "cat" / f"x{i} ü.png")
    result = check(photos)
    path = result.save(tmp_path / "check.json")
    said = json.loads(path.read_text("utf-8"))
    assert (said["ok"], said["pictures"]) == (True, 29)
    clear = next(f for f in said["findings"] if f["finding"] == "transparent")
    assert clear["examples"] == [f"cat/x{i} ü.png" for i in range(5)]
    assert "and 2 more" in str(result)


def test_names_are_escaped_where_they_are_html(photos):
    html(photos / "cat" / "<script>alert(1)<!-- &.jpg")
    shown = check(photos)._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_worst_first(photos, picture):
    html(photos / "cat" / "x.jpg")
    (photos / "dog" / "copy.jpg").write_bytes((photos / "cat" / "00.jpg").read_bytes())
    exif_turned(photos / "dog" / "turned.jpg")
    assert check(photos).findings["severity"].tolist() == ["error", "warning", "note"]


class TestCommand:
    def test_good_data_exits_0(self, command, photos):
        out = command("check", photos, "--size", 32)
        assert (out.returncode, out.stderr) == (0, "")
        assert "found        nothing to mend" in out.stdout

    def test_data_that_misleads_exits_1(self, command, photos):
        (photos / "dog" / "copy.jpg").write_bytes((photos / "cat" / "00.jpg").read_bytes())
        out = command("check", photos, "--json", "--size", 32)
        assert out.returncode == 1
        assert json.loads(out.stdout)["ok"] is False

    def test_nothing_there_exits_1_and_bad_options_exit_2(self, command, photos):
        out = command("check", photos / "gone")
        assert (out.returncode, out.stderr[:7]) == (1, "error: ")
        assert command("check", photos, "--valid", 20).returncode == 2
        assert command("check", photos, "--pattern", "(").returncode == 2


@pytest.mark.real
def test_real_photos_have_their_real_oddities_and_no_others(real_data):
    ants = qv.check(real_data / "data" / "hymenoptera")
    assert ants.findings["finding"].tolist() == [
        "placeholders",
        "long or tall pictures",
        "pictures far larger than needed",
    ]
    assert ants.findings["examples"][0] == ("train/ants/imageNotFound.gif",)
    pets = qv.check(real_data / "data" / "pets_sample" / "images")
    assert pets.findings["severity"].tolist() == ["note", "note"]
    assert (len(pets.classes), len(pets.pictures)) == (37, 370)
    for result in (ants, pets):  # counted again with nothing but Pillow
        root = result.path
        sizes = [Image.open(root / name).size for name in result.pictures["path"]]
        kept = [s for s, side in zip(sizes, result.pictures["side"], strict=True) if side]
        rows = result.findings.set_index("finding")["n"]
        assert rows["long or tall pictures"] == sum(min(s) < 0.6 * max(s) for s in kept)
        assert rows["pictures far larger than needed"] == sum(min(s) > 4 * 224 for s in kept)
        modes = {Image.open(root / name).mode for name in result.pictures["path"]}
        assert modes <= {"RGB", "P"}


def test_both_sides_are_seen_where_no_split_is_possible(photos):
    (photos / "train").mkdir()
    for label in ("cat", "dog"):
        (photos / label).rename(photos / "train" / label)
        (photos / "valid" / label).mkdir(parents=True)
        copy = (photos / "train" / label / "00.jpg").read_bytes()
        (photos / "valid" / label / "copy.jpg").write_bytes(copy)
    photo(950).save((photos / "valid" / "cat").with_name("fox.jpg"))
    (photos / "valid" / "fox").mkdir()
    (photos / "valid" / "fox.jpg").rename(photos / "valid" / "fox" / "1.jpg")
    result = check(photos)
    assert result.findings["finding"].tolist()[:2] == [
        "no training possible",
        "the same picture on both sides",
    ]
    assert "24 to train, 3 to validate" in str(result)


def test_the_doors_and_the_check_agree_on_what_is_too_many(photos):
    html(photos / "cat" / "x.jpg")
    assert not check(photos, max_bad=0).ok
    with pytest.raises(qv.DataError, match="at most 0% bad"):
        qv.from_folder(photos, size=32, max_bad=0)


@pytest.mark.parametrize("options", [{"valid": 1.5}, {"seed": -1}, {"size": 0}, {"max_bad": 5}])
def test_options_out_of_range(photos, options):
    with pytest.raises(ValueError, match="expected"):
        qv.check(photos, **options)


def test_a_size_of_two_sides(photos):
    assert check(photos, size=(32, 40)).ok


def test_nothing_but_bad_files(tmp_path):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        html(tmp_path / label / "x.jpg")
    assert "that can be used, got none" in found(tmp_path, "no training possible")["advice"]


@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
@pytest.mark.parametrize("door", [qv.from_folder, lambda path, **how: table_door(path, **how)])
def test_check_and_the_doors_leave_out_and_hold_out_the_same(photos, door):
    html(photos / "cat" / "x.jpg")
    cut(photos / "dog" / "y.jpg")
    photo(900).save(photos / "stray.jpg")
    Image.new("P", (64, 48), 3).save(photos / "cat" / "imageNotFound.gif")
    options = {"max_bad": 0.5, "seed": 7, "valid": 0.3, "class_names": {"cat": "C", "dog": "D"}}
    dls = door(photos, size=32, bs=4, **options)
    is_table = (photos / "t.csv").exists()
    seen = qv.check(photos / "t.csv" if is_table else photos, size=32, **options).pictures
    out, used = seen[seen["side"] == ""], seen[seen["side"] != ""]
    assert len(out) >= 3
    assert dict(zip(out["path"], out["reason"], strict=True)) == dict(dls.skipped.to_numpy())
    assert used["path"].tolist() == dls.split["path"].tolist()
    assert used["label"].tolist() == dls.split["label"].tolist()
    assert (used["side"] == "valid").tolist() == dls.split["valid"].tolist()


def table_door(folder, **options):
    files = [*sorted(path.relative_to(folder) for path in folder.glob("*/*.*")), "cat/gone.jpg"]
    rows = "".join(f"{file},{str(file)[:3]}\n" for file in files)
    (folder / "t.csv").write_text(f"file,label\n{rows}cat/00.jpg,cat\ndog/00.jpg,dog\n")
    return qv.from_csv(folder / "t.csv", **options)
