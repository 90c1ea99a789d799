"""The command line: parse, call the library, print. torch loads only when a command runs."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

import quickvision
from quickvision.base.errors import DataWarning, ModelError, OtherProcessError, QuickvisionError
from quickvision.cli.answers import add_answers
from quickvision.cli.parameters import (
    BatchSize,
    Gpus,
    Opts,
    Out,
    Pattern,
    Schedules,
    Size,
    Weights,
    Where,
    spelled,
    takes,
)
from quickvision.cli.serve import add_serve
from quickvision.data.options import Options
from quickvision.data.paths import look
from quickvision.models.options import ModelOptions
from quickvision.runs.options import RunConfig

RUNS = Path("runs")

app = typer.Typer(
    name="quickvision",
    help="Train a picture classifier from a folder, and see what it confuses.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"quickvision {quickvision.__version__}")
        raise typer.Exit


@app.callback()
def _quickvision(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder to write in.")] = RUNS) -> None:
    """Show transfer learning on scanned digits: no network, about a minute."""
    quickvision.train_digits(out=out)


@app.command()
@takes(Options, "valid", "class_names", "seed", "max_bad")
def check(
    path: Where,
    pattern: Pattern = None,
    size: Size = 224,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all examples.")] = False,
    **options: Any,
) -> None:
    """Look for what would mislead training; exit 1 if something does."""
    look(path)
    found = quickvision.check(path, pat=pattern, size=size, **options)
    typer.echo(found.to_json() if as_json else str(found))
    raise typer.Exit(0 if found.ok else 1)


@app.command()
@takes(RunConfig)
@takes(ModelOptions)
@takes(Options)
def train(
    path: Where,
    pattern: Pattern = None,
    arch: Annotated[str, typer.Option(help="A torchvision or timm model.")] = "resnet34",
    weights: Weights = "default",
    gpus: Gpus = None,
    out: Out = RUNS,
    **options: Any,
) -> None:
    """Train on pictures: frozen, then unfrozen, then a report."""
    if "RANK" not in os.environ:  # of several processes the first says it
        look(path)
    _checked(options)
    if options["gradual"] and weights is None:
        raise typer.BadParameter("--gradual goes with weights, got --weights none")
    options |= {"pat": pattern, "gpus": gpus}
    quickvision.train(path, arch=arch, weights=weights, out=out, **_given(options))


@app.command()
def resume(
    path: Annotated[Path, typer.Argument(help="Folder of the run, as runs/pets-001.")],
    data: Annotated[
        Path | None, typer.Option(help="The pictures, where they are elsewhere now.")
    ] = None,
    before: Annotated[
        bool, typer.Option("--before", help="From the checkpoint before the last.")
    ] = False,
    more_epochs: Annotated[
        int | None, typer.Option(min=1, help="Train a finished run so many epochs further.")
    ] = None,
    gpus: Gpus = None,
) -> None:
    """Go on with a run that was stopped, or train a finished one further.

    As: quickvision resume runs/pets-001, or quickvision resume runs/pets-001 --more-epochs 3
    """
    quickvision.resume(path, more_epochs=more_epochs, data=data, before=before, gpus=gpus)


@app.command()
def export(
    path: Annotated[Path, typer.Argument(help="Folder of a finished run, as runs/pets-001.")],
    model: Annotated[Path, typer.Argument(help="Folder to write, as model.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="Write model.onnx, too.")] = False,
    best: Annotated[bool, typer.Option("--best", help="Of the best epoch.")] = False,
    calibrate: Annotated[bool, typer.Option(help="Make the probabilities true.")] = True,
    data: Annotated[
        Path | None, typer.Option(help="The pictures, where they are elsewhere now.")
    ] = None,
) -> None:
    """Write a run's model as a folder that anyone can open.

    As: quickvision export runs/pets-001 model --onnx
    """
    run = quickvision.load_run(path, data=data)
    run.export(model, onnx=onnx, best=best, calibrate=calibrate)


@app.command()
@takes(RunConfig, "frozen_epochs", "unfrozen_epochs", "budget")
@takes(Options, "size")
def compare(
    path: Where,
    archs: Annotated[list[str], typer.Argument(help="Models of torchvision or timm.")],
    pattern: Pattern = None,
    weights: Weights = "default",
    bs: BatchSize = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each.")] = 1,
    opt: Opts = None,
    schedule: Schedules = None,
    out: Annotated[Path, typer.Option(help="Folder in which `compare` is made.")] = RUNS,
    **options: Any,
) -> None:
    """Train several models on the same split, and say which differ; go on where it was cut."""
    look(path)
    _checked(options)
    if len({*archs}) < len(archs):
        raise typer.BadParameter(f"expected each model once, got {' '.join(archs)}")
    options |= {"pat": pattern, "bs": bs, "seeds": seeds, "opts": opt, "schedules": schedule}
    found = quickvision.compare(path, archs, weights=weights, out=out, **_given(options))
    typer.echo(f"\n{found}")


def _checked(options: dict[str, Any]) -> None:
    """See that a run's options go together, before torch is loaded."""
    known = {one.name for one in fields(RunConfig)}
    try:
        RunConfig(**{name: value for name, value in options.items() if name in known})
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(spelled(str(error), known)) from None


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Leave out what was not given: the library has its own defaults."""
    return {name: value for name, value in options.items() if value is not None}


@app.command()
def models(
    pattern: Annotated[str, typer.Argument(help="As '*resnet*', or a part of a name.")] = "*",
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Only those that have weights.")
    ] = False,
) -> None:
    """List the models of torchvision and timm; exit 1 if none matches."""
    table = quickvision.list_models(pattern, pretrained=pretrained)
    if table.empty:
        raise ModelError(f"expected models whose names match {pattern!r}, got none")
    millions = (table["parameters"] / 1e6).map("{:.1f} M".format)
    shown = table.assign(parameters=millions, weights=table["weights"].fillna("-"))
    typer.echo(shown.to_string(index=False))


add_answers(app)
add_serve(app)


def main() -> None:
    """Run the command line: exit 1 with `error: ...` for bad data, models and files."""
    show, rank = warnings.showwarning, int(os.environ.get("RANK", 0))

    def short(message: Warning | str, category: type[Warning], *where: Any) -> None:
        if issubclass(category, DataWarning):
            if rank == 0:
                typer.echo(f"warning: {message}", err=True)
        else:
            show(message, category, *where)

    warnings.showwarning = short  # type: ignore[assignment]
    try:
        app()
    except OtherProcessError:  # which says itself what is wrong
        sys.exit(1)
    except QuickvisionError as error:
        who = f"process {rank}: " if rank else ""
        typer.echo(f"{who}error: {error}", err=True)
        sys.exit(1)
    except (TypeError, ValueError) as error:
        if not _is_said_by_us(error):  # a mistake in the program: show where
            raise
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)


def _is_said_by_us(error: Exception) -> bool:
    """Say whether it was raised in quickvision itself, where arguments are checked."""
    *_, (last, _) = traceback.walk_tb(error.__traceback__)
    return str(last.f_globals.get("__name__", "")).startswith("quickvision.")
