"""One process trains in a folder at a time."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from quickvision.base.errors import RunError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from training in this folder meanwhile.

    The operating system lets go of the lock when the process dies, however it dies: what a dead one
    leaves is no lock. `lock` names the process (host and pid) for people to read.

    Raises:
        RunError: Another process, or another training in this one, is at it; or the file cannot be
            written.
    """
    lock = FileLock(folder / "lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        who = ""
        with suppress(OSError):  # Windows does not let anybody read what is locked
            who = (folder / "lock").read_text(encoding="utf-8", errors="replace")
        raise RunError(
            f"expected {folder} for this process alone, got another that trains in it"
            f" ({who.strip() or 'unknown'}); wait for it, or stop it"
        ) from None
    except OSError as error:
        raise RunError(f"expected to write {folder / 'lock'}, got: {error}") from error
    try:
        with suppress(OSError):  # where the system lets nobody write into what is locked
            text = f"{socket.gethostname()} pid {os.getpid()}\n"
            (folder / "lock").write_text(text, encoding="utf-8")
        yield
    finally:
        lock.release()
