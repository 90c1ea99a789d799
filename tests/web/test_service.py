from __future__ import annotations

import io
import json
import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made import tree
from PIL import Image
from served import served

import quickvision as qv
from quickvision.web.limits import Limits
from quickvision.web.page import headers, page
from quickvision.web.serve import opened
from quickvision.web.service import Service

REQUESTS = int(os.environ.get("QUICKVISION_REQUESTS", 500))


@pytest.fixture(scope="module")
def folder(_shipped):
    return _shipped


@pytest.fixture(scope="module")
def site(folder):
    made = opened(folder)
    with closing(made.turns), served(made.server) as running:
        yield running


def photo(seed=0, size=(96, 64), kind="PNG", **options):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (8, 8, 3)) * 0.6 + rng.integers(0, 100, 3)
    into = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).resize(size).save(into, kind, **options)
    return into.getvalue()


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_an_answer_is_that_of_predict(shipped, engine):
    made, ask = opened(shipped, engine=engine), qv.load_model(shipped, engine=engine)
    turned = Image.Exif()
    turned[0x0112] = 6
    with closing(made.turns), served(made.server) as site:
        for data in (
            photo(1),
            photo(2, (4000, 3000), "JPEG"),
            photo(3, (400, 300), "JPEG", exif=turned),
            photo(4, kind="WEBP"),
            photo(5, kind="TIFF"),
        ):
            said, expected = site.ask("/predict", data).json, ask.predict(data)
            assert said["label"] == expected.label
            assert said["prob"] == pytest.approx(expected.prob, abs=1e-5)
            assert said["probs"] == pytest.approx(expected.probs, abs=1e-5)
            assert [*said["probs"]] == [*expected.probs]
            assert said["unsure"] is False
            assert said["ms"] > 0


def test_an_answer_is_unsure_below_what_was_asked_for(shipped):
    made = opened(shipped, unsure_below=1.0)
    with closing(made.turns), served(made.server) as site:
        assert site.ask("/predict", photo()).json["unsure"] is True
        assert site.ask("/model").json["unsure_below"] == 1.0


def test_the_page_and_what_is_known(site):
    answer = site.ask("/")
    assert answer.body.decode() == page()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert site.ask("/healthz").json == {"ok": True}
    assert site.ask("/model").json["classes"] == ["blue", "green", "red"]
    assert site.ask("/model").json["engine"] == "onnx"
    assert site.ask("/", method="HEAD").body == b""


def test_the_description_for_programs_is_true(site):
    said = site.ask("/openapi.json").json
    assert said["openapi"].startswith("3.")
    for path, methods in said["paths"].items():
        for method in methods:
            status = site.ask(path, photo() if method == "post" else None).status
            assert str(status) in methods[method]["responses"]
    answer = site.ask("/predict", photo()).json
    assert [*answer] == said["components"]["schemas"]["Answer"]["required"]
    named = set(said["paths"]["/predict"]["post"]["responses"])
    assert {"401", "403", "408", "411", "413", "415", "421", "422", "503"} <= named


def test_what_speaks_for_the_answer_is_said_by_a_network(shipped):
    made, ask = opened(shipped, engine="torch"), qv.load_model(shipped, engine="torch")
    with closing(made.turns), served(made.server) as site:
        assert site.ask("/model").json["heatmap"] is True
        for data in (photo(1), photo(2, (4000, 3000), "JPEG"), photo(3, (90, 30))):
            said = site.ask("/heatmap", data).json
            assert said["label"] == ask.predict(data).label
            np.testing.assert_allclose(said["map"], ask.heatmap(data), rtol=1e-3, atol=1e-5)
            width, height = Image.open(io.BytesIO(data)).size
            # validation looks at 87.5 % of the shorter side, to a pixel
            expected = [0.875 * min(width, height) / side for side in (width, height)]
            assert said["covers"] == pytest.approx(expected, rel=0.02)
            assert said["ms"] > 0
        described = site.ask("/openapi.json").json
        assert [*said] == described["components"]["schemas"]["HeatMap"]["required"]


def test_where_the_engine_gives_answers_alone_there_is_no_heat_map(site):
    assert site.ask("/model").json["heatmap"] is False
    assert "--engine torch" in refused(site.ask("/heatmap", photo()), 501)


def test_a_heat_map_is_no_way_round_the_rules(shipped):
    limits = Limits(bytes=20_000, pixels=10_000, rest=0.1)
    made = opened(shipped, engine="torch", token="abc", limits=limits)
    own = {"Authorization": "Bearer abc"}
    with closing(made.turns), served(made.server) as site:

        def ask(body, **headers):
            return site.ask("/heatmap", body, headers=own | headers)

        assert ask(photo()).status == 200
        refused(site.ask("/heatmap", photo()), 401)
        refused(ask(photo(), Origin="http://evil.example"), 403)
        refused(ask(photo(), Host="evil.example"), 421)
        refused(ask(bytes(20_001)), 413)
        refused(ask(photo(size=(160, 100), kind="JPEG")), 413)
        refused(ask(b"hello"), 415)
        refused(ask(photo(), **{"Content-Type": "multipart/form-data; boundary=a"}), 415)
        refused(ask(photo()[:200]), 422)
        refused(site.ask("/heatmap", headers=own), 405)


