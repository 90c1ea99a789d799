"""`serve`: a page that answers a photo, from an exported folder."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
import threading
import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from quickvision.base.choices import flag, fraction, whole
from quickvision.base.errors import QuickvisionError, as_path
from quickvision.base.progress import line, say
from quickvision.ship.bundle import read_bundle
from quickvision.ship.load import load_model
from quickvision.web.guards import Guarded
from quickvision.web.lan import code, lan_address
from quickvision.web.limits import Limits
from quickvision.web.page import headers
from quickvision.web.service import Service
from quickvision.web.turns import Turns
from quickvision.web.wire import Server, server


def serve(
    path: str | Path,
    *,
    port: int = 8000,
    lan: bool = False,
    engine: str = "auto",
    unsure_below: float = 0.0,
    hosts: Sequence[str] = (),
) -> None:
    """Serve a page that says what a photo shows, until Ctrl-C.

    It needs nothing but what quickvision has installed, and asks no other server for anything.
    Pictures are answered and forgotten: nothing is written, nothing is noted of them. Programs send
    a picture's file as the body: `curl --data-binary @photo.jpg http://127.0.0.1:8000/predict`.

    Args:
        path: An exported folder. Up to three pictures in a folder `examples` in it are shown to be
            tried.
        port: Of the address; 0 takes any that is free.
        lan: Let phones of the same network in, by a code to scan: whoever has the whole address,
            with the token in it, may ask. Else this computer alone may.
        engine: As in `load_model`.
        unsure_below: Probability below which the page says "not sure".
        hosts: Names by which it is reached, where that is neither an address nor "localhost".

    Raises:
        BundleError: As `load_model`.
        QuickvisionError: The port is taken, or there is no network.
        TypeError: `hosts` is a text.
        ValueError: No such engine, or a number out of range.
    """
    whole("port", port, 0, high=65_535)
    flag("lan", lan)
    fraction("unsure_below", unsure_below, 0.5, zero=True, one=True)
    if isinstance(hosts, str):
        raise TypeError(f"hosts: expected names in a list, got {hosts!r}")
    with _bound(lan_address() if lan else "127.0.0.1", port) as listening:
        site = opened(
            path,
            engine=engine,
            token=secrets.token_urlsafe(16) if lan else None,
            unsure_below=unsure_below,
            hosts=hosts,
        )
        with closing(site.turns):
            listening.listen()
            _say(path, site, listening)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module=r"PIL\.")  # they speak of pictures
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                run(site.server, listening)
    say(line("stopped", "no page any more"))


@dataclass(frozen=True)
class Site:
    """A server that has not begun, and what it is made of.

    Attributes:
        server: The server.
        turns: Whose turn it is; to be closed in the end.
        engine: What computes.
        classes: How many classes the model tells apart.
        token: That has to be shown; None where all who reach it may ask.
    """

    server: Server
    turns: Turns
    engine: str
    classes: int
    token: str | None


def opened(
    path: str | Path,
    *,
    engine: str = "auto",
    token: str | None = None,
    unsure_below: float = 0.0,
    hosts: Sequence[str] = (),
    limits: Limits | None = None,
) -> Site:
    """Open the model, and put all around it; arguments as in `serve`."""
    bundle, folder = read_bundle(path), as_path(path, "path")
    ask = load_model(folder, engine=engine, threads=1)  # a picture a core
    ask.predict(Image.new("RGB", (64, 64)))  # the first is slow
    name = type(ask.engine).__name__.removesuffix("Engine").lower()
    limits = limits or Limits()
    turns = Turns(cores(), limits)
    made = Service(ask, bundle, folder, turns, limits, engine=name, unsure_below=unsure_below)
    app = Guarded(made.app(), headers(), token=token, names=hosts)
    return Site(server(app, limits, headers()), turns, name, len(ask.vocab), token)


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(server: Server, listening: socket.socket) -> None:
    """Serve until a signal; in a notebook, whose loop runs already, from another thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        server.run(sockets=[listening])
        return
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        server.should_exit = server.force_exit = True
        thread.join()


def _bound(address: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # where it would let two servers have one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
    except OSError as error:
        listening.close()
        raise QuickvisionError(
            f"expected a port that is free, got {port}: {error.strerror}; give another, as"
            f" --port {port + 1 if port < 65_535 else 8000} (port=)"
        ) from error
    return listening


def _say(path: str | Path, site: Site, listening: socket.socket) -> None:
    """Say where it is, and who can see it."""
    address, port = listening.getsockname()
    url = f"http://{address}:{port}/"
    say(line("serving", f"{path}: {site.classes:,} classes, answered by {site.engine}"))
    if site.token is None:
        say(line("open", url))
        say(line("seen by", "this computer alone; --lan (lan=True) lets phones of its network in"))
    else:
        url += f"?token={site.token}"
        if _takes_blocks():
            say(code(url))
        say(line("open", url))
        say(
            line(
                "seen by",
                "whoever is in this network and has this whole address, which is new at each start;"
                "\npictures travel unencrypted: let it be a network that you trust",
            )
        )
    say(line("stop", "Ctrl-C"))


def _takes_blocks() -> bool:
    """Say whether a code can be shown: in a terminal that knows block characters."""
    encoding = getattr(sys.stdout, "encoding", None) or ""
    return sys.stdout.isatty() and encoding.lower().replace("-", "") == "utf8"
