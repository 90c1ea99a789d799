from __future__ import annotations

import quickvision


def test_what_is_said_reaches_the_library(command, model_folder, monkeypatch):
    seen = []
    monkeypatch.setattr(quickvision, "serve", lambda model, **how: seen.append((model, how)))
    assert command("serve", model_folder).returncode == 0
    plain = {"port": 8000, "lan": False, "engine": "auto", "unsure_below": 0.0, "hosts": ()}
    assert seen.pop() == (model_folder, plain)
    options = ["--port", 0, "--lan", "--engine", "onnx", "--unsure-below", 0.6]
    options += ["--host", "a.example", "--host", "b.example"]
    assert command("serve", model_folder, *options).returncode == 0
    said = {"port": 0, "lan": True, "engine": "onnx", "unsure_below": 0.6}
    assert seen.pop()[1] == said | {"hosts": ["a.example", "b.example"]}


def test_what_is_no_model_is_said_in_a_line(command, tmp_path):
    done = command("serve", tmp_path, "--port", 0)
    assert done.returncode == 1
    assert done.stderr.startswith("error: expected config.json in ")
    assert command("serve", tmp_path, "--port", 99_999).returncode == 2
    assert command("serve", tmp_path, "--engine", "tf").returncode == 2


def test_the_folder_of_a_run_is_told_from_that_of_a_model(command, tmp_path):
    (tmp_path / "config.json").write_text('{"quickvision": "0.1.0", "n_train": 5}')
    done = command("serve", tmp_path, "--port", 0)
    assert done.returncode == 1
    assert "got a run's" in done.stderr
