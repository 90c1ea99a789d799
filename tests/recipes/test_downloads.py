from __future__ import annotations

import hashlib
import http.server
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastai.data.external import URLs, fastai_cfg
from made import Site, packed

import quickvision as qv
from quickvision.recipes import downloads
from quickvision.recipes.downloads import fetch, untar_data


@pytest.fixture(autouse=True)
def home(fastai_home):
    return fastai_home


BIRDS = {"birds-v2/wren/1.txt": b"a wren", "birds-v2/robin/1.txt": b"a robin" * 5000}


@pytest.fixture
def site():
    with Site(packed(BIRDS)) as site:
        yield site


class TestFetch:
    def test_the_archive_is_unpacked_where_fastai_looks_for_it(self, site, home, capsys):
        folder = fetch(site.url(), checksum=site.checksum)
        assert folder == home / "data" / "birds"
        assert (folder / "wren" / "1.txt").read_bytes() == b"a wren"
        assert (home / "archive" / "birds.tgz").read_bytes() == site.content
        assert capsys.readouterr().out == f"download     {site.url()} to {folder}\n"
        assert {p.name for p in (home / "data").iterdir()} == {"birds"}
        assert {p.name for p in (home / "archive").iterdir()} == {"birds.tgz", "birds.tgz.lock"}

    def test_a_second_call_finds_it_there(self, site, capsys):
        first = fetch(site.url(), checksum=site.checksum)
        capsys.readouterr()
        assert fetch(site.url(), checksum="sha256:of something else") == first
        assert len(site.asked) == 1
        assert capsys.readouterr().out == ""

    def test_two_at_once_download_once(self, site):
        fastai_cfg()  # which writes a file on first use, and reads it half-written by another
        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(fetch, site.url(), checksum=site.checksum) for _ in range(4)]
        assert len({call.result() for call in calls}) == 1
        assert len(site.asked) == 1

    def test_an_archive_that_is_there_is_only_unpacked(self, site, home):
        (home / "archive").mkdir(parents=True)
        (home / "archive" / "birds.tgz").write_bytes(site.content)
        assert (fetch(site.url(), checksum=site.checksum) / "wren").is_dir()
        assert site.asked == []

    def test_another_archive_of_that_name_is_replaced(self, site, home):
        (home / "archive").mkdir(parents=True)
        (home / "archive" / "birds.tgz").write_bytes(b"an older version")
        assert (fetch(site.url(), checksum=site.checksum) / "wren").is_dir()

    def test_zip_and_md5(self, home):
        with Site(packed({"a.txt": b"a", "__MACOSX/._a.txt": b"", "b/c.txt": b"c"}, "zip")) as site:
            md5 = hashlib.md5(site.content).hexdigest()
            folder = fetch(site.url("two.tops.zip"), checksum=f"md5:{md5}")
        assert folder == home / "data" / "two.tops"
        assert (folder / "a.txt").read_bytes() == b"a"
        assert (folder / "b" / "c.txt").read_bytes() == b"c"

    def test_a_tar_has_no_two_suffixes_in_its_folder(self, site, home):
        assert fetch(site.url("b.tar.gz"), checksum=site.checksum) == home / "data" / "b"


class TestACutDownload:
    def test_it_goes_on_where_it_was_cut(self, site, home):
        site.cut = 50
        with pytest.raises(
            qv.DataError, match=r"50 of \d+ bytes; call again to go on after the 50"
        ):
            fetch(site.url(), checksum=site.checksum)
        assert (home / "archive" / "birds.tgz.part").stat().st_size == 50
        assert not (home / "data" / "birds").exists()
        site.cut = None
        assert (fetch(site.url(), checksum=site.checksum) / "wren").is_dir()
        assert site.asked == [None, "bytes=50-"]

    def test_a_server_without_ranges_starts_anew(self, site):
        site.cut, site.knows_ranges = 50, False
        with pytest.raises(qv.DataError, match="50 of"):
            fetch(site.url(), checksum=site.checksum)
        site.cut = None
        assert (fetch(site.url(), checksum=site.checksum) / "wren").is_dir()

    def test_a_part_that_is_whole_needs_nothing_more(self, site, home):
        (home / "archive").mkdir(parents=True)
        (home / "archive" / "birds.tgz.part").write_bytes(site.content)
        assert (fetch(site.url(), checksum=site.checksum) / "wren").is_dir()

    def test_a_part_of_another_file_is_thrown_away(self, site, home):
        (home / "archive").mkdir(parents=True)
        part = home / "archive" / "birds.tgz.part"
        for other in (b"other bytes", b"x" * 10_000_000):
            part.write_bytes(other)
            with pytest.raises(qv.DataError, match="it is deleted: call again"):
                fetch(site.url(), checksum=site.checksum)
            assert not part.exists()
        assert (fetch(site.url(), checksum=site.checksum) / "wren").is_dir()


