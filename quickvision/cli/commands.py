"""The command line: parse, call the library, print. torch loads only when a command runs."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

import quickvision
from quickvision.base.errors import DataWarning, ModelError, OtherProcessError, QuickvisionError
from quickvision.cli.options import (
    AnyBatchSize,
    Balance,
    BatchSize,
    Budget,
    ClassNames,
    FrozenEpochs,
    Gpus,
    Head,
    Log,
    MaxBad,
    MaybeSize,
    Opt,
    Opts,
    Pattern,
    Precision,
    Rate,
    Resizing,
    Schedule,
    Schedules,
    Seed,
    Size,
    UnfrozenEpochs,
    Valid,
    Weights,
    Where,
    fraction,
)

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


@app.command()
def check(
    path: Where,
    pattern: Pattern = None,
    valid: Valid = "0.2",
    class_names: ClassNames = None,
    size: Size = 224,
    seed: Seed = 42,
    max_bad: MaxBad = 0.05,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all examples.")] = False,
) -> None:
    """Look for what would mislead training; exit 1 if something does."""
    found = quickvision.check(
        path,
        pat=pattern,
        valid=fraction(valid),
        class_names=class_names,
        size=size,
        seed=seed,
        max_bad=max_bad,
    )
    typer.echo(found.to_json() if as_json else str(found))
    raise typer.Exit(0 if found.ok else 1)


@app.command()
def train(
    path: Where,
    pattern: Pattern = None,
    arch: Annotated[str, typer.Option(help="A torchvision or timm model.")] = "resnet34",
    weights: Weights = "default",
    size: MaybeSize = None,
    resize: Annotated[Resizing, typer.Option(help="How pictures come to that shape.")] = "crop",
    bs: AnyBatchSize = "64",
    valid: Valid = "0.2",
    class_names: ClassNames = None,
    balance: Annotated[Balance | None, typer.Option(help="What to do for uneven classes.")] = None,
    max_bad: MaxBad = 0.05,
    cache: Annotated[bool, typer.Option("--cache", help="Keep resized copies on disk.")] = False,
    frozen_epochs: FrozenEpochs = 4,
    unfrozen_epochs: UnfrozenEpochs = 2,
    lr: Rate = "find",
    schedule: Annotated[Schedule, typer.Option(help="How the rate moves.")] = "one_cycle",
    opt: Annotated[Opt | None, typer.Option(help="Optimiser; fastai's AdamW by default.")] = None,
    gradual: Annotated[bool, typer.Option("--gradual", help="Unfreeze group by group.")] = False,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after epochs without a lower valid. loss.")
    ] = None,
    head: Annotated[Head, typer.Option(help="fastai's head, or a single layer.")] = "fastai",
    label_smoothing: Annotated[float, typer.Option(min=0, max=0.99, help="As 0.1.")] = 0.0,
    mixup: Annotated[float, typer.Option(min=0, help="Blend pictures: as 0.4.")] = 0.0,
    cutmix: Annotated[float, typer.Option(min=0, help="Paste pieces of others: as 1.0.")] = 0.0,
    tta: Annotated[int, typer.Option(min=0, help="Augmented looks in the final report.")] = 0,
    budget: Budget = None,
    gpus: Gpus = None,
    cache_features: Annotated[
        bool, typer.Option(help="Train the head on features that are computed once.")
    ] = True,
    views: Annotated[int, typer.Option(min=0, help="Augmented feature passes besides.")] = 0,
    precision: Annotated[Precision, typer.Option(help="What the model computes in.")] = "auto",
    compile: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    num_workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that read pictures.")
    ] = None,
    log: Annotated[Log | None, typer.Option(help="Logger beside log.csv.")] = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same bits each time on a GPU; slower.")
    ] = False,
    seed: Seed = 42,
    out: Annotated[Path, typer.Option(help="Folder in which the run's folder is made.")] = RUNS,
) -> None:
    """Train on pictures: frozen, then unfrozen, then a report."""
    if not frozen_epochs + unfrozen_epochs:
        raise typer.BadParameter("expected epochs to train, got 0 frozen and 0 unfrozen")
    if views and not cache_features:
        raise typer.BadParameter("--views goes with cached features, got --no-cache-features")
    if mixup and cutmix:
        raise typer.BadParameter("expected --mixup or --cutmix, got both")
    if gradual and not unfrozen_epochs:
        raise typer.BadParameter("--gradual goes with unfrozen epochs, got none")
    if gradual and weights.lower() == "none":
        raise typer.BadParameter("--gradual goes with weights, got --weights none")
    quickvision.train(
        path,
        pat=pattern,
        arch=arch,
        weights=None if weights.lower() == "none" else weights,
        **({} if size is None else {"size": size}),
        lr=lr if lr == "find" else float(lr),
        schedule=schedule,
        opt=opt,
        gradual=gradual,
        patience=patience,
        head=head,
        label_smoothing=label_smoothing,
        mixup=mixup,
        cutmix=cutmix,
        tta=tta,
        resize=resize,
        bs=bs if bs == "auto" else int(bs),
        valid=fraction(valid),
        class_names=class_names,
        balance=balance,
        max_bad=max_bad,
        cache=cache or "auto",
        frozen_epochs=frozen_epochs,
        unfrozen_epochs=unfrozen_epochs,
        budget=budget,
        gpus=gpus,
        cache_features=cache_features,
        views=views,
        precision=precision,
        compile=compile,
        num_workers=num_workers,
        log=log,
        deterministic=deterministic,
        seed=seed,
        out=out,
    )


@app.command()
def resume(
    path: Annotated[Path, typer.Argument(help="Folder of the run, as runs/pets-001.")],
    data: Annotated[
        Path | None, typer.Option(help="The pictures, where they are elsewhere now.")
    ] = None,
    before: Annotated[
        bool, typer.Option("--before", help="From the checkpoint before the last.")
    ] = False,
    gpus: Gpus = None,
) -> None:
    """Go on with a run that was stopped."""
    quickvision.resume(path, data=data, before=before, gpus=gpus)


@app.command()
def compare(
    path: Where,
    archs: Annotated[list[str], typer.Argument(help="Models of torchvision or timm.")],
    pattern: Pattern = None,
    weights: Weights = "default",
    size: MaybeSize = None,
    bs: BatchSize = 64,
    frozen_epochs: FrozenEpochs = 4,
    unfrozen_epochs: UnfrozenEpochs = 2,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each.")] = 1,
    opt: Opts = None,
    schedule: Schedules = None,
    budget: Budget = None,
    out: Annotated[Path, typer.Option(help="Folder in which `compare` is made.")] = RUNS,
) -> None:
    """Train several models on the same split, and say which differ; go on where it was cut."""
    if not frozen_epochs + unfrozen_epochs:
        raise typer.BadParameter("expected epochs to train, got 0 frozen and 0 unfrozen")
    if len({*archs}) < len(archs):
        raise typer.BadParameter(f"expected each model once, got {' '.join(archs)}")
    found = quickvision.compare(
        path,
        archs,
        **({} if pattern is None else {"pat": pattern}),
        **({} if size is None else {"size": size}),
        weights=None if weights.lower() == "none" else weights,
        bs=bs,
        frozen_epochs=frozen_epochs,
        unfrozen_epochs=unfrozen_epochs,
        seeds=seeds,
        opts=opt,
        schedules=schedule,
        budget=budget,
        out=out,
    )
    typer.echo(f"\n{found}")


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
