"""The command that shows a model to people: `serve`. Imports neither torch nor pandas for ONNX."""

from __future__ import annotations

from typing import Annotated

import typer

import quickvision
from quickvision.cli.answers import Engine, Model, _check_model


def add_serve(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(serve)


def serve(
    model: Model,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Of its address.")] = 8000,
    lan: Annotated[
        bool, typer.Option("--lan", help="Let phones of this network in, by a code to scan.")
    ] = False,
    engine: Annotated[Engine, typer.Option(help="What computes.")] = "auto",
    unsure_below: Annotated[
        float, typer.Option(min=0, max=1, help="Probability below which the page is not sure.")
    ] = 0.0,
    host: Annotated[
        list[str] | None, typer.Option(help="A name by which it is reached, beside its address.")
    ] = None,
) -> None:
    """Serve a page that says what a photo shows, until Ctrl-C.

    As: quickvision serve model, and for phones: quickvision serve model --lan
    """
    _check_model(model)
    quickvision.serve(
        model, port=port, lan=lan, engine=engine, unsure_below=unsure_below, hosts=host or ()
    )
