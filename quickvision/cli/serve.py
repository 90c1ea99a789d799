"""The command that shows a model to people: `serve`. Imports neither torch nor pandas for ONNX."""

from __future__ import annotations

from typing import Annotated

import typer

import quickvision
from quickvision.cli.answers import Model
from quickvision.cli.helping import Grouped
from quickvision.cli.parameters import Engine, UnsureBelow, number


def add_serve(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(cls=Grouped)(serve)


def serve(
    model: Model,
    port: Annotated[
        int, typer.Option(parser=number(0, 65_535), help="Port of its address.", metavar="N")
    ] = 8000,
    lan: Annotated[bool, typer.Option("--lan", help="Let phones in, by a code to scan.")] = False,
    engine: Engine = "auto",
    unsure_below: UnsureBelow = 0.0,
    host: Annotated[
        list[str] | None,
        typer.Option(help="Another name by which it is reached.", metavar="NAME"),
    ] = None,
) -> None:
    """Serve a page that says what a photo shows, until Ctrl-C.

    As: quickvision serve model, and for phones: quickvision serve model --lan
    """
    quickvision.serve(
        model, port=port, lan=lan, engine=engine, unsure_below=unsure_below, hosts=host or ()
    )
