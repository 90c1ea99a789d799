"""Fetch a data set once: checked, gone on with where it was cut, unpacked as a whole or not at all.

fastai's own `untar_data` starts a download that was cut anew, waits for a silent server for ever,
and unpacks paths as they come.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import fastai.data
from fastai.data.external import FastDownload, fastai_cfg, fastai_path

from quickvision.base.errors import DataError, RunError
from quickvision.base.files import whole_folder
from quickvision.base.progress import counted, line, say

try:
    import fcntl
except ImportError:  # Windows; fastai has no lock there either
    fcntl = None  # type: ignore[assignment]

Checksum = str | tuple[int, str]

TIMEOUT = 30  # seconds that a server may be silent
BLOCK = 1 << 20  # bytes; also what fastai's checks hash
BY_HAND = "fetch it by hand, unpack it, and pass path="


def untar_data(url: str) -> Path:
    """Return the folder of one of fastai's data sets; fetch it where it is not there.

    Takes and gives what fastai's `untar_data` does, in the same place, by way of `fetch`.

    Raises:
        DataError: As `fetch`; also where fastai publishes no checksum for `url`.

    Source: the checksums are fastai's `data/download_checks.py`: the size, and the md5 of the first
    megabyte. What comes after it is checked by its size, and by gzip's own checksum when unpacked.
    """
    folder = _unpacked(url)
    if folder.is_dir():
        return folder
    checks = FastDownload(fastai_cfg(), module=fastai.data, base="~/.fastai").module
    published = ast.literal_eval(checks.read_text(encoding="utf-8"))
    if url not in published:
        raise DataError(f"expected a checksum of {url} in {checks}, got none; {BY_HAND}")
    return fetch(url, checksum=published[url])


_NO_ARCHIVE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    gzip.BadGzipFile,
)


def fetch(url: str, *, checksum: Checksum) -> Path:
    """Download an archive to fastai's folders, check it and unpack it, once; say so.

    What came before a download was cut is kept as `NAME.part`, and the next call goes on after it
    where the server can. Another process that fetches the same, with fastai too, is waited for.

    Args:
        url: A `.zip` file, or a `tar` file in any compression.
        checksum: `sha256:...` or `md5:...` of the whole file; or its size in bytes and the md5 of
            its first megabyte, as fastai publishes them.

    Returns:
        The unpacked folder, `NAME` in fastai's data folder. Where the archive holds just one
        folder, it is that one.

    Raises:
        DataError: It cannot be downloaded, is another file than expected, or cannot be unpacked.
    """
    target = _unpacked(url)
    if target.is_dir():
        return target
    archive = fastai_path("archive") / url.rpartition("/")[2]
    part = archive.with_name(f"{archive.name}.part")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with _alone(archive.with_name(f"{archive.name}.lock")):
            if target.is_dir():
                return target
            if not archive.is_file() or _got_instead(archive, checksum):
                say(line("download", f"{url} to {target}"))
                _download(url, part)
                if got := _got_instead(part, checksum):
                    part.unlink()
                    raise DataError(
                        f"expected {url} to have {_shown(checksum)}, got {got}; it is deleted: call"
                        f" again, or {BY_HAND}"
                    )
                os.replace(part, archive)
            with whole_folder(target) as folder:
                try:
                    _unpack(archive, folder, target)
                except _NO_ARCHIVE as error:
                    archive.unlink()
                    raise DataError(
                        f"expected an archive from {url}, got: {' '.join(str(error).split())}; it"
                        f" is deleted: call again, or {BY_HAND}"
                    ) from error
    # No common parent: of the net and the disk, of HTTP, and of the folder.
    except (OSError, HTTPException, RunError) as error:
        kept = part.stat().st_size if part.is_file() else 0
        again = f"call again to go on after the {kept:,} bytes that came, or " if kept else ""
        got = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
        raise DataError(f"expected to download {url}, got: {got}; {again}{BY_HAND}") from error
    return target


def _unpacked(url: str) -> Path:
    """Return the folder in which fastai would unpack the archive."""
    try:
        data = fastai_path("data")
    except OSError as error:  # fastai writes its settings on first use
        raise DataError(
            f"expected fastai's folder for data sets, got: {error}; name another in the environment"
            " variable FASTAI_HOME, or pass path="
        ) from error
    return data / Path(url.rpartition("/")[2]).stem.removesuffix(".tar")


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process fetches the same; the file is the one that fastai locks."""
    with open(lock, "w") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download(url: str, part: Path) -> None:
    """Bring `part` to its end: what it lacks, or all of it where the server knows no ranges."""
    done = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": "quickvision"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as answer:
            done = done if answer.status == 206 else 0
            whole = done + int(answer.headers.get("Content-Length", 0))
            with open(part, "ab" if done else "wb") as file:
                blocks = iter(partial(answer.read, BLOCK), b"")
                for block in counted(blocks, -(-(whole - done) // BLOCK), part.stem):
                    done += file.write(block)
                file.flush()
                os.fsync(file.fileno())
    except HTTPError as error:
        if error.code != 416:  # nothing is left to send: the part is whole, or another file
            raise
    else:
        if done < whole:
            raise ConnectionError(f"{done:,} of {whole:,} bytes")


def _got_instead(file: Path, checksum: Checksum) -> str:
    """Say what a file has instead of the checksum; an empty string where it has the checksum."""
    kind = "md5" if isinstance(checksum, tuple) else checksum.partition(":")[0]
    digest = hashlib.new(kind, usedforsecurity=False)
    with open(file, "rb") as opened:
        for block in iter(partial(opened.read, BLOCK), b""):
            digest.update(block)
            if isinstance(checksum, tuple):
                break
    found = digest.hexdigest()
    got = (file.stat().st_size, found) if isinstance(checksum, tuple) else f"{kind}:{found}"
    return "" if got == checksum else _shown(got)


def _shown(checksum: Checksum) -> str:
    if isinstance(checksum, tuple):
        return f"{checksum[0]:,} bytes, md5:{checksum[1]} in the first megabyte"
    return checksum


def _unpack(archive: Path, folder: Path, target: Path) -> None:
    """Unpack into a folder; what holds just one folder is that one, and moved to the target."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:  # drops `..` and roots by itself
            packed.extractall(folder)
    else:
        with tarfile.open(archive) as packed_tar:
            packed_tar.extractall(folder, filter="data")
            while packed_tar.fileobj and packed_tar.fileobj.read(2**20):
                pass  # gzip's checksum stands behind where tarfile stops
    tops = [top for top in folder.iterdir() if not top.name.startswith((".", "__MACOSX"))]
    if len(tops) == 1 and tops[0].is_dir():
        os.replace(tops[0], target)
