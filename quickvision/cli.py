"""The command line: parse, call the library, print. torch loads only when a command runs."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

import quickvision
from quickvision.errors import DataWarning, QuickvisionError
from quickvision.labels import NameLabel

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
def demo(
    out: Annotated[Path, typer.Option(help="Folder to write in.")] = RUNS,
) -> None:
    """Show transfer learning on scanned digits: no network, about a minute."""
    quickvision.train_digits(out=out)


def _pattern(text: str | None) -> str | None:
    if text is not None:
        try:
            NameLabel(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return text


def _fraction(value: float) -> float:
    if not 0 < value < 1:
        raise typer.BadParameter(f"expected a fraction such as 0.2 (20 %), got {value:g}")
    return value


PATTERN_HELP = r"Labels are in the names: a regex with one group, as '^(.+)_\d+\.jpg$'."


@app.command()
def train(
    path: Annotated[Path, typer.Argument(help="Class folders, or train and val; see --pattern.")],
    pattern: Annotated[str | None, typer.Option(callback=_pattern, help=PATTERN_HELP)] = None,
    arch: Annotated[str, typer.Option(help="A torchvision or timm model.")] = "resnet34",
    weights: Annotated[
        str, typer.Option(help="'default' (downloaded), 'none', or a file.")
    ] = "default",
    size: Annotated[int, typer.Option(min=1, help="Pixels of a side.")] = 224,
    bs: Annotated[int, typer.Option(min=2, help="Pictures in a batch.")] = 64,
    valid: Annotated[
        float, typer.Option(callback=_fraction, help="Fraction held out, where no folder is.")
    ] = 0.2,
    frozen_epochs: Annotated[int, typer.Option(min=0, help="Epochs of the head alone.")] = 4,
    unfrozen_epochs: Annotated[int, typer.Option(min=0, help="Epochs of all layers.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Seed of split, head and augmentation.")] = 42,
    out: Annotated[Path, typer.Option(help="Folder in which the run's folder is made.")] = RUNS,
) -> None:
    """Train on a folder of pictures: frozen, then unfrozen, then a report."""
    if not frozen_epochs + unfrozen_epochs:
        raise typer.BadParameter("expected epochs to train, got 0 frozen and 0 unfrozen")
    options = {"pat": pattern} if pattern else {}
    quickvision.train(
        path,
        arch=arch,
        weights=None if weights.lower() == "none" else weights,
        size=size,
        bs=bs,
        valid=valid,
        frozen_epochs=frozen_epochs,
        unfrozen_epochs=unfrozen_epochs,
        seed=seed,
        out=out,
        **options,
    )


def main() -> None:
    """Run the command line: exit 1 with `error: ...` for bad data, models and files."""
    show = warnings.showwarning

    def short(message: Warning | str, category: type[Warning], *where: Any) -> None:
        if issubclass(category, DataWarning):
            typer.echo(f"warning: {message}", err=True)
        else:
            show(message, category, *where)

    warnings.showwarning = short  # type: ignore[assignment]
    try:
        app()
    except QuickvisionError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