class TestWhatGoesWrong:
    def test_another_file_than_expected_is_deleted(self, site, home):
        with pytest.raises(qv.DataError, match=r"to have sha256:00, got sha256:\w{64}; .* path="):
            fetch(site.url(), checksum="sha256:00")
        assert {p.name for p in (home / "archive").iterdir()} == {"birds.tgz.lock"}
        assert not (home / "data" / "birds").exists()

    def test_a_page_that_is_not_there(self, site):
        with pytest.raises(
            qv.DataError, match="expected to download .*404: Not Found; fetch it by"
        ):
            fetch(site.url("missing.tgz"), checksum=site.checksum)

    def test_no_server(self):
        with pytest.raises(qv.DataError, match="expected to download .*refused.* pass path="):
            fetch("http://127.0.0.1:9/birds.tgz", checksum="sha256:00")

    def test_a_silent_server_is_not_waited_for(self, monkeypatch):
        monkeypatch.setattr(downloads, "TIMEOUT", 0.2)
        with http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), http.server.BaseHTTPRequestHandler
        ) as server:  # it listens, and nobody answers
            url = f"http://127.0.0.1:{server.server_port}/birds.tgz"
            with pytest.raises(qv.DataError, match="timed out"):
                fetch(url, checksum="sha256:00")

    @pytest.mark.parametrize("kind", ["tgz", "zip"])
    def test_what_is_no_archive(self, kind, home):
        with (
            Site(b"<html>log in first</html>") as site,
            pytest.raises(qv.DataError, match="expected an archive from .*deleted: .* pass path="),
        ):
            fetch(site.url(f"birds.{kind}"), checksum=site.checksum)
        assert list((home / "data").iterdir()) == []
        assert not list((home / "archive").glob("birds*[gi][zp]"))

    def test_nothing_is_written_elsewhere_by_a_tar(self, home):
        evil = packed({"a/ok.txt": b"", "../../evil.txt": b"evil"})
        with Site(evil) as site, pytest.raises(qv.DataError, match="outside the destination"):
            fetch(site.url(), checksum=site.checksum)
        assert not list(home.parent.rglob("evil.txt"))
        assert list((home / "data").iterdir()) == []

    def test_nothing_is_written_elsewhere_by_a_zip(self, home):
        with Site(packed({"a/ok.txt": b"", "../../evil.txt": b"evil"}, "zip")) as site:
            folder = fetch(site.url("birds.zip"), checksum=site.checksum)
        assert [p.parent for p in home.parent.rglob("evil.txt")] == [folder]

    def test_a_home_that_is_none(self, site, home):
        home.write_text("a file")
        with pytest.raises(qv.DataError, match="fastai's folder .* FASTAI_HOME, or pass path="):
            fetch(site.url(), checksum=site.checksum)

    def test_a_folder_that_cannot_be_written(self, site, home):
        home.mkdir(exist_ok=True)
        (home / "archive").write_text("a file")
        with pytest.raises(qv.DataError, match="expected to download .*exists"):
            fetch(site.url(), checksum=site.checksum)


class TestFastaisDataSets:
    def test_it_is_checked_by_what_fastai_publishes(self, site, monkeypatch, tmp_path):
        checks = tmp_path / "download_checks.py"
        digest = hashlib.md5(site.content).hexdigest()
        checks.write_text(repr({site.url(): (len(site.content), digest)}))
        monkeypatch.setattr(downloads, "FastDownload", lambda *a, **k: _Module(checks))
        assert (untar_data(site.url()) / "wren").is_dir()

    def test_another_size_is_said(self, site, monkeypatch, tmp_path):
        checks = tmp_path / "download_checks.py"
        checks.write_text(repr({site.url(): (5, "00")}))
        monkeypatch.setattr(downloads, "FastDownload", lambda *a, **k: _Module(checks))
        with pytest.raises(qv.DataError, match=r"to have 5 bytes, md5:00 .* got \d+ bytes, md5:"):
            untar_data(site.url())

    def test_what_fastai_publishes_no_checksum_for_is_not_fetched(self, site):
        with pytest.raises(qv.DataError, match="expected a checksum of .*, got none; fetch it by"):
            untar_data(site.url())
        assert site.asked == []

    def test_fastai_publishes_checksums_of_all_that_the_recipes_fetch(self, monkeypatch):
        seen = {}
        monkeypatch.setattr(downloads, "fetch", lambda url, checksum: seen.update({url: checksum}))
        for url in (URLs.PETS, URLs.CARS, URLs.CIFAR):
            untar_data(url)
        assert [size for size, _ in seen.values()] == [811706944, 1957803273, 168168549]

    def test_what_fastai_has_fetched_is_found(self, home):
        (home / "data" / "oxford-iiit-pet").mkdir(parents=True)
        assert untar_data(URLs.PETS) == home / "data" / "oxford-iiit-pet"


class _Module:
    def __init__(self, module):
        self.module = module