def test_heat_maps_and_answers_wait_for_the_same_turns(shipped, monkeypatch):
    go = threading.Event()
    real = Service._heat
    monkeypatch.setattr(Service, "_heat", lambda self, data: go.wait(20) and real(self, data))
    monkeypatch.setattr("quickvision.web.serve.cores", lambda: 1)
    made = opened(shipped, engine="torch", limits=Limits(waiting=1))
    with closing(made.turns), served(made.server) as site, ThreadPoolExecutor(2) as pool:
        begun = [pool.submit(site.ask, "/heatmap", photo(i)) for i in range(2)]
        while made.turns.waiting < 1:
            time.sleep(0.01)
        for path in ("/predict", "/heatmap"):
            assert "waiting already" in refused(site.ask(path, photo()), 503)
        go.set()
        assert [future.result().status for future in begun] == [200, 200]


def refused(answer, status):
    assert answer.status == status
    assert list(answer.json) == ["error"]
    assert answer.headers["content-type"] == "application/json"
    for name, value in headers().items():
        assert answer.headers[name] == value
    return answer.json["error"]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 415, "got no bytes"),
        (b"hello", 415, "got something else"),
        (b"/etc/passwd", 415, "got something else"),
        (b"http://127.0.0.1/a.jpg", 415, "got something else"),
        (photo()[:200], 422, "got a damaged one"),
        (photo(size=(20_000, 4000), kind="GIF"), 413, "at most 40 million pixels"),
        (bytes(20_000_001), 413, "at most 20 MB"),
    ],
    ids=range(7),
)
def test_what_is_no_picture_is_refused_with_a_sentence(site, body, status, text):
    assert text in refused(site.ask("/predict", body), status)
    assert site.ask("/predict", photo()).status == 200


def test_other_ways_to_send_are_refused_with_a_sentence(site):
    form = {"Content-Type": "multipart/form-data; boundary=a"}
    assert "--data-binary" in refused(site.ask("/predict", photo(), headers=form), 415)
    parts = site.ask("/predict", iter([photo()]), method="POST")  # in chunks
    assert "Content-Length" in refused(parts, 411)
    assert "sent by POST" in refused(site.ask("/predict"), 405)
    assert "sent by POST" in refused(site.ask("/model", b"x"), 405)
    assert site.ask("/predict").headers["allow"] == "POST"
    refused(site.ask("/predict", photo(), headers={"Origin": "http://evil.example"}), 403)
    refused(site.ask("/predict", photo(), headers={"Host": "evil.example"}), 421)


def test_two_gigabytes_are_refused_before_they_come(site):
    begun = time.monotonic()
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2147483648\r\n\r\n"
    got = site.raw(head, b"x" * 1000)
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b"got 2,147.5 MB" in got
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "path",
    [
        "/config.json",
        "/../config.json",
        "/examples/../config.json",
        "/examples/..%2fconfig.json",
        "/examples/%2e%2e/config.json",
        "/examples//etc/passwd",
        "/examples/%2fetc%2fpasswd",
        "/examples/..%5c..%5cconfig.json",
        "/examples/0%00.png",
        "/examples/-1",
        "/examples/0",
        "/examples/99999999999999999999999999",
        "/examples/",
        "//etc/passwd",
        "/model/",
        "/page.html",
        "/docs",
        "/.env",
        "http://169.254.169.254/latest",
        "/%ff%fe",
    ],
)
def test_no_path_comes_near_the_disk(site, path):
    refused(site.ask(path), 404)
    assert site.ask(path, photo()).status in (404, 405)


def test_examples_come_by_their_number(shipped):
    (shipped / "examples").mkdir()
    (shipped / "examples" / "a.png").write_bytes(photo(7))
    made = opened(shipped)
    with closing(made.turns), served(made.server) as site:
        (path,) = site.ask("/model").json["examples"]
        answer = site.ask(f"/{path}")
        assert (answer.body, answer.headers["content-type"]) == (photo(7), "image/png")
        assert answer.headers["x-content-type-options"] == "nosniff"
        refused(site.ask("/examples/1"), 404)


def test_all_need_the_token_where_there_is_one(shipped):
    made = opened(shipped, token="abc")
    with closing(made.turns), served(made.server) as site:
        for path in ("/", "/model", "/openapi.json", "/examples/0", "/nothing"):
            assert "expected the token" in refused(site.ask(path), 401)
        assert "expected the token" in refused(site.ask("/predict", photo()), 401)
        assert site.ask("/?token=abc").body.decode() == page()
        assert site.ask("/predict?token=abc", photo()).status == 200
        shown = {"Authorization": "Bearer abc"}
        assert site.ask("/predict", photo(), headers=shown).status == 200


