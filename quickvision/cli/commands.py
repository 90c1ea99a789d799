"""The command line: parse, call the library, print. torch loads only when a command runs."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
import webbrowser
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

import quickvision
from quickvision.base.errors import (
    DataWarning,
    OtherProcessError,
    QuickvisionError,
    printable,
)
from quickvision.base.progress import say, spoken
from quickvision.cli.answers import add_answers
from quickvision.cli.first import look_at_run
from quickvision.cli.helping import Grouped
from quickvision.cli.names import look_at_archs, look_for_models, no_models
from quickvision.cli.parameters import (
    MODEL,
    BatchSize,
    Gpus,
    Opts,
    Out,
    Pattern,
    Schedules,
    Size,
    Weights,
    Where,
    number,
    takes,
)
from quickvision.cli.refusals import UsageError, said_of
from quickvision.cli.serve import add_serve
from quickvision.cli.told import spelling_for
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


_command = partial(app.command, cls=Grouped)


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


@_command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to write in.", metavar="FOLDER")] = RUNS,
) -> None:
    """Try it on scanned digits: no network, about a minute."""
    quickvision.train_digits(out=out)


@_command()
@takes(Options, "valid", "groups", "class_names", "fixes", "seed", "max_bad")
def check(
    path: Where,
    pattern: Pattern = None,
    size: Size = 224,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all examples.")] = False,
    **options: Any,
) -> None:
    """Look for what would mislead training.

    Exit code 1 says that something does. As: quickvision check photos
    """
    look(path)
    found = quickvision.check(path, pat=pattern, size=size, **options)
    if as_json:
        typer.echo(found.to_json())
    else:
        say(str(found))
    raise typer.Exit(0 if found.ok else 1)


@_command()
@takes(RunConfig)
@takes(ModelOptions)
@takes(Options)
def train(
    path: Where,
    pattern: Pattern = None,
    arch: Annotated[
        str,
        typer.Option(
            help="A model that `quickvision models` lists.", metavar="NAME", rich_help_panel=MODEL
        ),
    ] = "resnet34",
    weights: Weights = "default",
    gpus: Gpus = None,
    out: Out = RUNS,
    **options: Any,
) -> None:
    """Train on pictures: frozen, then unfrozen, then a report.

    As: quickvision train photos, or quickvision train photos --arch convnext_tiny --budget 10min
    """
    if "RANK" not in os.environ:  # of several processes the first says it
        look(path)
    _checked(options)
    if options["gradual"] and weights is None:
        raise ValueError("--gradual goes with weights, got --weights none")
    look_at_archs([arch])
    options |= {"pat": pattern, "gpus": gpus}
    quickvision.train(path, arch=arch, weights=weights, out=out, **_given(options))


@_command()
def resume(
    path: Annotated[Path, typer.Argument(help="Folder of the run, as runs/pets-001.")],
    data: Annotated[
        Path | None, typer.Option(help="The pictures, if they have moved.", metavar="FOLDER")
    ] = None,
    before: Annotated[
        bool, typer.Option("--before", help="From the last checkpoint but one.")
    ] = False,
    more_epochs: Annotated[
        int | None,
        typer.Option(parser=number(1), help="Train a finished run further, as 3.", metavar="N"),
    ] = None,
    gpus: Gpus = None,
) -> None:
    """Go on with a stopped run, or train a finished one further.

    As: quickvision resume runs/pets-001, or quickvision resume runs/pets-001 --more-epochs 3
    """
    look_at_run(path)
    quickvision.resume(path, more_epochs=more_epochs, data=data, before=before, gpus=gpus)


@_command()
def export(
    path: Annotated[Path, typer.Argument(help="Folder of a finished run, as runs/pets-001.")],
    model: Annotated[Path, typer.Argument(help="Folder to write, as model.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="Write model.onnx, too.")] = False,
    best: Annotated[bool, typer.Option("--best", help="The best epoch, not the last.")] = False,
    calibrate: Annotated[bool, typer.Option(help="Correct over- and underconfidence.")] = True,
    data: Annotated[
        Path | None, typer.Option(help="The pictures, if they have moved.", metavar="FOLDER")
    ] = None,
) -> None:
    """Write a run's model as a folder that anyone can open.

    As: quickvision export runs/pets-001 model --onnx
    """
    look_at_run(path)
    run = quickvision.load_run(path, data=data)
    run.export(model, onnx=onnx, best=best, calibrate=calibrate)


@_command()
def report(
    path: Annotated[Path, typer.Argument(help="Folder of a finished run, as runs/pets-001.")],
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="The pictures, if they have moved.", metavar="FOLDER")
    ] = None,
) -> None:
    """Write a run's report again, as a page and as text.

    As: quickvision report runs/pets-001 --open
    """
    look_at_run(path)
    page = quickvision.load_run(path, data=data).report()
    typer.echo(page)
    if show:
        webbrowser.open(page.resolve().as_uri())


@_command()
@takes(RunConfig, "frozen_epochs", "unfrozen_epochs", "budget")
@takes(Options, "valid", "groups", "seed", "size")
def compare(
    path: Where,
    archs: Annotated[list[str], typer.Argument(help="Models to compare.", metavar="MODELS")],
    pattern: Pattern = None,
    weights: Weights = "default",
    bs: BatchSize = None,
    seeds: Annotated[
        int,
        typer.Option(parser=number(1), help="How many times to train each, as 3.", metavar="N"),
    ] = 1,
    opt: Opts = None,
    schedule: Schedules = None,
    out: Annotated[
        Path, typer.Option(help="Folder in which `compare` is made.", metavar="FOLDER")
    ] = RUNS,
    **options: Any,
) -> None:
    """Train several models on the same split; say which differ.

    What was trained before is not trained again. As: quickvision compare photos resnet18 resnet34
    """
    look(path)
    _checked(options)
    if len({*archs}) < len(archs):
        raise ValueError(f"expected each model once, got {' '.join(archs)}")
    look_at_archs(archs)
    options |= {"pat": pattern, "bs": bs, "seeds": seeds, "opts": opt, "schedules": schedule}
    found = quickvision.compare(path, archs, weights=weights, out=out, **_given(options))
    say(f"\n{found}")


def _checked(options: dict[str, Any]) -> None:
    """See that a run's options go together, before torch is loaded."""
    known = {one.name for one in fields(RunConfig)}
    RunConfig(**{name: value for name, value in options.items() if name in known})


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Leave out what was not given: the library has its own defaults."""
    return {name: value for name, value in options.items() if value is not None}


@_command()
def models(
    pattern: Annotated[str, typer.Argument(help="As '*resnet*', or a part of a name.")] = "*",
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Only those that have weights.")
    ] = False,
) -> None:
    """List the models of torchvision and timm.

    As: quickvision models, or quickvision models convnext --pretrained
    """
    look_for_models(pattern)
    table = quickvision.list_models(pattern, pretrained=pretrained)
    if table.empty:
        raise no_models(pattern)
    millions = (table["parameters"] / 1e6).map("{:.1f} M".format)
    shown = table.assign(parameters=millions, weights=table["weights"].fillna("-"))
    typer.echo(shown.to_string(index=False))


add_answers(app)
add_serve(app)


def main() -> None:
    """Run the command line: exit 1 with `error: ...` for bad data, models and files."""
    show, rank = warnings.showwarning, int(os.environ.get("RANK", 0))
    group: Any = typer.main.get_command(app)
    spell = spelling_for(group.commands, sys.argv[1:])

    def short(message: Warning | str, category: type[Warning], *where: Any) -> None:
        if issubclass(category, DataWarning):
            if rank == 0:
                typer.echo(f"warning: {spell(str(message))}", err=True)
        else:
            show(message, category, *where)

    def end(error: Exception, code: int, who: str = "") -> NoReturn:
        typer.echo(printable(f"{who}error: {spell(str(error))}"), err=True)
        sys.exit(code)

    warnings.showwarning = short  # type: ignore[assignment]
    try:
        with spoken(spell):
            code = group(standalone_mode=False)
    except UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(str(error), err=True)
            sys.exit(2)
        end(ValueError(said_of(error, group.commands)), 2)
    except OtherProcessError:  # which says itself what is wrong
        sys.exit(1)
    except QuickvisionError as error:
        end(error, 1, f"process {rank}: " if rank else "")
    except (TypeError, ValueError) as error:
        if not _is_said_by_us(error):  # a mistake in the program: show where
            raise
        end(error, 2)
    sys.exit(code or 0)


def _is_said_by_us(error: Exception) -> bool:
    """Say whether it was raised in quickvision itself, where arguments are checked."""
    *_, (last, _) = traceback.walk_tb(error.__traceback__)
    return str(last.f_globals.get("__name__", "")).startswith("quickvision.")
