from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

import quickvision as qv
from quickvision.data.view import View
from quickvision.ship.bundle import Bundle, Network, checked, read_bundle, sha256_of

PLAIN = Bundle(
    vocab=("ant", "bee"),
    view=View((32, 48), "squish", "bicubic", 0.9),
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.2, 0.2),
    network=Network("timm", "test_resnet"),
    at_least=64,
    levels=(0.0, 4095.0),
    temperature=1.5,
    sha256={"model.safetensors": "0" * 64},
)


def written(folder, bundle=PLAIN, **changes):
    said = json.loads(json.dumps(bundle.to_plain())) | changes
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"quickvision": said}))
    return folder


def test_what_is_written_is_read(tmp_path):
    assert read_bundle(written(tmp_path / "m")) == PLAIN
    network = Network("torchvision", "resnet18", head="fastai", hidden=(512, 64), channels=1)
    other = replace(PLAIN, network=network, mean=(0.5,), std=(0.2,), levels=None, at_least=None)
    assert read_bundle(written(tmp_path / "m", other)) == other


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vocab": []}, "0 class names"),
        ({"vocab": ["a", "a"]}, "2 class names, 1 of them different"),
        ({"vocab": ["a", 3]}, "3 where a short text is meant"),
        ({"vocab": ["a" * 2000, "b"]}, "where a short text is meant"),
        ({"mean": [0.5]}, "3 numbers are meant"),
        ({"std": [0.2, 0.2, 0.0]}, "3 numbers are meant"),
        ({"std": [0.2, 0.2, float("inf")]}, "3 numbers are meant"),
        ({"temperature": "hot"}, "1 numbers are meant"),
        ({"temperature": 0}, "1 numbers are meant"),
        ({"at_least": 10**9}, "a whole number from 1 to"),
        ({"at_least": True}, "a whole number from 1 to"),
        ({"levels": [1]}, "2 numbers are meant"),
        ({"network": None}, "not subscriptable|not iterable|NoneType"),
        ({"view": {"size": [32]}}, "2 whole numbers are meant|fill"),
        ({"format": 0}, "a whole number from 1 to"),
        ({"format": "1"}, "a whole number from 1 to"),
        ({"sha256": {"a": 1}}, "a short text is meant"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, changes, said):
    with pytest.raises(qv.BundleError, match=said):
        read_bundle(written(tmp_path / "m", **changes))


@pytest.mark.parametrize("side", [0, -1, 10**6, 3.5, True, "32", None])
def test_a_size_that_would_eat_the_memory_is_refused(tmp_path, side):
    view = json.loads(json.dumps(PLAIN.to_plain()))["view"] | {"size": [side, 32]}
    with pytest.raises(qv.BundleError, match=r"a whole number from 1 to 16,384"):
        read_bundle(written(tmp_path / "m", view=view))


def test_a_newer_format_says_so(tmp_path):
    with pytest.raises(qv.BundleError, match=r"format 1, got 2 .*pip install --upgrade"):
        read_bundle(written(tmp_path / "m", format=2))


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "null", '{"quickvision": []}', "[" * 100_000, "\x00", '{"a": NaN}']
)
def test_what_is_no_json_of_ours_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(qv.BundleError, match="config.json"):
        read_bundle(tmp_path)


def test_another_programs_folder_is_named_as_such(tmp_path):
    (tmp_path / "config.json").write_text('{"architecture": "resnet18"}')
    with pytest.raises(qv.BundleError, match="expected 'quickvision' in .*export has written none"):
        read_bundle(tmp_path)


def test_a_runs_folder_says_how_to_export_it(tmp_path):
    (tmp_path / "config.json").write_text('{"quickvision": "0.1.0", "n_train": 3}')
    with pytest.raises(qv.BundleError, match=r"got a run's, .*quickvision export .* model"):
        read_bundle(tmp_path)


def test_a_large_config_is_not_read(tmp_path):
    (tmp_path / "config.json").write_text(" " * 1_000_001)
    with pytest.raises(qv.BundleError, match="expected at most 1,000,000 bytes"):
        read_bundle(tmp_path)


def test_no_folder(tmp_path):
    with pytest.raises(qv.BundleError, match=r"got nothing at .*gone; run.export\("):
        read_bundle(tmp_path / "gone")
    (tmp_path / "file").write_text("x")
    with pytest.raises(qv.BundleError, match="got a file at"):
        read_bundle(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(qv.BundleError, match="expected config.json in .*an empty folder"):
        read_bundle(tmp_path / "empty")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_are_not_followed(tmp_path):
    written(tmp_path / "m")
    (tmp_path / "m" / "config.json").rename(tmp_path / "elsewhere.json")
    (tmp_path / "m" / "config.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(qv.BundleError, match="got a link, which may lead anywhere"):
        read_bundle(tmp_path / "m")


def test_a_changed_file_is_noticed(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights")
    good = replace(PLAIN, sha256={file.name: sha256_of(file)})
    assert checked(tmp_path, file.name, good) == file
    file.write_bytes(b"Weights")
    with pytest.raises(qv.BundleError, match="as it was exported, got another: its SHA-256"):
        checked(tmp_path, file.name, good)
    with pytest.raises(qv.BundleError, match="config.json says none"):
        checked(tmp_path, file.name, replace(PLAIN, sha256={}))
