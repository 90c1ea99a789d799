from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from served import Served

import quickvision as qv
from quickvision.web import serve as room
from quickvision.web.serve import cores, opened, run, serve


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"port": -1}, "port: expected a whole number"),
        ({"port": 70_000}, "port: expected at most 65,535"),
        ({"port": "8000"}, "port: expected a whole number"),
        ({"lan": "yes"}, "lan: expected True or False"),
        ({"unsure_below": 2}, "unsure_below: expected a fraction"),
        ({"engine": "tf", "port": 0}, "engine: expected 'auto', 'onnx' or 'torch'"),
    ],
)
def test_wrong_arguments_are_refused(shipped, wrong, text):
    with pytest.raises(ValueError, match=text):
        serve(shipped, **wrong)


def test_a_text_is_no_list_of_names(shipped):
    with pytest.raises(TypeError, match="hosts: expected names in a list, got 'a.example'"):
        serve(shipped, hosts="a.example")


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(qv.BundleError, match="expected the folder of an exported model"):
        serve(tmp_path / "nothing", port=0)


def test_a_port_that_is_taken_is_said_before_the_model_is_opened(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(qv.QuickvisionError, match=rf"expected a port that is free, got {port}"):
            serve(tmp_path / "nothing", port=port)


@pytest.fixture
def at_once(monkeypatch):
    """Do not serve; keep what would have been served."""
    kept = []
    monkeypatch.setattr(room, "run", lambda server, listening: kept.append(server))
    return kept


def test_it_says_where_it_is_and_who_can_see_it(shipped, at_once, capsys):
    serve(shipped, port=0)
    out = capsys.readouterr().out
    assert f"serving      {shipped}: 3 classes, answered by onnx" in out
    assert re.search(r"open +http://127\.0\.0\.1:\d+/\n", out)
    assert "seen by      this computer alone" in out
    assert "token" not in out
    assert out.endswith("stopped      no page any more\n")


def test_in_a_network_there_is_a_token_and_it_says_who_can_see_it(
    shipped, at_once, capsys, monkeypatch
):
    monkeypatch.setattr(room, "lan_address", lambda: "127.0.0.2")
    tokens = set()
    for terminal in (False, True):
        monkeypatch.setattr(room, "_takes_blocks", lambda terminal=terminal: terminal)
        serve(shipped, port=0, lan=True)
        out = capsys.readouterr().out
        found = re.search(r"open +http://127\.0\.0\.2:\d+/\?token=([\w-]{22})\n", out)
        tokens.add(found[1])
        assert "whoever is in this network and has this whole address" in out
        assert "unencrypted" in out
        assert ("▄" in out) == terminal
    assert len(tokens) == 2  # each start has its own


def test_a_code_is_shown_in_terminals_alone(monkeypatch):
    class Terminal:
        encoding = "UTF-8"

        def isatty(self):
            return True

    assert not room._takes_blocks()
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert room._takes_blocks()
    Terminal.encoding = "ascii"
    assert not room._takes_blocks()


def test_cores_are_those_that_this_process_may_use():
    assert 1 <= cores() <= os.cpu_count()


def test_in_a_notebook_another_thread_serves(shipped):
    site = opened(shipped)
    seen = []

    def ask():
        while not site.server.started:
            time.sleep(0.01)
        seen.append(Served(site.server, port).ask("/healthz").json)
        site.server.should_exit = True

    async def cell():  # a loop runs already
        run(site.server, listening)

    with closing(site.turns), socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        other = threading.Thread(target=ask)
        other.start()
        asyncio.run(cell())
        other.join()
    assert seen == [{"ok": True}]


def test_an_onnx_folder_is_served_without_torch(shipped):
    code = f"""
import sys, quickvision
from quickvision.web import serve
serve.run = lambda server, listening: None
quickvision.serve({str(shipped)!r}, port=0)
print(sorted({{"torch", "fastai", "pandas", "scipy", "matplotlib"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@contextmanager
def started(folder, command=None):
    """`quickvision serve` as a process of its own, and where it is."""
    usual = [sys.executable, "-m", "quickvision", "serve", str(folder), "--port", "0"]
    process = subprocess.Popen(
        command or usual,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = []
        while not any(line.startswith("stop") for line in lines):
            lines.append(process.stdout.readline())
            assert lines[-1], process.stderr.read()
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", "".join(lines))[1])
        yield process, Served(None, port)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(shipped, picture, tmp_path, sig):
    data = picture(tmp_path / "red.png").read_bytes()
    with started(shipped) as (process, site):
        assert site.ask("/predict", data).json["label"] in ("red", "green", "blue")
        process.send_signal(sig)
        out, err = process.communicate(timeout=5)
    assert (process.returncode, err) == (0, "")
    assert out == "stopped      no page any more\n"


@pytest.mark.slow
def test_ctrl_c_does_not_wait_for_who_is_slow(shipped):
    with started(shipped) as (process, site):
        wire = socket.create_connection(("127.0.0.1", site.port))
        wire.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nx")
        time.sleep(0.3)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        wire.close()
    assert time.monotonic() - begun < 2
    assert (process.returncode, err) == (0, "")


@pytest.mark.slow
def test_sigterm_under_load_answers_what_was_accepted(shipped, picture, tmp_path):
    data = picture(tmp_path / "red.png", side=1500).read_bytes()
    with started(shipped) as (process, site):
        head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
        wires = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(8)]
        for wire in wires:
            wire.settimeout(30)
            wire.sendall(head.encode() + data)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        answers = [wire.recv(100) for wire in wires]
        process.communicate(timeout=20)
    assert process.returncode == 0
    assert [answer[:15] for answer in answers] == [b"HTTP/1.1 200 OK"] * 8


LEAN = """
import importlib.abc, sys
from importlib.metadata import packages_distributions, requires
from packaging.requirements import Requirement

def needed(names):
    found, left = set(), {name.lower() for name in names}
    while left:
        name = left.pop()
        found.add(name)
        rest = [Requirement(text) for text in requires(name) or ()]
        rest = [one.name.lower() for one in rest if not one.marker or one.marker.evaluate()]
        left |= {*rest} - found
    return {name.replace("_", "-") for name in found}

there = needed(sys.argv[1].split()) | {"quickvision"}
absent = {
    top for top, owners in packages_distributions().items()
    if not {owner.lower().replace("_", "-") for owner in owners} & there
}

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(name)

for name in [name for name in sys.modules if name.partition(".")[0] in absent]:
    del sys.modules[name]
sys.meta_path.insert(0, Absent())
sys.argv = ["quickvision", "serve", sys.argv[2], "--port", "0"]
from quickvision.cli import main
main()
"""


@pytest.mark.slow
def test_what_the_container_installs_is_enough(shipped, picture, tmp_path):
    """The same line of `docs/how/serve.md`; everything else that is installed here is hidden."""
    text = (Path(__file__).parents[2] / "docs" / "how" / "serve.md").read_text("utf-8")
    (line,) = re.findall(r"RUN pip install --no-cache-dir ((?!-).*)", text)
    assert not {"torch", "fastai", "pandas"} & {*line.split()}
    command = [sys.executable, "-c", LEAN, line, str(shipped)]
    with started(shipped, command) as (_, site):
        data = picture(tmp_path / "red.png").read_bytes()
        assert site.ask("/predict", data).json["label"] in ("red", "green", "blue")
        assert site.ask("/").status == 200