def test_a_slow_picture_is_cut_off(shipped):
    made = opened(shipped, limits=Limits(idle=0.3, body=1.0, rest=0.2))
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n"
    with closing(made.turns), served(made.server) as site:
        assert site.raw(head, b"x").startswith(b"HTTP/1.1 408 ")
        begun = time.monotonic()
        got = site.raw(head, *[b"x"] * 50, pause=0.1)
        assert got.startswith(b"HTTP/1.1 408 ")
        assert site.ask("/predict", photo()).status == 200
    assert time.monotonic() - begun < 8


def test_when_all_places_are_taken_it_says_when_to_come_again(shipped, monkeypatch):
    go = threading.Event()
    real = Service._answer
    monkeypatch.setattr(Service, "_answer", lambda self, data: go.wait(20) and real(self, data))
    monkeypatch.setattr("quickvision.web.serve.cores", lambda: 1)
    made = opened(shipped, limits=Limits(waiting=2))
    with closing(made.turns), served(made.server) as site, ThreadPoolExecutor(3) as pool:
        begun = [pool.submit(site.ask, "/predict", photo(i)) for i in range(3)]
        while made.turns.waiting < 2:
            time.sleep(0.01)
        answer = site.ask("/predict", photo())
        assert "waiting already" in refused(answer, 503)
        assert answer.headers["retry-after"] == "2"
        assert site.ask("/healthz").status == 200  # the loop is free
        go.set()
        assert [future.result().status for future in begun] == [200, 200, 200]
        assert site.ask("/predict", photo()).status == 200


def test_a_mistake_of_ours_is_said_here_and_not_to_whom_it_happens(site, monkeypatch, caplog):
    def fail(self, data):
        raise KeyError("a secret")

    monkeypatch.setattr(Service, "_answer", fail)
    assert refused(site.ask("/predict", photo()), 500).startswith("a mistake in quickvision")
    time.sleep(0.3)
    assert "a secret" in caplog.text


def test_nothing_is_written_and_nothing_is_noted(shipped, tmp_path, monkeypatch, caplog, capfd):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "here"))
    made, before = opened(shipped), tree(tmp_path)
    capfd.readouterr()
    caplog.set_level("INFO")
    with closing(made.turns), served(made.server) as site:
        for body in (photo(), photo()[:300], b"secret", photo(2, (3000, 4000), "JPEG")):
            site.ask("/predict?name=secret.jpg", body, headers={"X-File-Name": "secret.jpg"})
        site.ask("/secret")
    assert tree(tmp_path) == before
    assert caplog.text == ""
    assert "".join(capfd.readouterr()) == ""


def memory() -> float:
    """Of this process, in MB."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.slow
def test_many_clients_at_once_each_get_their_own_answer(site, folder):
    """16 clients, 500 requests (`make soak`: many more), a tenth of them bad files."""
    ask = qv.load_model(folder)
    photos = [photo(i, (320, 240), "JPEG" if i % 2 else "PNG") for i in range(40)]
    expected = [ask.predict(data).probs for data in photos]
    assert len({json.dumps(one) for one in expected}) == 40
    bad = [b"hello", photos[1][:400], photos[2][:400], b"", photo(0, (41_000, 1000), "GIF")]

    def one(i):
        if i % 10 == 9:
            return site.ask("/predict", bad[i // 10 % 5]).status
        answer = site.ask("/predict", photos[i % 40])
        if answer.status == 200:
            assert answer.json["probs"] == pytest.approx(expected[i % 40], abs=1e-5)
        return answer.status

    with ThreadPoolExecutor(16) as clients:
        statuses = Counter(clients.map(one, range(100)))
        before = memory() if os.path.exists("/proc/self/statm") else 0
        statuses += Counter(clients.map(one, range(REQUESTS)))
        after = memory() if before else 0
    assert set(statuses) <= {200, 413, 415, 422, 503}
    assert statuses[200] + statuses[503] == (100 + REQUESTS) * 9 // 10
    assert statuses[503] < REQUESTS / 10
    assert after - before < 50


@pytest.mark.slow
def test_a_stop_under_load_answers_what_was_accepted(shipped, monkeypatch):
    real, begun = Service._answer, []

    def slowly(self, data):
        begun.append(1)
        time.sleep(0.1)
        return real(self, data)

    monkeypatch.setattr(Service, "_answer", slowly)
    made = opened(shipped, limits=replace(Limits(), wait=60))
    with closing(made.turns), served(made.server) as site, ThreadPoolExecutor(16) as clients:
        asked = [clients.submit(site.ask, "/predict", photo(i)) for i in range(16)]
        while made.turns.waiting < 8:
            time.sleep(0.01)
        time.sleep(0.3)
        accepted = made.turns.waiting + len(begun)
        made.server.should_exit = True  # as SIGTERM does
        statuses = [future.result().status for future in asked]
    assert accepted == 16
    assert statuses == [200] * 16
